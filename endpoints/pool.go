package endpoints

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"

	"semantic-epp/telemetry"
)

// Report keeps GIE's gauges of a pool true until ctx ends: its averages and the
// number of endpoints that answer.
func (s *Store) Report(ctx context.Context, pool string, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		s.report(pool)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Store) report(pool string) {
	eps := s.Snapshot().Endpoints
	var kv, waiting, running float64
	down := 0
	for _, ep := range eps {
		if ep.Load.Down() {
			down++
		}
		m := ep.GetMetrics()
		kv += m.KVCacheUsagePercent
		waiting += float64(m.WaitingQueueSize)
		running += float64(m.RunningRequestsSize)
	}
	n := float64(max(len(eps), 1))
	metrics.RecordInferencePoolAvgKVCache(pool, kv/n)
	metrics.RecordInferencePoolAvgQueueSize(pool, waiting/n)
	metrics.RecordInferencePoolAvgRunningRequests(pool, running/n)
	metrics.RecordInferencePoolReadyPods(pool, float64(len(eps)-down))
	telemetry.EndpointsDown(down)
}

// QueueCollector exposes the queue of each endpoint under the name that GIE
// gives it.
type QueueCollector struct {
	store *Store
	pool  string
	desc  *prometheus.Desc
}

// NewQueueCollector returns the collector of a pool.
func NewQueueCollector(store *Store, pool string) *QueueCollector {
	return &QueueCollector{store: store, pool: pool, desc: prometheus.NewDesc(
		"inference_pool_per_pod_queue_size",
		"[ALPHA] The total number of requests pending in the model server queue for each underlying pod.",
		[]string{"name", "model_server_pod"}, nil)}
}

// Describe sends the one description.
func (c *QueueCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect sends one gauge an endpoint.
func (c *QueueCollector) Collect(ch chan<- prometheus.Metric) {
	for _, ep := range c.store.Snapshot().Endpoints {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue,
			float64(ep.GetMetrics().WaitingQueueSize), c.pool, ep.GetMetadata().NamespacedName.Name)
	}
}
