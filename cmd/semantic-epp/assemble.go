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
	"semantic-epp/endpoints"
	"semantic-epp/plugins"
	"semantic-epp/plugins/semantic"
	"semantic-epp/router"
)

// debugLevel is where GIE's own start messages go: they print whole
// configurations.
const debugLevel = 4

// configuration returns the bytes of an EndpointPickerConfig: of the file, the
// text, or the embedded default, and what to call it in errors.
func configuration(file, text string) ([]byte, string, error) {
	switch {
	case file != "" && text != "":
		return nil, "", errors.New("--config-file and --config-text exclude each other")
	case file != "":
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, "", fmt.Errorf("read configuration: %w", err)
		}
		return data, file, nil
	case text != "":
		return []byte(text), "--config-text", nil
	}
	return config.Default, "the embedded default", nil
}

// loaded is a configuration with its plugins.
type loaded struct {
	config   *giecfg.Config
	plugins  []plugin.Plugin
	semantic *semantic.Plugin
}

// loadConfig instantiates the plugins of a configuration. They live until ctx
// ends.
func loadConfig(ctx context.Context, data []byte, open semantic.Opener, names func() []types.NamespacedName, logger logr.Logger) (*loaded, error) {
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

// newRouter puts the picker together around an empty store. The returned
// function ends what it started.
func newRouter(ctx context.Context, data []byte, open semantic.Opener, poll time.Duration, logger logr.Logger) (*router.Router, *endpoints.Store, func(), error) {
	runtime := datalayer.NewRuntime(poll)
	store := endpoints.NewStore(runtime)
	l, err := loadConfig(ctx, data, open, store.Names, logger)
	if err != nil {
		return nil, nil, nil, err
	}
	// Before the first endpoint: it is polled by what is configured then.
	if err := runtime.Configure(l.config.DataConfig, true, "", logger.V(debugLevel)); err != nil {
		return nil, nil, nil, fmt.Errorf("configure data layer: %w", err)
	}
	if err := runtime.Start(ctx, nil); err != nil {
		return nil, nil, nil, fmt.Errorf("start data layer: %w", err)
	}
	r, err := router.New(router.Config{
		Store:      store,
		Semantic:   l.semantic,
		Scheduler:  giescheduling.NewSchedulerWithConfig(l.config.SchedulerConfig),
		Saturation: l.config.SaturationDetector,
		Parser:     l.config.ParserConfig.Parser,
		Plugins:    l.plugins,
		Logger:     logger,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return r, store, store.Close, nil
}
