package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	configapi "sigs.k8s.io/gateway-api-inference-extension/apix/config/v1alpha1"
	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config/loader"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
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
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requestcontrol/test/responsereceived"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requesthandling/parsers/openai"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/picker"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/profile"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/kvcacheutilization"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/prefix"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/queuedepth"
	testfilter "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/test/filter"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/handlers"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/requestcontrol"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/scheduling"
	"sigs.k8s.io/yaml"
)

// gieScrape is how often GIE's runner reads metrics unless told otherwise
// (pkg/epp/server/options.go, NewOptions).
const gieScrape = 50 * time.Millisecond

// activePorts is the pod annotation by which GIE's datastore is told which of
// the pool's ports a pod serves (pkg/epp/datastore/datastore.go).
const activePorts = "inference.networking.k8s.io/active-ports"

// runGIE serves ext_proc with GIE's picker until ctx ends.
func runGIE(ctx context.Context, arguments []string, stderr io.Writer) error {
	flags := flag.NewFlagSet("conformance gie", flag.ContinueOnError)
	flags.SetOutput(stderr)
	address := flags.String("listen", "127.0.0.1:9002", "`address` to serve on, without TLS")
	path := flags.String("endpoints-file", "", "YAML `file` of endpoints and objectives")
	fixtures := flags.Bool("fixtures", false, "add the test plugins that GIE's conformance tests use")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	text, err := os.ReadFile(*path)
	if err != nil {
		return fmt.Errorf("read the endpoints file: %w", err)
	}
	var file endpointsFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return fmt.Errorf("decode the endpoints file %s: %w", *path, err)
	}
	ctrl.SetLogger(zap.New())
	served, err := newGIE(ctx, file, *fixtures)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return fmt.Errorf("serve GIE's picker: %w", err)
	}
	server := grpc.NewServer() // without options, as GIE's runner (pkg/epp/server/runserver.go)
	procv3.RegisterExternalProcessorServer(server, served)
	defer context.AfterFunc(ctx, server.Stop)()
	return server.Serve(listener)
}

// newGIE assembles GIE v1.5.0's endpoint picker as its runner does
// (cmd/epp/runner/runner.go, setup) with its default configuration, less what
// needs Kubernetes and what no gateway sees: manager, controllers, health
// server, tracing, metrics page. It ends with ctx.
func newGIE(ctx context.Context, file endpointsFile, fixtures bool) (procv3.ExternalProcessorServer, error) {
	logger := ctrl.Log
	registerGIE()
	raw, _, err := loader.LoadRawConfig(nil, logger) // no bytes: the default configuration
	if err != nil {
		return nil, fmt.Errorf("load GIE's default configuration: %w", err)
	}
	if fixtures {
		addFixtures(raw)
	}
	runtime := datalayer.NewRuntime(gieScrape)
	store := datastore.NewDatastore(ctx, runtime, 0).WithEndpointPool(giePool(file.Endpoints))
	for _, o := range file.Objectives {
		store.ObjectiveSet(&v1alpha2.InferenceObjective{
			ObjectMeta: metav1.ObjectMeta{Name: o.Name, Namespace: "default"},
			Spec:       v1alpha2.InferenceObjectiveSpec{Priority: &o.Priority},
		})
	}

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
	for _, ep := range file.Endpoints {
		store.PodUpdateOrAddIfNotExist(ctx, giePod(ep))
	}

	candidates := requestcontrol.NewDatastoreEndpointCandidates(store)
	parser := handlers.NewParser(cfg.ParserConfig)
	director := requestcontrol.NewDirectorWithConfig(store,
		scheduling.NewSchedulerWithConfig(cfg.SchedulerConfig),
		requestcontrol.NewLegacyAdmissionController(cfg.SaturationDetector, candidates),
		parser, candidates, hooks)
	return handlers.NewStreamingServer(store, director, parser), nil
}

// addFixtures adds the filter that picks what a request's header names, and the
// plugin that tells who served it.
func addFixtures(raw *configapi.EndpointPickerConfig) {
	const verifier = responsereceived.DestinationEndpointServedVerifierType
	const filter = testfilter.HeaderBasedTestingFilterType
	fwkplugin.Register(verifier, responsereceived.DestinationEndpointServedVerifierFactory)
	fwkplugin.Register(filter, testfilter.HeaderBasedTestingFilterFactory)
	raw.Plugins = append(raw.Plugins, configapi.PluginSpec{Name: verifier, Type: verifier}, configapi.PluginSpec{Name: filter, Type: filter})
	profile := &raw.SchedulingProfiles[0]
	profile.Plugins = append([]configapi.SchedulingPlugin{{PluginRef: filter}}, profile.Plugins...)
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
	pool := datalayer.NewEndpointPool("default", "conformance")
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
