package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	configapi "sigs.k8s.io/gateway-api-inference-extension/apix/config/v1alpha1"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"

	"semantic-epp/config"
	"semantic-epp/config/source"
	"semantic-epp/plugins/metricssource"
	"semantic-epp/plugins/prefix"
	"semantic-epp/plugins/semantic"
)

// parameterTypes are what our plugins' parameters are decoded into.
var parameterTypes = map[string]reflect.Type{
	semantic.Type:      reflect.TypeFor[config.Router](),
	prefix.Type:        reflect.TypeFor[prefix.Parameters](),
	metricssource.Type: reflect.TypeFor[metricssource.Parameters](),
}

// diagnose returns everything that is wrong with a configuration that was
// refused, with file, line and column. GIE's loader ends at the first fault and
// tells no place, so its steps are gone through one by one.
func diagnose(ctx context.Context, name string, data []byte, refused error) error {
	doc, file, err := inspect(ctx, name, data, refused.Error())
	if err != nil {
		return err
	}
	if doc.Err() == nil {
		doc.Add(cause(file, refused))
	}
	return doc.Err()
}

// check returns everything that is wrong with a configuration that GIE's loader
// has not read.
func check(ctx context.Context, name string, data []byte) error {
	doc, _, err := inspect(ctx, name, data, "")
	if err != nil {
		return err
	}
	return doc.Err()
}

// inspect looks for faults. Refused is what GIE's loader said, if it did.
func inspect(ctx context.Context, name string, data []byte, refused string) (*source.Document, *configapi.EndpointPickerConfig, error) {
	doc, err := source.Parse(name, data)
	if err != nil {
		return nil, nil, err
	}
	doc.Check("", reflect.TypeFor[configapi.EndpointPickerConfig]())
	var file configapi.EndpointPickerConfig
	_ = json.Unmarshal(doc.JSON(""), &file) // what does not fit was found by Check and is left out
	for i := range file.Plugins {
		if spec := &file.Plugins[i]; spec.Name == "" {
			spec.Name = spec.Type // as the loader does
		}
	}
	checkKind(doc, &file)
	checkReferences(doc, &file, refused)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	handle := plugin.NewEppHandle(ctx, nil)
	for i, spec := range file.Plugins {
		at := fmt.Sprintf("plugins[%d].parameters", i)
		factory := plugin.Registry[spec.Type]
		if parameters, ok := parameterTypes[spec.Type]; ok {
			doc.Check(at, parameters)
		}
		if spec.Type == semantic.Type {
			factory = semantic.NewFactory(openLabels) // what a model says of itself is in refused
		}
		if factory != nil {
			_, err := factory(spec.Name, doc.JSON(at), handle)
			doc.Add(at, err)
		}
	}
	return doc, &file, nil
}

// cause returns what is behind an error of GIE's loader, and the key whose value
// it is about: that of the plugin which refused its parameters.
func cause(file *configapi.EndpointPickerConfig, refused error) (base string, err error) {
	for i, spec := range file.Plugins {
		_, text, ok := strings.Cut(refused.Error(), fmt.Sprintf("failed to create plugin '%s' (type: %s): ", spec.Name, spec.Type))
		for err := refused; ok && err != nil; err = errors.Unwrap(err) {
			if err.Error() == text {
				return fmt.Sprintf("plugins[%d].parameters", i), err
			}
		}
	}
	return "", refused
}

func checkKind(doc *source.Document, file *configapi.EndpointPickerConfig) {
	for _, must := range []struct{ key, is, be string }{
		{"apiVersion", file.APIVersion, configapi.GroupVersion.String()},
		{"kind", file.Kind, "EndpointPickerConfig"},
	} {
		if must.is != must.be {
			doc.Add("", fmt.Errorf("%s: %q; use %s", must.key, must.is, must.be))
		}
	}
}

// checkReferences finds plugins that do not exist, by type or by name. The
// loader adds some by itself, under the names of their types: such a name is
// only at fault where the loader says so.
func checkReferences(doc *source.Document, file *configapi.EndpointPickerConfig, refused string) {
	types := slices.Sorted(maps.Keys(plugin.Registry))
	var names []string
	for i, spec := range file.Plugins {
		at := fmt.Sprintf("plugins[%d]", i)
		if _, ok := plugin.Registry[spec.Type]; !ok {
			doc.Add("", fmt.Errorf("%s.type: unknown plugin %q%s", at, spec.Type, orElse(spec.Type, types)))
		}
		if slices.Contains(names, spec.Name) {
			doc.Add("", fmt.Errorf("%s: plugin %q stands twice; give one of them another name", at, spec.Name))
		}
		names = append(names, spec.Name)
	}
	refer := func(at, name string) {
		_, mayBeAdded := plugin.Registry[name]
		mayBeAdded = mayBeAdded && !strings.Contains(refused, "'"+name+"'")
		if name != "" && !mayBeAdded && !slices.Contains(names, name) {
			doc.Add("", fmt.Errorf("%s.pluginRef: unknown plugin %q%s", at, name, orElse(name, names)))
		}
	}
	for i, profile := range file.SchedulingProfiles {
		for j, p := range profile.Plugins {
			refer(fmt.Sprintf("schedulingProfiles[%d].plugins[%d]", i, j), p.PluginRef)
		}
	}
	if file.SaturationDetector != nil {
		refer("saturationDetector", file.SaturationDetector.PluginRef)
	}
	if file.Parser != nil {
		refer("parser", file.Parser.PluginRef)
	}
	if file.DataLayer == nil {
		return
	}
	for i, s := range file.DataLayer.Sources {
		refer(fmt.Sprintf("dataLayer.sources[%d]", i), s.PluginRef)
		for j, e := range s.Extractors {
			refer(fmt.Sprintf("dataLayer.sources[%d].extractors[%d]", i, j), e.PluginRef)
		}
	}
}

// orElse says what may have been meant, or what there is.
func orElse(name string, candidates []string) string {
	if meant, ok := source.Nearest(name, candidates); ok {
		return "; did you mean " + meant + "?"
	}
	return "; there are " + strings.Join(candidates, ", ")
}
