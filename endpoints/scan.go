package endpoints

import (
	"bytes"
	"math"
	"strconv"
)

// A page is what one pass over a metrics page finds. Byte slices point into
// the page. Counts of several engines behind one server are added up; of their
// cache uses the highest counts, since a request cannot choose its engine.
type page struct {
	waiting, running float64
	kvUsage          float64
	found            series
	modelName        []byte // value of the label model_name
	loraLabels       []byte // label set of the newest LoRA state
	loraTime         float64
	cacheLabels      []byte // label set of the cache configuration
}

// series is the set of wanted series that a page had.
type series uint8

const (
	seriesWaiting series = 1 << iota
	seriesRunning
	seriesKVUsage
	seriesLoRA
	seriesCache
)

// names are the series we want, by the engine that reports them: vLLM with the
// present and the former name of its cache gauge, SGLang, and TensorRT-LLM's
// own server.
var names = []struct {
	name   string
	series series
}{
	{"vllm:num_requests_waiting", seriesWaiting},
	{"vllm:num_requests_running", seriesRunning},
	{"vllm:kv_cache_usage_perc", seriesKVUsage},
	{"vllm:gpu_cache_usage_perc", seriesKVUsage},
	{"vllm:lora_requests_info", seriesLoRA},
	{"vllm:cache_config_info", seriesCache},
	{"sglang:num_queue_reqs", seriesWaiting},
	{"sglang:num_running_reqs", seriesRunning},
	{"sglang:token_usage", seriesKVUsage},
	{"sglang:cache_config_info", seriesCache},
	{"trtllm_num_requests_waiting", seriesWaiting},
	{"trtllm_num_requests_running", seriesRunning},
	{"trtllm_kv_cache_utilization", seriesKVUsage},
}

// scan reads a page in Prometheus' text format. Lines that it does not
// understand are left out: a model server may report what it likes.
func scan(text []byte) page {
	var p page
	for len(text) > 0 {
		line := text
		if end := bytes.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end], text[end+1:]
		} else {
			text = nil
		}
		if promising(line) {
			p.line(line)
		}
	}
	return p
}

// promising rejects nearly all lines of a page by one or two bytes: comments,
// and of vLLM's the histograms that make up most of it.
func promising(line []byte) bool {
	if len(line) < len("vllm:n") {
		return false
	}
	switch line[0] {
	case 'v':
		c := line[len("vllm:")]
		return c == 'n' || c == 'k' || c == 'g' || c == 'l' || c == 'c'
	case 's', 't':
		return true
	}
	return false
}

func (p *page) line(line []byte) {
	for i := range names {
		n := &names[i]
		if !bytes.HasPrefix(line, []byte(n.name)) {
			continue
		}
		labels, value, ok := sample(line[len(n.name):])
		if ok {
			p.add(n.series, labels, value)
		}
		return
	}
}

func (p *page) add(s series, labels []byte, value float64) {
	switch s {
	case seriesWaiting:
		p.waiting += value
	case seriesRunning:
		p.running += value
		p.modelName = label(labels, "model_name")
	case seriesKVUsage:
		p.kvUsage = max(p.kvUsage, value)
	case seriesLoRA:
		// One series a state; old ones stay. The value is when it was set.
		if p.loraLabels != nil && value < p.loraTime {
			return
		}
		p.loraLabels, p.loraTime = labels, value
	case seriesCache:
		p.cacheLabels = labels
	}
	p.found |= s
}

// sample splits what follows a metric's name into its label set, without
// braces, and its value. It fails when the name goes on (a longer metric), and
// on values that are no sensible count: negative, infinite, not a number.
func sample(rest []byte) (labels []byte, value float64, ok bool) {
	if len(rest) > 0 && rest[0] == '{' {
		end := labelsEnd(rest)
		if end < 0 {
			return nil, 0, false
		}
		labels, rest = rest[1:end], rest[end+1:]
	}
	if len(rest) == 0 || (rest[0] != ' ' && rest[0] != '\t') {
		return nil, 0, false
	}
	number, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte{' '}) // a timestamp may follow
	value, err := strconv.ParseFloat(string(number), 64)
	if err != nil || value < 0 || math.IsInf(value, 0) || math.IsNaN(value) {
		return nil, 0, false
	}
	return labels, value, true
}

// labelsEnd finds the brace that closes a label set; braces and escaped quotes
// may stand inside values.
func labelsEnd(s []byte) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if quoted {
				i++
			}
		case '"':
			quoted = !quoted
		case '}':
			if !quoted {
				return i
			}
		}
	}
	return -1
}

// label returns the raw value of a label of a label set, nil without it.
func label(labels []byte, name string) []byte {
	for len(labels) > 0 {
		eq := bytes.IndexByte(labels, '=')
		if eq < 0 || eq+1 >= len(labels) || labels[eq+1] != '"' {
			return nil
		}
		key := bytes.TrimLeft(labels[:eq], ", ")
		value := labels[eq+2:]
		end := 0
		for end < len(value) && value[end] != '"' {
			if value[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(value) {
			return nil
		}
		if string(key) == name {
			return value[:end]
		}
		labels = value[end+1:]
	}
	return nil
}
