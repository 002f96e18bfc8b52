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

	classifierInfo = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "semantic_epp_classifier_info",
		Help: "The classifier in use: 1 beside its kind and revision.",
	}, []string{"kind", "revision"})
)

// Collectors are all collectors, to be registered once.
func Collectors() []prometheus.Collector {
	return []prometheus.Collector{decisions, classifySeconds, decideSeconds, refusals, endpointsDown, unobserved, classifierInfo}
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

// ClassifierInUse tells kind and revision of the classifier.
func ClassifierInUse(kind, revision string) {
	classifierInfo.Reset()
	classifierInfo.WithLabelValues(kind, revision).Set(1)
}
