package endpoints

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"

	"semantic-epp/telemetry"
)

// Report keeps GIE's gauges true until ctx ends: the averages of each pool and
// the number of its endpoints that answer. Without SetPools, all endpoints are
// the pool of the name given. A pool that goes is reported as empty from then on.
func (s *Store) Report(ctx context.Context, name string, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	seen := map[string]bool{}
	for {
		s.report(name, seen)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// report adds the pools that it reports to seen.
func (s *Store) report(name string, seen map[string]bool) {
	eps := s.Snapshot().Endpoints
	down := 0
	for _, ep := range eps {
		if ep.Load.Down() {
			down++
		}
	}
	telemetry.EndpointsDown(down)
	pools := s.pools.Load()
	if pools == nil {
		reportPool(name, eps)
		return
	}
	for _, pool := range *pools {
		seen[pool] = true
	}
	for pool := range seen {
		var members []*Endpoint
		for _, ep := range eps {
			if slices.Contains(ep.Pools, pool) {
				members = append(members, ep)
			}
		}
		reportPool(pool, members)
	}
}

func reportPool(pool string, eps []*Endpoint) {
	var kv, waiting, running float64
	answering := 0
	for _, ep := range eps {
		if !ep.Load.Down() {
			answering++
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
	metrics.RecordInferencePoolReadyPods(pool, float64(answering))
}

// QueueCollector exposes the queue of each endpoint under the name that GIE
// gives it.
type QueueCollector struct {
	store *Store
	pool  string
	desc  *prometheus.Desc
}

// NewQueueCollector returns the collector; pool is the name for endpoints that
// belong to none.
func NewQueueCollector(store *Store, pool string) *QueueCollector {
	return &QueueCollector{store: store, pool: pool, desc: prometheus.NewDesc(
		"inference_pool_per_pod_queue_size",
		"[ALPHA] The total number of requests pending in the model server queue for each underlying pod.",
		[]string{"name", "model_server_pod"}, nil)}
}

// Describe sends the one description.
func (c *QueueCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect sends one gauge for each endpoint and pool that it is in.
func (c *QueueCollector) Collect(ch chan<- prometheus.Metric) {
	for _, ep := range c.store.Snapshot().Endpoints {
		pools := ep.Pools
		if len(pools) == 0 {
			pools = []string{c.pool}
		}
		for _, pool := range pools {
			ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue,
				float64(ep.GetMetrics().WaitingQueueSize), pool, ep.GetMetadata().NamespacedName.Name)
		}
	}
}
