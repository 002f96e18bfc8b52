package vllmsim_test

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"semantic-epp/test/vllmsim"
)

// page scrapes the metrics page.
func page(t *testing.T, s *vllmsim.Server) string {
	t.Helper()
	a := send(t, client(t), "GET", s.URL()+"/metrics", "")
	if a.status != 200 {
		t.Fatalf("status %d", a.status)
	}
	return string(a.body)
}

// await scrapes until the page has the line.
func await(t *testing.T, s *vllmsim.Server, line string) {
	t.Helper()
	var got string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		got = page(t, s)
		if slices.Contains(strings.Split(got, "\n"), line) {
			return
		}
	}
	t.Fatalf("no line %q in\n%s", line, got)
}

// series parses the page as Prometheus does and returns the label sets of a
// family with their values.
func series(t *testing.T, page, family string) map[string]float64 {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, m := range families[family].GetMetric() {
		var labels []string
		for _, l := range m.Label {
			labels = append(labels, l.GetName()+"="+l.GetValue())
		}
		value := m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		if families[family].GetType() == dto.MetricType_UNTYPED {
			t.Fatalf("%s has no type", family)
		}
		values[strings.Join(labels, " ")] = value
	}
	return values
}

// hold sends a request that stays until its context ends, at the latest with
// the test.
func hold(ctx context.Context, t *testing.T, s *vllmsim.Server, model string) {
	t.Helper()
	c := client(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = try(ctx, c, "POST", s.URL()+"/v1/completions", `{"model":"`+model+`","prompt":"12345678"}`)
	}()
	t.Cleanup(func() { <-done })
}

func TestRequestsWaitWhenTheBatchIsFull(t *testing.T) {
	s := start(t, vllmsim.Config{MaxNumSeqs: 2, BlockSize: 1, MaxModelLen: 18, NumGPUBlocks: 100, OutputTokens: 2})
	s.SetBehaviour(vllmsim.Behaviour{Hang: true})
	const labels = `{engine="0",model_name="llama3-8b"}`
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	for range 2 {
		hold(ctx, t, s, "llama3-8b")
	}
	await(t, s, "vllm:num_requests_running"+labels+" 2.0")
	await(t, s, "vllm:kv_cache_usage_perc"+labels+" 0.04") // two prompts of two tokens
	s.SetBehaviour(vllmsim.Behaviour{})
	hold(t.Context(), t, s, "llama3-8b")
	await(t, s, "vllm:num_requests_waiting"+labels+" 1.0")
	leave()
	await(t, s, "vllm:num_requests_running"+labels+" 0.0")
	got := page(t, s)
	for line, want := range map[string]map[string]float64{
		"vllm:request_success_total": {
			"engine=0 model_name=llama3-8b finished_reason=abort":  2,
			"engine=0 model_name=llama3-8b finished_reason=length": 0,
			"engine=0 model_name=llama3-8b finished_reason=stop":   1,
		},
		"vllm:num_requests_waiting":                  {"engine=0 model_name=llama3-8b": 0},
		"vllm:kv_cache_usage_perc":                   {"engine=0 model_name=llama3-8b": 0},
		"vllm:prompt_tokens_total":                   {"engine=0 model_name=llama3-8b": 6},
		"vllm:generation_tokens_total":               {"engine=0 model_name=llama3-8b": 2},
		"vllm:time_to_first_token_seconds":           {"engine=0 model_name=llama3-8b": 1},
		"vllm:inter_token_latency_seconds":           {"engine=0 model_name=llama3-8b": 1},
		"vllm:request_queue_time_seconds":            {"engine=0 model_name=llama3-8b": 3},
		"vllm:request_prompt_tokens":                 {"engine=0 model_name=llama3-8b": 3},
		"vllm:request_decode_time_seconds":           {"engine=0 model_name=llama3-8b": 1},
		"vllm:e2e_request_latency_seconds":           {"engine=0 model_name=llama3-8b": 3},
		"vllm:prefix_cache_queries_total":            {"engine=0 model_name=llama3-8b": 6},
		"vllm:request_time_per_output_token_seconds": {"engine=0 model_name=llama3-8b": 1},
	} {
		if values := series(t, got, line); !maps.Equal(values, want) {
			t.Errorf("%s is %v, want %v", line, values, want)
		}
	}
}

func TestRequestsWaitForKVCacheBlocks(t *testing.T) {
	// A request takes 2 + 16 tokens; the cache holds one, and not two.
	s := start(t, vllmsim.Config{BlockSize: 1, MaxModelLen: 20, NumGPUBlocks: 30})
	s.SetBehaviour(vllmsim.Behaviour{Hang: true})
	hold(t.Context(), t, s, "llama3-8b")
	hold(t.Context(), t, s, "llama3-8b")
	await(t, s, `vllm:num_requests_waiting{engine="0",model_name="llama3-8b"} 1.0`)
	await(t, s, `vllm:num_requests_running{engine="0",model_name="llama3-8b"} 1.0`)
}

