package manifests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A Picker is the binary that the manifests start.
type Picker struct {
	binary string
	flags  []string
}

// BuildPicker builds the picker of the repository at root into dir.
func BuildPicker(root, dir string) (*Picker, error) {
	binary := filepath.Join(dir, "semantic-epp")
	build := exec.Command("go", "build", "-o", binary, "./cmd/semantic-epp")
	build.Dir = root
	build.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build the picker: %w\n%s", err, out)
	}
	return NewPicker(binary)
}

var flagName = regexp.MustCompile(`(?m)^ +(?:-\w, )?--([a-z-]+)`)

// NewPicker asks a binary for its flags.
func NewPicker(binary string) (*Picker, error) {
	help, err := exec.Command(binary, "serve", "--help").Output()
	if err != nil {
		return nil, fmt.Errorf("%s serve --help: %w", binary, err)
	}
	p := &Picker{binary: binary}
	for _, match := range flagName.FindAllStringSubmatch(string(help), -1) {
		p.flags = append(p.flags, match[1])
	}
	return p, nil
}

// UnknownFlags are the arguments of pickers in objects that the binary does not
// know.
func (p *Picker) UnknownFlags(objects []Object) []string {
	var unknown []string
	for _, object := range objects {
		if object.GetKind() != "Deployment" {
			continue
		}
		for _, container := range as[appsv1.Deployment](object).Spec.Template.Spec.Containers {
			if container.Name != "picker" {
				continue
			}
			for _, arg := range container.Args[1:] { // the first is the command
				name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
				if !slices.Contains(p.flags, name) {
					unknown = append(unknown, arg)
				}
			}
		}
	}
	return unknown
}

// Validate has the picker check the configurations and endpoints files that lie
// in ConfigMaps.
func (p *Picker) Validate(objects []Object, dir string) error {
	var errs []error
	for _, object := range objects {
		if object.GetKind() != "ConfigMap" {
			continue
		}
		for key, text := range as[corev1.ConfigMap](object).Data {
			errs = append(errs, p.validate(filepath.Join(dir, key), text))
		}
	}
	return errors.Join(errs...)
}

func (p *Picker) validate(file, text string) error {
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return err
	}
	if out, err := exec.Command(p.binary, "validate", file).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}
