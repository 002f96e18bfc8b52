package endpoints

import (
	"strings"
	"testing"
)

const vllmPage = `# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="llama3-8b"} 3.0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="llama3-8b"} 7.0
vllm:num_requests_waiting_total{model_name="llama3-8b"} 900.0
vllm:kv_cache_usage_perc{engine="0",model_name="llama3-8b"} 0.25
vllm:lora_requests_info{max_lora="2",running_lora_adapters="old",waiting_lora_adapters=""} 1.70000000e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="a,b",waiting_lora_adapters="c"} 1.70000009e+09
vllm:lora_requests_info{max_lora="2",running_lora_adapters="",waiting_lora_adapters=""} 1.70000001e+09
vllm:cache_config_info{block_size="16",num_gpu_blocks="2048",note="a } brace, and \"quotes\""} 1.0
`

func TestScan(t *testing.T) {
	p := scan([]byte(vllmPage))
	if p.running != 3 || p.waiting != 7 || p.kvUsage != 0.25 || string(p.modelName) != "llama3-8b" {
		t.Errorf("counts are wrong: %+v", p)
	}
	if got := string(label(p.loraLabels, "running_lora_adapters")); got != "a,b" {
		t.Errorf("running adapters %q are not those of the newest state", got)
	}
	if got := string(label(p.cacheLabels, "num_gpu_blocks")); got != "2048" {
		t.Errorf("blocks %q", got)
	}
}

func TestScanOddPages(t *testing.T) {
	tests := map[string]struct {
		page             string
		waiting, running float64
		kv               float64
	}{
		"the former name of the cache gauge":  {page: "vllm:gpu_cache_usage_perc{model_name=\"m\"} 0.5\n", kv: 0.5},
		"several engines behind one server":   {page: "vllm:num_requests_waiting{engine=\"0\"} 2\nvllm:num_requests_waiting{engine=\"1\"} 3\nvllm:kv_cache_usage_perc{engine=\"0\"} 0.1\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.9\n", waiting: 5, kv: 0.9},
		"SGLang":                              {page: "sglang:num_queue_reqs{model_name=\"m\"} 4\nsglang:num_running_reqs 2\nsglang:token_usage 0.3\n", waiting: 4, running: 2, kv: 0.3},
		"a timestamp after the value":         {page: "vllm:num_requests_waiting 4 1700000000\n", waiting: 4},
		"no newline at the end":               {page: "vllm:num_requests_waiting 4", waiting: 4},
		"lines of Windows":                    {page: "vllm:num_requests_waiting 4\r\n", waiting: 4},
		"a value that is no number":           {page: "vllm:num_requests_waiting NaN\nvllm:num_requests_running many\n"},
		"a count below zero":                  {page: "vllm:num_requests_waiting -4\n"},
		"an infinite count":                   {page: "vllm:num_requests_waiting +Inf\n"},
		"a label set without end":             {page: "vllm:num_requests_waiting{engine=\"0 4\n"},
		"a longer name":                       {page: "vllm:num_requests_waiting_total 4\n"},
		"a brace inside a label":              {page: "vllm:num_requests_waiting{x=\"}\"} 4\n", waiting: 4},
		"an empty page":                       {},
		"a page of something else altogether": {page: "<html><body>vllm:num_requests_waiting 4</body></html>"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if p := scan([]byte(tc.page)); p.waiting != tc.waiting || p.running != tc.running || p.kvUsage != tc.kv {
				t.Errorf("waiting %v, running %v, kv %v; want %v, %v, %v", p.waiting, p.running, p.kvUsage, tc.waiting, tc.running, tc.kv)
			}
		})
	}
}

func FuzzScan(f *testing.F) {
	f.Add([]byte(vllmPage))
	f.Add([]byte("vllm:lora_requests_info{max_lora=\"\\"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p := scan(text)
		if !(p.waiting >= 0 && p.running >= 0 && p.kvUsage >= 0) {
			t.Errorf("senseless counts: %+v", p)
		}
		if again := scan(append([]byte("# a comment\n"), text...)); again.waiting != p.waiting || again.found != p.found {
			t.Errorf("a comment before the page changes what is found")
		}
	})
}

func BenchmarkScan44KB(b *testing.B) {
	var page strings.Builder
	for page.Len() < 44<<10 {
		page.WriteString("vllm:e2e_request_latency_seconds_bucket{engine=\"0\",le=\"0.3\",model_name=\"llama3-8b\"} 12.0\n")
	}
	text := []byte(page.String() + vllmPage)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		scan(text)
	}
}
