package plugins

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	configapi "sigs.k8s.io/gateway-api-inference-extension/apix/config/v1alpha1"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/saturationdetector/utilization"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requestcontrol/dataproducer/approximateprefix"
	gieprefix "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/prefix"

	"semantic-epp/plugins/metricssource"
	"semantic-epp/plugins/parser"
	"semantic-epp/plugins/prefix"
	"semantic-epp/plugins/semantic"
)

// staleness is how old metrics may be before GIE's utilization detector takes
// an endpoint as saturated: GIE's 200 ms is shorter than the time between two
// polls of an idle endpoint.
const staleness = `{"metricsStalenessThreshold": "2s"}`

// Complete puts our plugins into the places of a configuration that it leaves
// open, and that GIE's loader would fill with slower ones: call it between
// LoadRawConfig and InstantiateAndConfigure. What the operator chose stays. It
// fails when the configuration has no semantic-router, or two.
func Complete(raw *configapi.EndpointPickerConfig) error {
	switch n := count(raw, semantic.Type); {
	case n == 0:
		return errors.New("plugins: no " + semantic.Type + "; it holds models and rules, see `semantic-epp config default`")
	case n > 1:
		return fmt.Errorf("plugins: %d of type %s; one decides", n, semantic.Type)
	}
	if raw.Parser == nil {
		raw.Parser = &configapi.ParserConfig{PluginRef: ensure(raw, parser.Type, nil)}
	}
	if raw.DataLayer == nil {
		raw.DataLayer = &configapi.DataLayerConfig{Sources: []configapi.DataLayerSource{
			{PluginRef: ensure(raw, metricssource.Type, nil)},
		}}
	}
	if scorer := find(raw, gieprefix.PrefixCacheScorerPluginType); scorer != nil &&
		find(raw, approximateprefix.ApproxPrefixCachePluginType) == nil {
		ensure(raw, prefix.Type, scorer.Parameters)
	}
	if raw.SaturationDetector == nil || raw.SaturationDetector.PluginRef == "" {
		raw.SaturationDetector = &configapi.SaturationDetectorConfig{
			PluginRef: ensure(raw, utilization.UtilizationDetectorType, json.RawMessage(staleness)),
		}
	}
	return nil
}

func find(raw *configapi.EndpointPickerConfig, pluginType string) *configapi.PluginSpec {
	i := slices.IndexFunc(raw.Plugins, func(p configapi.PluginSpec) bool { return p.Type == pluginType })
	if i < 0 {
		return nil
	}
	return &raw.Plugins[i]
}

func count(raw *configapi.EndpointPickerConfig, pluginType string) int {
	n := 0
	for _, p := range raw.Plugins {
		if p.Type == pluginType {
			n++
		}
	}
	return n
}

// ensure returns the name of the plugin of a type, adding one if there is none.
func ensure(raw *configapi.EndpointPickerConfig, pluginType string, parameters json.RawMessage) string {
	if p := find(raw, pluginType); p != nil {
		return p.Name
	}
	raw.Plugins = append(raw.Plugins, configapi.PluginSpec{Name: pluginType, Type: pluginType, Parameters: parameters})
	return pluginType
}
