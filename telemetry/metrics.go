// Package telemetry holds the metrics of semantic-epp's own decisions. GIE's
// metrics stay GIE's.
//
// Labels are bounded by the configuration: model and rule names, and closed
// sets of reasons. A prompt, a user, a request id or a model name that only a
// client knows never becomes a label.
package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Unknown stands for model names that neither the configuration nor an
// endpoint knows.
const Unknown = "unknown"

var (
	decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "semantic_epp_decisions_total",
		Help: "Requests by chosen model, by the rule that chose it (empty without one) and by the reason.",
	}, []string{"model", "rule", "reason"})

	classifySeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "semantic_epp_classify_seconds",
		Help:    "Time to classify a prompt, waiting included, by outcome: ok, no_match, overloaded, timeout, error.",
		Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25},
	}, []string{"outcome"})

	decideSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "semantic_epp_decide_seconds",
		Help:    "Time from the end of a request to its verdict: model and replica.",
		Buckets: []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25},
	})

	refusals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "semantic_epp_refusals_total",
		Help: "Requests that the picker answered with an error, by HTTP status.",
	}, []string{"status"})

	endpointsDown = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "semantic_epp_endpoints_down",
		Help: "Endpoints whose metrics page does not answer.",
	})

	unobserved = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "semantic_epp_unobserved_replies_total",
		Help: "Replies whose body the gateway does not show us: their usage and end are unknown.",
	})

	classifierAnswers = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "semantic_epp_classifier_answers_total",
		Help: "Classifications by what answered: cache, linear (of a cascade) or model.",
	}, []string{"from"})

	classifierReloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "semantic_epp_classifier_reloads_total",
		Help: "Changes of the model's files by outcome: ok, or error, where the old model stays.",
	}, []string{"outcome"})

	configReloads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "semantic_epp_config_reloads_total",
		Help: "Changes of the configuration file by outcome: ok, or error, where the old configuration stays.",
	}, []string{"outcome"})

	classifierFallbacks = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "semantic_epp_classifier_fallbacks_total",
		Help: "Times that the GPU was lost and the CPU took over.",
	})
)

// Collectors are all collectors, to be registered once.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{decisions, classifySeconds, decideSeconds, refusals, endpointsDown, unobserved,
		inUse{}, classifierAnswers, classifierReloads, classifierFallbacks, configReloads}
}

// Decided counts a decision.
func Decided(model, rule, reason string) { decisions.WithLabelValues(model, rule, reason).Inc() }

// Classified observes a classification by outcome.
func Classified(outcome string, took time.Duration) {
	classifySeconds.WithLabelValues(outcome).Observe(took.Seconds())
}

// Verdict observes the time of a whole decision.
func Verdict(took time.Duration) { decideSeconds.Observe(took.Seconds()) }

// Refused counts an error that the picker answered.
func Refused(status string) { refusals.WithLabelValues(status).Inc() }

// EndpointsDown sets the number of endpoints that do not answer.
func EndpointsDown(n int) { endpointsDown.Set(float64(n)) }

// Unobserved counts a reply whose end is not seen.
func Unobserved() { unobserved.Inc() }

// ClassifierAnswered counts an answer by what gave it.
func ClassifierAnswered(from string) { classifierAnswers.WithLabelValues(from).Inc() }

// ClassifierReloaded counts a change of the model's files.
func ClassifierReloaded(err error) { classifierReloads.WithLabelValues(outcome(err)).Inc() }

// ConfigurationReloaded counts a change of the configuration file.
func ConfigurationReloaded(err error) { configReloads.WithLabelValues(outcome(err)).Inc() }

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}

// ClassifierFellBack counts a lost GPU.
func ClassifierFellBack() { classifierFallbacks.Inc() }
