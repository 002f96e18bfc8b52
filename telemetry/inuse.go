package telemetry

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

var classifierInfo = prometheus.NewDesc("semantic_epp_classifier_info",
	"The classifier in use: 1 beside its kind, its revision and the device that it runs on.",
	[]string{"kind", "revision", "device"}, nil)

// describe tells of the classifier in use; nil before there is any.
var describe atomic.Pointer[func() (kind, revision, device string)]

// ClassifierInUse says whom to ask, at each scrape, what the classifier is: a
// model is replaced, and a GPU lost, while it serves. An empty kind means that
// there is none.
func ClassifierInUse(ask func() (kind, revision, device string)) { describe.Store(&ask) }

// inUse collects classifierInfo.
type inUse struct{}

// Describe sends the one description.
func (inUse) Describe(to chan<- *prometheus.Desc) { to <- classifierInfo }

// Collect asks the classifier.
func (inUse) Collect(to chan<- prometheus.Metric) {
	ask := describe.Load()
	if ask == nil {
		return
	}
	kind, revision, device := (*ask)()
	if kind == "" {
		return
	}
	to <- prometheus.MustNewConstMetric(classifierInfo, prometheus.GaugeValue, 1, kind, revision, device)
}
