package extproc

import (
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this package's own. Counters of the hot path are looked up once.
type metrics struct {
	streams                       prometheus.Gauge
	bytes                         prometheus.GaugeFunc
	refusals, modes, outcomes     *prometheus.CounterVec
	outOfOrder, panics, undecided prometheus.Counter
	requestModes, responseModes   modeCounters
	outcome                       [outcomes]prometheus.Counter
}

// modeCounters has a place for every body mode that this build knows, and one
// for all others.
type modeCounters []prometheus.Counter

func (c modeCounters) inc(mode bodyMode) {
	if mode < 0 || int(mode) >= len(c)-1 {
		mode = bodyMode(len(c) - 1)
	}
	c[mode].Inc()
}

func newMetrics(b *budget) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "semantic_epp_extproc_streams", Help: "ext_proc streams in flight."}),
		bytes: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "semantic_epp_extproc_buffered_bytes", Help: "Request bytes held at this moment."},
			func() float64 { return float64(b.used.Load()) }),
		refusals: vec("semantic_epp_extproc_refusals_total",
			"Requests answered with an error instead of being passed on, by reason.", "reason"),
		modes: vec("semantic_epp_extproc_streams_total",
			"Streams by direction and the body mode that the gateway uses.", "direction", "mode"),
		outcomes: vec("semantic_epp_extproc_exchanges_total",
			"Exchanges by how they ended.", "outcome"),
		outOfOrder: counter("semantic_epp_extproc_messages_out_of_order_total",
			"Messages that the protocol does not allow where they came."),
		panics: counter("semantic_epp_extproc_panics_total",
			"Panics; each ended one stream."),
		undecided: counter("semantic_epp_extproc_undecided_replies_total",
			"Replies that came before their request was complete: made by the gateway itself, or by a server to "+
				"a request that passed unseen because the gateway ignored mode_override."),
	}
	for o := range m.outcome {
		m.outcome[o] = m.outcomes.WithLabelValues(Outcome(o).String())
	}
	for mode := range len(filterv3.ProcessingMode_BodySendMode_name) {
		name := bodyMode(mode).String()
		m.requestModes = append(m.requestModes, m.modes.WithLabelValues("request", name))
		m.responseModes = append(m.responseModes, m.modes.WithLabelValues("response", name))
	}
	m.requestModes = append(m.requestModes, m.modes.WithLabelValues("request", "OTHER"))
	m.responseModes = append(m.responseModes, m.modes.WithLabelValues("response", "OTHER"))
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.streams, m.bytes, m.refusals, m.modes, m.outcomes, m.outOfOrder, m.panics, m.undecided}
}
