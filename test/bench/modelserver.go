package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// pageBytes is the least size of a fake model server's /metrics page: what a
// vLLM server that has answered requests on several paths shows.
const pageBytes = 44 << 10

// pageVariants is how many different pages a fake model server shows in turn,
// so that what a picker reads keeps changing.
const pageVariants = 8

// noneFree lets every server show a load of its own, which keeps changing.
const noneFree = -1

// modelServers are fake model servers: each listens on a port of 127.0.0.1 of
// its own and serves nothing but /metrics.
type modelServers struct {
	scrapes atomic.Int64 // pages served, by all servers together
	free    atomic.Int64 // the one server that shows no load, or noneFree
	servers []*http.Server
	list    []endpoint
}

// startModelServers starts n of them. Close ends them.
func startModelServers(n int) (*modelServers, error) {
	m := &modelServers{}
	m.free.Store(noneFree)
	for i := range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start fake model server %d of %d: %w", i+1, n, err), m.Close())
		}
		server := &http.Server{Handler: m.handler(i), ReadHeaderTimeout: 10 * time.Second}
		go server.Serve(listener)
		m.servers = append(m.servers, server)
		m.list = append(m.list, endpoint{
			Name: "vllm-" + strconv.Itoa(i), Namespace: benchNamespace,
			Address: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port,
			Labels: map[string]string{"app": benchModel, "model": benchModel},
		})
	}
	return m, nil
}

// Close ends all servers and their connections.
func (m *modelServers) Close() error {
	var errs []error
	for _, s := range m.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// handler serves the pages of server i in turn; while one server is to be free,
// it shows no load if it is that one, and a full queue and cache if not.
func (m *modelServers) handler(i int) http.Handler {
	pages := make([][]byte, pageVariants)
	for v := range pages {
		pages[v] = metricsPage(load{
			waiting: (i + v) % 5,
			running: 8 + (i*3+v)%8,
			kvUsage: float64((i*7+v*3)%40) / 50,
			counter: 1000*i + 10*v,
		})
	}
	idle, full := metricsPage(load{}), metricsPage(load{waiting: 100, running: 256, kvUsage: 0.97})
	var turn atomic.Uint64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		m.scrapes.Add(1)
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		switch free := m.free.Load(); free {
		case noneFree:
			w.Write(pages[turn.Add(1)%pageVariants])
		case int64(i):
			w.Write(idle)
		default:
			w.Write(full)
		}
	})
	return mux
}

// load is what a metrics page says about its server.
type load struct {
	waiting, running int     // requests
	kvUsage          float64 // 0 to 1
	counter          int     // where the counters stand
}

// labelled is the label set of every vLLM series.
const labelled = `engine="0",model_name="` + benchModel + `"`

// latencyBuckets and tokenBuckets are upper bounds of histogram buckets, in
// seconds and in tokens, in the steps that vLLM uses.
var (
	latencyBuckets = strings.Fields("0.3 0.5 0.8 1.0 1.5 2.0 2.5 5.0 10.0 15.0 20.0 30.0 40.0 50.0 60.0 120.0 240.0 480.0 960.0 1920.0 7680.0 +Inf")
	tokenBuckets   = strings.Fields("1.0 2.0 5.0 10.0 20.0 50.0 100.0 200.0 500.0 1000.0 2000.0 5000.0 10000.0 20000.0 +Inf")
)

// metricsPage is a page in the Prometheus text format with the series of a vLLM
// server (names: docs.vllm.ai, "Production metrics"), those of the Python
// process, and those of its HTTP handlers, as many as it takes to fill
// pageBytes.
func metricsPage(l load) []byte {
	p := &page{counter: l.counter}
	for generation, objects := range []string{"61410", "7211", "3190"} {
		p.series("python_gc_objects_collected_total", "counter", fmt.Sprintf(`generation="%d"`, generation), objects)
	}
	for _, name := range []string{"virtual_memory_bytes", "resident_memory_bytes", "start_time_seconds", "open_fds", "max_fds"} {
		p.series("process_"+name, "gauge", "", "1.7613e+09")
	}
	p.series("vllm:num_requests_running", "gauge", labelled, strconv.Itoa(l.running))
	p.series("vllm:num_requests_waiting", "gauge", labelled, strconv.Itoa(l.waiting))
	p.series("vllm:kv_cache_usage_perc", "gauge", labelled, strconv.FormatFloat(l.kvUsage, 'f', -1, 64))
	for _, name := range []string{"prefix_cache_queries", "prefix_cache_hits", "num_preemptions", "prompt_tokens", "generation_tokens"} {
		p.series("vllm:"+name+"_total", "counter", labelled, strconv.Itoa(l.counter))
	}
	for _, reason := range []string{"stop", "length", "abort"} {
		p.series("vllm:request_success_total", "counter", `finished_reason="`+reason+`",`+labelled, strconv.Itoa(l.counter))
	}
	p.series("vllm:cache_config_info", "gauge", `block_size="16",cache_dtype="auto",calculate_kv_scales="False",cpu_offload_gb="0",`+
		`enable_prefix_caching="True",engine="0",gpu_memory_utilization="0.9",num_gpu_blocks="27644",sliding_window="None",swap_space="4"`, "1.0")
	p.series("vllm:lora_requests_info", "gauge", `max_lora="4",running_lora_adapters="",waiting_lora_adapters=""`, "1.7613e+09")
	for _, name := range []string{"time_to_first_token", "time_per_output_token", "inter_token_latency", "e2e_request_latency",
		"request_queue_time", "request_inference_time", "request_prefill_time", "request_decode_time"} {
		p.histogram("vllm:"+name+"_seconds", labelled, latencyBuckets)
	}
	for _, name := range []string{"request_prompt_tokens", "request_generation_tokens", "iteration_tokens_total",
		"request_max_num_generation_tokens", "request_params_n", "request_params_max_tokens"} {
		p.histogram("vllm:"+name, labelled, tokenBuckets)
	}
	for i := 0; p.text.Len() < pageBytes; i++ {
		p.histogram("http_request_duration_seconds", fmt.Sprintf(`handler="/v1/path-%d",method="POST"`, i), latencyBuckets)
	}
	return []byte(p.text.String())
}

// page is a metrics page in the making.
type page struct {
	text    strings.Builder
	family  string // the one that was begun last
	counter int
}

// begin writes the head of a family, once.
func (p *page) begin(family, kind string) {
	if p.family == family {
		return
	}
	p.family = family
	fmt.Fprintf(&p.text, "# HELP %[1]s What %[1]s counts, in the words of the server.\n# TYPE %[1]s %[2]s\n", family, kind)
}

func (p *page) series(name, kind, labels, value string) {
	p.begin(name, kind)
	if labels == "" {
		fmt.Fprintf(&p.text, "%s %s\n", name, value)
		return
	}
	fmt.Fprintf(&p.text, "%s{%s} %s\n", name, labels, value)
}

func (p *page) histogram(name, labels string, buckets []string) {
	p.begin(name, "histogram")
	for i, le := range buckets {
		fmt.Fprintf(&p.text, "%s_bucket{%s,le=\"%s\"} %d.0\n", name, labels, le, p.counter+i)
	}
	total := p.counter + len(buckets) - 1
	fmt.Fprintf(&p.text, "%[1]s_count{%[2]s} %[3]d.0\n%[1]s_sum{%[2]s} %[3]d.25\n", name, labels, total)
}
