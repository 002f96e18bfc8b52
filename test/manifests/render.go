package manifests

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// An Object is one Kubernetes object.
type Object = *unstructured.Unstructured

// Release is the name and the namespace that charts are rendered for.
const Release = "semantic-epp"

// Template is the output of `helm template` for the chart in dir with a values
// file, without the notes. Values that the chart's schema refuses are an error.
func Template(dir, valuesFile string) (string, error) {
	values, err := chartutil.ReadValuesFile(valuesFile)
	if err != nil {
		return "", fmt.Errorf("read values: %w", err)
	}
	files, err := render(dir, values)
	if err != nil {
		return "", fmt.Errorf("render %s with %s: %w", dir, filepath.Base(valuesFile), err)
	}
	var out strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if text := strings.TrimSpace(files[name]); strings.HasSuffix(name, ".yaml") && text != "" {
			out.WriteString("---\n" + strings.TrimPrefix(text, "---\n") + "\n")
		}
	}
	return out.String(), nil
}

// Notes is what `helm install` prints in the end.
func Notes(dir, valuesFile string) (string, error) {
	values, err := chartutil.ReadValuesFile(valuesFile)
	if err != nil {
		return "", fmt.Errorf("read values: %w", err)
	}
	files, err := render(dir, values)
	if err != nil {
		return "", err
	}
	return files["semantic-epp/templates/NOTES.txt"], nil
}

func render(dir string, values chartutil.Values) (map[string]string, error) {
	chart, err := loader.Load(dir)
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: Release, Namespace: Release, Revision: 1, IsInstall: true}
	complete, err := chartutil.ToRenderValues(chart, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return nil, err
	}
	return engine.Engine{Strict: true}.Render(chart, complete)
}

// Build is the output of `kubectl kustomize` for the folder dir.
func Build(dir string) (string, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return "", fmt.Errorf("kustomize %s: %w", dir, err)
	}
	out, err := resources.AsYaml()
	return string(out), err
}

// Parse reads a stream of YAML documents. Objects without a namespace get
// namespace, as by `kubectl -n`, but for kinds that have none.
func Parse(stream, namespace string) ([]Object, error) {
	var objects []Object
	documents := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(stream)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		object := &unstructured.Unstructured{}
		if err == nil {
			document, err = yaml.ToJSON(document)
		}
		if err == nil && string(document) == "null" {
			continue
		}
		if err == nil { // not json.Unmarshal, which makes floats of ports
			err = object.UnmarshalJSON(document)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(objects)+1, err)
		}
		if object.GetNamespace() == "" && !slices.Contains(clusterKinds, object.GetKind()) {
			object.SetNamespace(namespace)
		}
		objects = append(objects, object)
	}
}
