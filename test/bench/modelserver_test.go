package main

import (
	"bytes"
	"io"
	"net/http"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prommodel "github.com/prometheus/common/model"
)

// scrape reads a page as GIE does and returns its families.
func scrape(t *testing.T, ep endpoint) map[string]*dto.MetricFamily {
	t.Helper()
	answer, err := http.Get("http://" + ep.hostPort() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(page) < pageBytes || len(page) > pageBytes+3000 {
		t.Errorf("the page has %d bytes, want about %d", len(page), pageBytes)
	}
	parser := expfmt.NewTextParser(prommodel.LegacyValidation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("the page is not in the Prometheus text format: %v", err)
	}
	return families
}

func gauge(t *testing.T, families map[string]*dto.MetricFamily, name string) float64 {
	t.Helper()
	if families[name] == nil {
		t.Fatalf("the page has no %s", name)
	}
	return families[name].GetMetric()[0].GetGauge().GetValue()
}

func TestModelServersShowTheirLoad(t *testing.T) {
	models, err := startModelServers(3)
	if err != nil {
		t.Fatal(err)
	}
	defer models.Close()

	seen := map[float64]bool{}
	for range pageVariants {
		families := scrape(t, models.list[0])
		seen[gauge(t, families, "vllm:kv_cache_usage_perc")] = true
		for _, name := range []string{"vllm:lora_requests_info", "vllm:cache_config_info", "vllm:num_requests_running"} {
			gauge(t, families, name)
		}
	}
	if len(seen) < 2 {
		t.Errorf("%d scrapes all showed the KV-cache usage %v, want it to change", pageVariants, seen)
	}

	models.free.Store(1)
	for i, ep := range models.list {
		waiting := gauge(t, scrape(t, ep), "vllm:num_requests_waiting")
		if free := waiting == 0; free != (i == 1) {
			t.Errorf("server %d has %v requests waiting, while server 1 alone is to be free", i, waiting)
		}
	}
	if got := models.scrapes.Load(); got != pageVariants+3 {
		t.Errorf("%d scrapes were counted, want %d", got, pageVariants+3)
	}
}
