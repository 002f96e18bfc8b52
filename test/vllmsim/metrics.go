package vllmsim

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// metricsPage answers GET /metrics in the Prometheus text format, with the
// names and labels of vLLM 0.10 and later (vllm/v1/metrics/loggers.py).
func (s *Server) metricsPage(w http.ResponseWriter, _ *http.Request) {
	b := s.Behaviour()
	if b.MetricsStatus != 0 {
		http.Error(w, http.StatusText(b.MetricsStatus), b.MetricsStatus)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	_, _ = w.Write(s.engine.page(b.Load)) // the scraper left: nobody to tell
}

// page writes the metrics page, with forced in place of the true load unless
// it is nil.
func (e *engine) page(forced *Load) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	load := e.load()
	if forced != nil {
		load = *forced
	}
	p := &page{labels: fmt.Sprintf(`engine="0",model_name=%q`, e.cfg.Model)}
	p.padding("python_gc_collections_total", e.cfg.MetricsPageBytes/4) // Python shows itself first
	st := &e.stats

	p.gauge("vllm:num_requests_running", "Number of requests in model execution batches.", float64(load.Running))
	p.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", float64(load.Waiting))
	kv := "vllm:kv_cache_usage_perc"
	if e.cfg.OldKVCacheName {
		kv = "vllm:gpu_cache_usage_perc"
	}
	p.gauge(kv, "KV-cache usage. 1 means 100 percent usage.", load.KVCacheUsage)
	p.counter("vllm:prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.", st.promptTokens)
	p.counter("vllm:prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.", 0)
	p.counter("vllm:num_preemptions_total", "Cumulative number of preemption from the engine.", 0)
	p.counter("vllm:prompt_tokens_total", "Number of prefill tokens processed.", st.promptTokens)
	p.counter("vllm:generation_tokens_total", "Number of generation tokens processed.", st.generationTokens)

	p.head("vllm:request_success_total", "counter", "Count of successfully processed requests.")
	for _, reason := range slices.Sorted(maps.Keys(st.success)) {
		p.line("vllm:request_success_total", fmt.Sprintf(`,finished_reason=%q`, reason), float64(st.success[reason]))
	}

	p.histogram("vllm:request_prompt_tokens", "Number of prefill tokens processed.", &st.requestPrompt)
	p.histogram("vllm:request_generation_tokens", "Number of generation tokens processed.", &st.requestGeneration)
	p.histogram("vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", &st.ttft)
	p.histogram("vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &st.interToken)
	p.histogram("vllm:request_time_per_output_token_seconds", "Histogram of time_per_output_token_seconds per request.", &st.perToken)
	p.histogram("vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &st.e2e)
	p.histogram("vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &st.queue)
	p.histogram("vllm:request_inference_time_seconds", "Histogram of time spent in RUNNING phase for request.", &st.inference)
	p.histogram("vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", &st.prefill)
	p.histogram("vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", &st.decode)

	p.head("vllm:cache_config_info", "gauge", "Information of the LLMEngine CacheConfig")
	fmt.Fprintf(&p.b, "vllm:cache_config_info{block_size=\"%d\",cache_dtype=\"auto\",enable_prefix_caching=\"False\",engine=\"0\",gpu_memory_utilization=\"0.9\",num_gpu_blocks=\"%d\"} 1.0\n",
		e.cfg.BlockSize, e.cfg.NumGPUBlocks)
	p.adapters(e.cfg.MaxLoras, st.loras)
	p.padding("http_requests_total", e.cfg.MetricsPageBytes)
	return p.b.Bytes()
}

// A page is a metrics page in the making; all its series carry labels.
type page struct {
	b      bytes.Buffer
	labels string
}

func (p *page) head(name, kind, help string) {
	fmt.Fprintf(&p.b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) line(name, more string, value float64) {
	fmt.Fprintf(&p.b, "%s{%s%s} %s\n", name, p.labels, more, number(value))
}

func (p *page) gauge(name, help string, value float64) {
	p.head(name, "gauge", help)
	p.line(name, "", value)
}

func (p *page) counter(name, help string, value int) {
	p.head(name, "counter", help)
	p.line(name, "", float64(value))
}

func (p *page) histogram(name, help string, h *histogram) {
	p.head(name, "histogram", help)
	total := 0
	for i, count := range h.counts {
		total += count
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = number(h.bounds[i])
		}
		p.line(name+"_bucket", fmt.Sprintf(`,le=%q`, bound), float64(total))
	}
	p.line(name+"_count", "", float64(total))
	p.line(name+"_sum", "", h.sum)
}

// adapters writes one series for each state there ever was, the oldest first.
func (p *page) adapters(maxLoras int, states map[loraState]float64) {
	if len(states) == 0 {
		return
	}
	p.head("vllm:lora_requests_info", "gauge", "Running stats on lora requests.")
	for _, state := range slices.SortedFunc(maps.Keys(states), func(a, b loraState) int {
		return cmp.Compare(states[a], states[b])
	}) {
		fmt.Fprintf(&p.b, "vllm:lora_requests_info{max_lora=\"%d\",running_lora_adapters=%q,waiting_lora_adapters=%q} %s\n",
			maxLoras, state.running, state.waiting, number(states[state]))
	}
}

// padding adds series of a family that nobody asks for until the page has the
// size.
func (p *page) padding(family string, size int) {
	if p.b.Len() < size {
		p.head(family, "counter", "Padding to the size of a real page.")
	}
	for i := 0; p.b.Len() < size; i++ {
		fmt.Fprintf(&p.b, "%s{handler=\"/v1/handler-%04d\",method=\"POST\",status=\"2xx\"} 0.0\n", family, i)
	}
}

// number formats as the Python client does, which always shows a fraction.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if strings.ContainsAny(s, ".en") {
		return s
	}
	return s + ".0"
}
