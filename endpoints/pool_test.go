package endpoints_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	giemetrics "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"

	"semantic-epp/endpoints"
)

// gauges are those of a family: label values and value.
func gauges(t *testing.T, from prometheus.Gatherer, family string) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			found[strings.Join(labels, " ")] = m.GetGauge().GetValue()
		}
	}
	return found
}

func TestPoolsAreReportedApart(t *testing.T) {
	giemetrics.Register()
	store := endpoints.NewStore(&still{})
	once, stop := context.WithCancel(t.Context())
	stop() // one report, then the end
	set := func(replicas ...endpoints.Replica) {
		if _, err := store.Set(t.Context(), replicas); err != nil {
			t.Fatal(err)
		}
		store.Report(once, "standalone", time.Hour)
	}
	check := func(want map[string]float64) {
		t.Helper()
		if diff := cmp.Diff(want, gauges(t, metrics.Registry, "inference_pool_ready_pods")); diff != "" {
			t.Error(diff)
		}
	}
	set(replica("a", "10.0.0.1"))
	check(map[string]float64{"standalone": 1})
	store.SetPools([]string{"empty", "llama", "phi"})
	set(replica("a", "10.0.0.1", "llama", "phi"), replica("b", "10.0.0.2", "phi"))
	check(map[string]float64{"standalone": 1, "empty": 0, "llama": 1, "phi": 2})

	queues := prometheus.NewRegistry()
	queues.MustRegister(endpoints.NewQueueCollector(store, "standalone"))
	want := map[string]float64{"a llama": 0, "a phi": 0, "b phi": 0} // pod, pool
	if diff := cmp.Diff(want, gauges(t, queues, "inference_pool_per_pod_queue_size")); diff != "" {
		t.Error(diff)
	}
}
