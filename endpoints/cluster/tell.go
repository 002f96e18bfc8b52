package cluster

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
)

// reasons are the kinds of problem as Events write them.
var reasons = map[Kind]string{
	NoRoute:         "NoRoute",
	WrongPool:       "RouteToWrongPool",
	SeveralRules:    "SeveralRoutes",
	SeveralBackends: "SeveralBackends",
	RuleName:        "RuleNameNotUnique",
}

// tell reports what is new as log lines, and as Events on the pools that exist.
func (s *Source) tell(before, now []Problem, pools []pool) {
	for _, p := range now {
		if slices.Contains(before, p) {
			continue
		}
		s.cfg.Logger.Info("routes and pools do not agree", "pool", p.Pool, "kind", p.Kind, "model", p.Model, "problem", p.Text)
		if i := slices.IndexFunc(pools, func(q pool) bool { return q.name == p.Pool }); i >= 0 {
			s.events.Eventf(pools[i].object, nil, corev1.EventTypeWarning, reasons[p.Kind], "CompareRoutes", "%s", p.Text)
		}
	}
	for _, p := range before {
		if !slices.Contains(now, p) {
			s.cfg.Logger.Info("routes and pools agree again", "pool", p.Pool, "kind", p.Kind, "model", p.Model)
		}
	}
}

// mismatches collects the present problems of a Source.
type mismatches struct{ source *Source }

var mismatchDesc = prometheus.NewDesc("semantic_epp_route_mismatches",
	"Differences between the models that pools serve and where HTTPRoutes lead, by pool and kind.",
	[]string{"pool", "kind"}, nil)

// Describe sends the one description.
func (mismatches) Describe(ch chan<- *prometheus.Desc) { ch <- mismatchDesc }

// Collect sends one gauge for each pool and kind that has problems.
func (m mismatches) Collect(ch chan<- prometheus.Metric) {
	type labels struct {
		pool string
		kind Kind
	}
	counts := map[labels]int{}
	for _, p := range m.source.view.Load().problems {
		counts[labels{p.Pool, p.Kind}]++
	}
	for l, n := range counts {
		ch <- prometheus.MustNewConstMetric(mismatchDesc, prometheus.GaugeValue, float64(n), l.pool, string(l.kind))
	}
}
