package plugins

import (
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	extractormetrics "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/extractor/metrics"
	sourcemetrics "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/source/metrics"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/fairness"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/ordering"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/saturationdetector/concurrency"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/saturationdetector/utilization"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/flowcontrol/usagelimits"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requestcontrol/dataproducer/approximateprefix"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requestcontrol/requestdataproducer/inflightload"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requesthandling/parsers/openai"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/requesthandling/parsers/passthrough"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/filter/prefixcacheaffinity"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/picker"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/profile"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/kvcacheutilization"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/loraaffinity"
	gieprefix "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/prefix"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/queuedepth"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/runningrequests"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/scheduling/scorer/tokenload"

	"semantic-epp/plugins/metricssource"
	"semantic-epp/plugins/modelfilter"
	"semantic-epp/plugins/modelscorer"
	"semantic-epp/plugins/parser"
	"semantic-epp/plugins/prefix"
	"semantic-epp/plugins/semantic"
)

// Register makes our plugins known to GIE. Call it before a runner starts.
// Their names begin with "semantic-", since the registry lets a later
// registration replace an earlier one without a word.
func Register(open semantic.Opener) {
	plugin.Register(semantic.Type, semantic.NewFactory(open))
	plugin.Register(modelfilter.Type, modelfilter.Factory)
	plugin.Register(modelscorer.Type, modelscorer.Factory)
	plugin.Register(metricssource.Type, metricssource.Factory)
	plugin.Register(prefix.Type, prefix.Factory)
	plugin.Register(parser.Type, parser.Factory)
}

// RegisterInTree makes GIE's own plugins known, which its runner does by a
// method that others cannot call. Those that need a sidecar (latency
// prediction) or Kubernetes objects are left to the stock runner.
func RegisterInTree() {
	plugin.Register(prefixcacheaffinity.PluginType, prefixcacheaffinity.Factory)

	plugin.Register(queuedepth.QueueScorerType, queuedepth.QueueScorerFactory)
	plugin.Register(kvcacheutilization.KvCacheUtilizationScorerType, kvcacheutilization.KvCacheUtilizationScorerFactory)
	plugin.Register(runningrequests.RunningRequestsSizeScorerType, runningrequests.RunningRequestsSizeScorerFactory)
	plugin.Register(loraaffinity.LoraAffinityScorerType, loraaffinity.LoraAffinityScorerFactory)
	plugin.Register(gieprefix.PrefixCacheScorerPluginType, gieprefix.PrefixCachePluginFactory)
	plugin.Register(tokenload.TokenLoadScorerType, tokenload.TokenLoadScorerFactory)

	plugin.Register(picker.MaxScorePickerType, picker.MaxScorePickerFactory)
	plugin.Register(picker.RandomPickerType, picker.RandomPickerFactory)
	plugin.Register(picker.WeightedRandomPickerType, picker.WeightedRandomPickerFactory)
	plugin.Register(profile.SingleProfileHandlerType, profile.SingleProfileHandlerFactory)

	plugin.Register(approximateprefix.ApproxPrefixCachePluginType, approximateprefix.ApproxPrefixCacheFactory)
	plugin.Register(inflightload.InFlightLoadProducerType, inflightload.InFlightLoadProducerFactory)

	plugin.Register(utilization.UtilizationDetectorType, utilization.UtilizationDetectorFactory)
	plugin.Register(concurrency.ConcurrencyDetectorType, concurrency.ConcurrencyDetectorFactory)

	plugin.Register(fairness.GlobalStrictFairnessPolicyType, fairness.GlobalStrictFairnessPolicyFactory)
	plugin.Register(fairness.RoundRobinFairnessPolicyType, fairness.RoundRobinFairnessPolicyFactory)
	plugin.Register(ordering.FCFSOrderingPolicyType, ordering.FCFSOrderingPolicyFactory)
	plugin.Register(ordering.EDFOrderingPolicyType, ordering.EDFOrderingPolicyFactory)
	plugin.Register(usagelimits.StaticUsageLimitPolicyType, usagelimits.StaticPolicyFactory)

	plugin.Register(sourcemetrics.MetricsDataSourceType, sourcemetrics.MetricsDataSourceFactory)
	plugin.Register(extractormetrics.MetricsExtractorType, extractormetrics.CoreMetricsExtractorFactory)
	plugin.Register(openai.OpenAIParserType, openai.OpenAIParserPluginFactory)
	plugin.Register(passthrough.PassthroughParserType, passthrough.PassthroughParserPluginFactory)
}