func TestAdapters(t *testing.T) {
	s := start(t, vllmsim.Config{Model: "base-model", Adapters: []string{"math-expert", "law-expert"}, MaxLoras: 1})
	c := client(t)
	models := func() (ids []string) {
		a := send(t, c, "GET", s.URL()+"/v1/models", "")
		for _, m := range at(t, a.body, "data").([]any) {
			ids = append(ids, m.(map[string]any)["id"].(string))
		}
		return ids
	}
	if got := models(); !slices.Equal(got, []string{"base-model", "math-expert", "law-expert"}) {
		t.Errorf("models %q", got)
	}
	a := send(t, c, "GET", s.URL()+"/v1/models", "")
	if at(t, a.body, "data.0.parent") != nil || at(t, a.body, "data.1.parent") != "base-model" {
		t.Errorf("parents in %s", a.body)
	}

	tests := []struct {
		name, path, body string
		status           int
	}{
		{"unknown", "/v1/completions", `{"model":"new","prompt":"x"}`, 404},
		{"load", "/v1/load_lora_adapter", `{"lora_name":"new","lora_path":"/x"}`, 200},
		{"load again", "/v1/load_lora_adapter", `{"lora_name":"new","lora_path":"/x"}`, 400},
		{"load nothing", "/v1/load_lora_adapter", `{}`, 400},
		{"known", "/v1/completions", `{"model":"new","prompt":"x"}`, 200},
		{"unload", "/v1/unload_lora_adapter", `{"lora_name":"new"}`, 200},
		{"unload again", "/v1/unload_lora_adapter", `{"lora_name":"new"}`, 404},
		{"unknown again", "/v1/completions", `{"model":"new","prompt":"x"}`, 404},
	}
	for _, tc := range tests {
		if a := send(t, c, "POST", s.URL()+tc.path, tc.body); a.status != tc.status {
			t.Errorf("%s: status %d, want %d: %s", tc.name, a.status, tc.status, a.body)
		}
	}
}

func TestAdapterSeriesOfEarlierStatesStay(t *testing.T) {
	s := start(t, vllmsim.Config{Model: "base-model", Adapters: []string{"law", "math"}, MaxLoras: 1})
	s.SetBehaviour(vllmsim.Behaviour{Hang: true})
	newest := func(want string) func() bool {
		return func() bool {
			var best string
			var when float64
			for labels, v := range series(t, page(t, s), "vllm:lora_requests_info") {
				if v > when {
					best, when = labels, v
				}
			}
			if math.Abs(when-float64(time.Now().Unix())) > 60 {
				t.Fatalf("the value %v is not the time", when)
			}
			return best == want
		}
	}
	ctx, leave := context.WithCancel(t.Context())
	hold(ctx, t, s, "math")
	eventually(t, newest("max_lora=1 running_lora_adapters=math waiting_lora_adapters="))
	hold(t.Context(), t, s, "law") // a second adapter must wait
	eventually(t, newest("max_lora=1 running_lora_adapters=math waiting_lora_adapters=law"))
	hold(t.Context(), t, s, "base-model") // the base model need not
	await(t, s, `vllm:num_requests_running{engine="0",model_name="base-model"} 2.0`)
	leave()
	eventually(t, newest("max_lora=1 running_lora_adapters=law waiting_lora_adapters="))
	if n := len(series(t, page(t, s), "vllm:lora_requests_info")); n < 4 {
		t.Errorf("%d series, want those of the 4 states that were", n)
	}
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatal("it did not come true in 10 s")
}

func TestForcedLoad(t *testing.T) {
	s := start(t, vllmsim.Config{OldKVCacheName: true, MetricsPageBytes: 44 << 10})
	s.SetBehaviour(vllmsim.Behaviour{Load: &vllmsim.Load{Running: 3, Waiting: 128, KVCacheUsage: 0.95}})
	got := page(t, s)
	for family, want := range map[string]float64{
		"vllm:num_requests_running": 3, "vllm:num_requests_waiting": 128, "vllm:gpu_cache_usage_perc": 0.95,
	} {
		if v := series(t, got, family)["engine=0 model_name=llama3-8b"]; v != want {
			t.Errorf("%s is %v, want %v", family, v, want)
		}
	}
	if len(series(t, got, "vllm:kv_cache_usage_perc")) != 0 {
		t.Error("the page has both names of the KV-cache gauge")
	}
	if n := len(series(t, got, "vllm:cache_config_info")); n != 1 {
		t.Errorf("%d series of vllm:cache_config_info", n)
	}
	if len(got) < 44<<10 || len(got) > 45<<10 {
		t.Errorf("the page has %d bytes, want about 44 KiB", len(got))
	}

	s.SetBehaviour(vllmsim.Behaviour{MetricsStatus: 500})
	if a := send(t, client(t), "GET", s.URL()+"/metrics", ""); a.status != 500 {
		t.Errorf("status %d, want 500", a.status)
	}
	if a := send(t, client(t), "GET", s.URL()+"/health", ""); a.status != 200 {
		t.Errorf("health %d, want 200", a.status)
	}
}
