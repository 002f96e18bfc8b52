package manifests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/runtime/serializer/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// A CRDSource is a Go module that carries CRDs.
type CRDSource struct {
	Module, Version string
	Sum             string // of the module, as in go.sum
	Files           string // glob within it
}

// The CRDs that the guides install. The pool is checked against all the
// versions of the Inference Extension that users have.
var (
	GatewayAPI = CRDSource{"sigs.k8s.io/gateway-api", "v1.4.1", "h1:NPxFutNkKNa8UfLd2CMlEuhIPMQgDQ6DXNKG9sHbJU8=", "config/crd/standard/gateway*.yaml"}
	Istio      = CRDSource{"istio.io/api", "v1.29.0", "h1:E4rokccO3xqtxWd2zmLjlq+sKuWakrzmskhaFNFqCbs=", "kubernetes/customresourcedefinitions.gen.yaml"}
	Prometheus = CRDSource{"github.com/prometheus-operator/prometheus-operator", "v0.83.0", "h1:qAKbm+45fqNGcn9sGTa1Ae2TM3KZuYA/uyoD2QKi9+o=", "example/prometheus-operator-crd/*.yaml"}
	GIE10      = CRDSource{"sigs.k8s.io/gateway-api-inference-extension", "v1.0.0", "h1:GsHvlu1Cn1t6+vrHoPdNNlpwKxf/y1HuQSlUjd58Ds8=", "config/crd/bases/*.yaml"}
	GIE11      = CRDSource{"sigs.k8s.io/gateway-api-inference-extension", "v1.1.0", "h1:MqRYk+3LNUWB0MbTgTZVhmJGNDTvm8l3ze4MOlzR7MU=", "config/crd/bases/*.yaml"}
	GIE15      = CRDSource{"sigs.k8s.io/gateway-api-inference-extension", "v1.5.0", "h1:w9Awt60cmI1vM7Y6N81h8wDCBP0WkmxpdI7GKY0v070=", "config/crd/bases/*.yaml"}
)

// Dir fetches the module through the go command, which keeps it in its cache,
// and is where it lies.
func (s CRDSource) Dir() (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", s.Module+"@"+s.Version)
	cmd.Dir = os.TempDir() // no module's go.mod has a say
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	out, err := cmd.Output()
	var module struct{ Dir, Sum, Error string }
	if jsonErr := json.Unmarshal(out, &module); jsonErr != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w", s.Module, s.Version, errors.Join(err, jsonErr))
	}
	switch {
	case module.Error != "":
		return "", fmt.Errorf("go mod download: %s", module.Error)
	case module.Sum != s.Sum:
		return "", fmt.Errorf("%s@%s has the checksum %s, not %s", s.Module, s.Version, module.Sum, s.Sum)
	}
	return module.Dir, nil
}

// Schemas say which objects an API server with some CRDs takes.
type Schemas map[schema.GroupVersionKind]*customResource

type customResource struct {
	structural *structuralschema.Structural
	openAPI    validation.SchemaValidator
	rules      *cel.Validator
}

// LoadSchemas reads the CRDs of the sources.
func LoadSchemas(sources ...CRDSource) (Schemas, error) {
	schemas := Schemas{}
	for _, source := range sources {
		dir, err := source.Dir()
		if err != nil {
			return nil, err
		}
		files, err := filepath.Glob(filepath.Join(dir, source.Files))
		if err != nil || len(files) == 0 {
			return nil, fmt.Errorf("no CRDs in %s@%s at %s (%w)", source.Module, source.Version, source.Files, errors.Join(err, os.ErrNotExist))
		}
		for _, file := range files {
			if err := schemas.load(file); err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return schemas, nil
}

func (s Schemas) load(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, document := range strings.Split(string(text), "\n---\n") {
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.Unmarshal([]byte(document), &crd); err != nil {
			return err
		}
		if crd.Kind != "CustomResourceDefinition" {
			continue
		}
		for _, version := range crd.Spec.Versions {
			if version.Schema == nil || !version.Served {
				continue
			}
			resource, err := newCustomResource(version.Schema)
			if err != nil {
				return fmt.Errorf("%s %s: %w", crd.Name, version.Name, err)
			}
			s[schema.GroupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}] = resource
		}
	}
	return nil
}

func newCustomResource(v1 *apiextensionsv1.CustomResourceValidation) (*customResource, error) {
	var internal apiextensions.CustomResourceValidation
	if err := apiextensionsv1.Convert_v1_CustomResourceValidation_To_apiextensions_CustomResourceValidation(v1, &internal, nil); err != nil {
		return nil, err
	}
	structural, err := structuralschema.NewStructural(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	openAPI, _, err := validation.NewSchemaValidator(internal.OpenAPIV3Schema)
	if err != nil {
		return nil, err
	}
	return &customResource{structural, openAPI, cel.NewValidator(structural, true, celconfig.PerCallLimit)}, nil
}

// Validate returns an API server's objections: those of strict field validation,
// of the schema and of its CEL rules, after its defaults.
func (s Schemas) Validate(object Object) error {
	gvk := object.GroupVersionKind()
	if scheme.Scheme.Recognizes(gvk) {
		return validateBuiltin(object)
	}
	resource, ok := s[gvk]
	if !ok {
		return fmt.Errorf("no CRD serves %s", gvk)
	}
	object = object.DeepCopy()
	var errs []error
	for _, path := range pruning.PruneWithOptions(object.Object, resource.structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		errs = append(errs, fmt.Errorf("unknown field %q", path))
	}
	defaulting.Default(object.Object, resource.structural)
	for _, err := range validation.ValidateCustomResource(nil, object.Object, resource.openAPI) {
		errs = append(errs, err)
	}
	if resource.rules != nil {
		objections, _ := resource.rules.Validate(context.Background(), nil, resource.structural, object.Object, nil, celconfig.RuntimeCELCostBudget)
		for _, err := range objections {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

var strict = kjson.NewSerializerWithOptions(kjson.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, kjson.SerializerOptions{Strict: true})

func validateBuiltin(object Object) error {
	data, err := json.Marshal(object.Object)
	if err != nil {
		return err
	}
	_, _, err = strict.Decode(data, nil, nil)
	return err
}
