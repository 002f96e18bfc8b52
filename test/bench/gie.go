package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config/loader"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	datalayerlogger "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer/logger"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datastore"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/flowcontrol"
	fwkplugin "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	extractormetrics "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/extractor/metrics"
	sourcemetrics "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/source/metrics"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/fairness"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/ordering"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/saturationdetector/utilization"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/usagelimits"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requestcontrol/dataproducer/approximateprefix"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requesthandling/parsers/openai"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/picker"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/profile"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/kvcacheutilization"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/prefix"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/queuedepth"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/handlers"
	giemetrics "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics/collectors"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/requestcontrol"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/scheduling"
)

// Intervals that GIE's runner uses unless told otherwise
// (pkg/epp/server/options.go, NewOptions).
const (
	gieRecordInterval   = 5 * time.Second
	gieMetricsStaleness = 2 * time.Second
)

// activePorts is the pod annotation by which GIE's datastore is told which of
// the pool's ports a pod serves (pkg/epp/datastore/datastore.go).
const activePorts = "inference.networking.k8s.io/active-ports"

// newGIE assembles GIE v1.5.0's endpoint picker the way its runner does
// (cmd/epp/runner/runner.go, setup), less what needs Kubernetes: no manager, no
// controllers, no tracing. Its configuration is GIE's own default. The picker
// chooses among eps, whose metrics it reads every scrape, until ctx ends.
func newGIE(ctx context.Context, eps []endpoint, scrape time.Duration) (extproc.ExternalProcessorServer, error) {
	logger := ctrl.Log
	registerGIE()
	raw, _, err := loader.LoadRawConfig(nil, logger) // no bytes: the default configuration
	if err != nil {
		return nil, fmt.Errorf("load GIE's default configuration: %w", err)
	}
	runtime := datalayer.NewRuntime(scrape)
	store := datastore.NewDatastore(ctx, runtime, 0).WithEndpointPool(giePool(eps))

	handle := fwkplugin.NewEppHandle(ctx, func() []types.NamespacedName {
		var names []types.NamespacedName
		for _, ep := range store.PodList(datastore.AllPodsPredicate) {
			names = append(names, ep.GetMetadata().NamespacedName)
		}
		return names
	})
	cfg, err := loader.InstantiateAndConfigure(raw, handle, logger)
	if err != nil {
		return nil, fmt.Errorf("instantiate GIE's plugins: %w", err)
	}
	hooks := requestcontrol.NewConfig()
	hooks.AddPlugins(handle.GetAllPlugins()...)
	order, err := datalayer.ValidateAndOrderDataDependencies(handle.GetAllPlugins())
	if err != nil {
		return nil, fmt.Errorf("order GIE's data producers: %w", err)
	}
	hooks.OrderPrepareDataPlugins(order)

	// The runtime hands its sources to an endpoint when that is created, so it
	// must know them before the first one.
	if err := runtime.Configure(cfg.DataConfig, true, "", logger); err != nil {
		return nil, fmt.Errorf("configure GIE's data layer: %w", err)
	}
	if err := runtime.Start(ctx, nil); err != nil {
		return nil, fmt.Errorf("start GIE's data layer: %w", err)
	}
	for _, ep := range eps {
		store.PodUpdateOrAddIfNotExist(ctx, giePod(ep))
	}

	giemetrics.Register(collectors.NewInferencePoolMetricsCollector(store))
	datalayerlogger.StartMetricsLogger(ctx, store, gieRecordInterval, gieMetricsStaleness)
	candidates := requestcontrol.NewDatastoreEndpointCandidates(store)
	parser := handlers.NewParser(cfg.ParserConfig)
	director := requestcontrol.NewDirectorWithConfig(store,
		scheduling.NewSchedulerWithConfig(cfg.SchedulerConfig),
		requestcontrol.NewLegacyAdmissionController(cfg.SaturationDetector, candidates),
		parser, candidates, hooks)
	return handlers.NewStreamingServer(store, director, parser), nil
}

// serveGIE answers ext_proc on listener with GIE's picker until ctx ends.
func serveGIE(ctx context.Context, listener net.Listener, eps []endpoint, scrape time.Duration, verbosity int) error {
	ctrl.SetLogger(zap.New(zap.Level(zapcore.Level(-verbosity)))) // GIE's runner: JSON through zap
	picker, err := newGIE(ctx, eps, scrape)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	extproc.RegisterExternalProcessorServer(server, picker)
	return serveUntil(ctx, server, listener)
}

// registerGIE makes known the plugins that GIE's default configuration names,
// and those that its loader adds to any configuration.
func registerGIE() {
	for _, gate := range []string{datalayer.ExperimentalDatalayerFeatureGate, datalayer.EnableLegacyMetricsFeatureGate, flowcontrol.FeatureGate} {
		loader.RegisterFeatureGate(gate)
	}
	fwkplugin.Register(queuedepth.QueueScorerType, queuedepth.QueueScorerFactory)
	fwkplugin.Register(kvcacheutilization.KvCacheUtilizationScorerType, kvcacheutilization.KvCacheUtilizationScorerFactory)
	fwkplugin.Register(prefix.PrefixCacheScorerPluginType, prefix.PrefixCachePluginFactory)
	fwkplugin.Register(approximateprefix.ApproxPrefixCachePluginType, approximateprefix.ApproxPrefixCacheFactory)
	fwkplugin.Register(picker.MaxScorePickerType, picker.MaxScorePickerFactory)
	fwkplugin.Register(profile.SingleProfileHandlerType, profile.SingleProfileHandlerFactory)
	fwkplugin.Register(sourcemetrics.MetricsDataSourceType, sourcemetrics.MetricsDataSourceFactory)
	fwkplugin.Register(extractormetrics.MetricsExtractorType, extractormetrics.CoreMetricsExtractorFactory)
	fwkplugin.Register(openai.OpenAIParserType, openai.OpenAIParserPluginFactory)
	fwkplugin.Register(utilization.UtilizationDetectorType, utilization.UtilizationDetectorFactory)
	fwkplugin.Register(fairness.GlobalStrictFairnessPolicyType, fairness.GlobalStrictFairnessPolicyFactory)
	fwkplugin.Register(ordering.FCFSOrderingPolicyType, ordering.FCFSOrderingPolicyFactory)
	fwkplugin.Register(usagelimits.StaticUsageLimitPolicyType, usagelimits.StaticPolicyFactory)
}

// giePool is the pool that holds eps: every port any of them uses.
func giePool(eps []endpoint) *datalayer.EndpointPool {
	pool := datalayer.NewEndpointPool(benchNamespace, "bench")
	seen := map[int]bool{}
	for _, ep := range eps {
		if !seen[ep.Port] {
			seen[ep.Port] = true
			pool.TargetPorts = append(pool.TargetPorts, ep.Port)
		}
	}
	return pool
}

// giePod is ep as GIE's datastore takes endpoints: a pod that serves one port.
func giePod(ep endpoint) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: ep.Name, Namespace: ep.Namespace, Labels: ep.Labels,
			Annotations: map[string]string{activePorts: strconv.Itoa(ep.Port)},
		},
		Status: corev1.PodStatus{PodIP: ep.Address},
	}
}
