package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	giecfg "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config/loader"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/flowcontrol"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	giescheduling "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/scheduling"

	"semantic-epp/config"
	"semantic-epp/config/vsr"
	"semantic-epp/endpoints"
	"semantic-epp/plugins"
	"semantic-epp/plugins/semantic"
	"semantic-epp/router"
)

// debugLevel is where GIE's own start messages go: they print whole
// configurations.
const debugLevel = 4

// A configuration is an EndpointPickerConfig.
type configuration struct {
	data  []byte
	name  string      // what to call it in errors
	taken *vsr.Result // where it was made of one of vLLM Semantic Router

	standalone bool // without Kubernetes; see takeOver
}

// readConfiguration reads the file, the text, or the embedded default.
func readConfiguration(ctx context.Context, file, text string, standalone bool) (configuration, error) {
	c := configuration{data: config.Default, name: "the embedded default", standalone: standalone}
	switch {
	case file != "" && text != "":
		return c, errors.New("--config-file and --config-text exclude each other")
	case file != "":
		data, err := os.ReadFile(file)
		if err != nil {
			return c, fmt.Errorf("read configuration: %w", err)
		}
		c.data, c.name = data, file
	case text != "":
		c.data, c.name = []byte(text), "--config-text"
	default:
		return c, nil
	}
	taken, err := takeOver(ctx, c.name, c.data, standalone)
	if err != nil || taken == nil {
		return c, err
	}
	c.data, c.taken = taken.YAML, taken
	return c, nil
}

// loaded is a configuration with its plugins.
type loaded struct {
	config   *giecfg.Config
	plugins  []plugin.Plugin
	semantic *semantic.Plugin
}

// loadConfig instantiates the plugins of a configuration. They live until ctx
// ends. The error names every fault, and name is what it calls the file.
func loadConfig(ctx context.Context, name string, data []byte, open semantic.Opener, names func() []types.NamespacedName, logger logr.Logger) (*loaded, error) {
	l, err := instantiate(ctx, data, open, names, logger)
	if err != nil {
		return nil, diagnose(ctx, name, data, err)
	}
	return l, nil
}

// instantiate is loadConfig, but ends at the first fault.
func instantiate(ctx context.Context, data []byte, open semantic.Opener, names func() []types.NamespacedName, logger logr.Logger) (*loaded, error) {
	plugins.RegisterInTree()
	plugins.Register(open)
	for _, gate := range []string{datalayer.ExperimentalDatalayerFeatureGate, datalayer.EnableLegacyMetricsFeatureGate, flowcontrol.FeatureGate} {
		loader.RegisterFeatureGate(gate)
	}
	raw, gates, err := loader.LoadRawConfig(data, logger.V(debugLevel))
	if err != nil {
		return nil, err
	}
	for _, gate := range []string{datalayer.EnableLegacyMetricsFeatureGate, flowcontrol.FeatureGate} {
		if gates[gate] {
			return nil, fmt.Errorf("featureGates: %s is not supported; take it out", gate)
		}
	}
	if err := plugins.Complete(raw); err != nil {
		return nil, err
	}
	handle := plugin.NewEppHandle(ctx, names)
	cfg, err := loader.InstantiateAndConfigure(raw, handle, logger.V(debugLevel))
	if err != nil {
		return nil, err
	}
	l := &loaded{config: cfg, plugins: handle.GetAllPlugins()}
	for _, p := range l.plugins {
		if s, ok := p.(*semantic.Plugin); ok {
			l.semantic = s
		}
	}
	return l, nil
}

// A picker is a router around a store that is empty at first.
type picker struct {
	router   *router.Router
	semantic *semantic.Plugin
	store    *endpoints.Store
}

// A connector ties a picker to Kubernetes, or returns nil.
type connector func(store *endpoints.Store, plugin *semantic.Plugin) (router.Cluster, error)

// newPicker puts a picker together. Its store is to be closed.
func newPicker(ctx context.Context, c configuration, open semantic.Opener, connect connector, poll time.Duration, logger logr.Logger) (*picker, error) {
	runtime := datalayer.NewRuntime(poll)
	store := endpoints.NewStore(runtime)
	l, err := loadConfig(ctx, c.name, c.data, open, store.Names, logger)
	if err != nil {
		return nil, err
	}
	// Before the first endpoint: it is polled by what is configured then.
	if err := runtime.Configure(l.config.DataConfig, true, "", logger.V(debugLevel)); err != nil {
		return nil, fmt.Errorf("configure data layer: %w", err)
	}
	if err := runtime.Start(ctx, nil); err != nil {
		return nil, fmt.Errorf("start data layer: %w", err)
	}
	kubernetes, err := connect(store, l.semantic)
	if err != nil {
		return nil, err
	}
	r, err := router.New(router.Config{
		Cluster:    kubernetes,
		Store:      store,
		Semantic:   l.semantic,
		Scheduler:  giescheduling.NewSchedulerWithConfig(l.config.SchedulerConfig),
		Saturation: l.config.SaturationDetector,
		Parser:     l.config.ParserConfig.Parser,
		Plugins:    l.plugins,
		Logger:     logger,
	})
	if err != nil {
		return nil, err
	}
	return &picker{r, l.semantic, store}, nil
}
