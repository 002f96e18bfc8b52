package vllmsim

import (
	"strings"
	"time"
)

// stats are the figures behind the metrics page. The engine's lock guards them.
type stats struct {
	promptTokens, generationTokens int
	success                        map[string]int // by finished_reason

	ttft, interToken, perToken, e2e, queue, inference, prefill, decode histogram // seconds
	requestPrompt, requestGeneration                                   histogram // tokens

	loras    map[loraState]float64 // unix time of the last moment in a state
	loraTime float64
}

// A loraState is one label set of vllm:lora_requests_info.
type loraState struct{ running, waiting string }

func newStats() stats {
	return stats{
		success:           map[string]int{"stop": 0, "length": 0, "abort": 0},
		ttft:              newHistogram(firstTokenBuckets),
		interToken:        newHistogram(tokenBuckets),
		perToken:          newHistogram(tokenBuckets),
		e2e:               newHistogram(requestBuckets),
		queue:             newHistogram(requestBuckets),
		inference:         newHistogram(requestBuckets),
		prefill:           newHistogram(requestBuckets),
		decode:            newHistogram(requestBuckets),
		requestPrompt:     newHistogram(sizeBuckets),
		requestGeneration: newHistogram(sizeBuckets),
		loras:             map[loraState]float64{},
	}
}

func (s *stats) firstToken(seq *sequence) {
	s.promptTokens += seq.promptTokens
	s.generationTokens++
	s.ttft.observe(seq.first.Sub(seq.arrived).Seconds())
}

func (s *stats) nextToken(gap time.Duration) {
	s.generationTokens++
	s.interToken.observe(gap.Seconds())
}

func (s *stats) finished(seq *sequence, reason string) {
	s.success[reason]++
	now := time.Now()
	s.e2e.observe(now.Sub(seq.arrived).Seconds())
	if seq.started.IsZero() { // given up in the queue
		return
	}
	s.queue.observe(seq.started.Sub(seq.arrived).Seconds())
	s.inference.observe(now.Sub(seq.started).Seconds())
	s.requestPrompt.observe(float64(seq.promptTokens))
	generated := seq.held - seq.promptTokens
	s.requestGeneration.observe(float64(generated))
	if generated == 0 {
		s.promptTokens += seq.promptTokens // firstToken counted it otherwise
		return
	}
	s.prefill.observe(seq.first.Sub(seq.started).Seconds())
	s.decode.observe(seq.latest.Sub(seq.first).Seconds())
	if generated > 1 {
		s.perToken.observe(seq.latest.Sub(seq.first).Seconds() / float64(generated-1))
	}
}

// adapters marks a state as the present one. Times rise strictly, so that the
// newest series is always the one with the largest value.
func (s *stats) adapters(running, waiting []string) {
	now := float64(time.Now().UnixNano()) / 1e9
	s.loraTime = max(now, s.loraTime+1e-6)
	s.loras[loraState{strings.Join(running, ","), strings.Join(waiting, ",")}] = s.loraTime
}

// A histogram is a Prometheus histogram.
type histogram struct {
	bounds []float64
	counts []int // of one bucket alone, the last beyond all bounds
	sum    float64
}

func newHistogram(bounds []float64) histogram {
	return histogram{bounds: bounds, counts: make([]int, len(bounds)+1)}
}

func (h *histogram) observe(v float64) {
	i := 0
	for i < len(h.bounds) && v > h.bounds[i] {
		i++
	}
	h.counts[i]++
	h.sum += v
}

// The bounds are about as many and as wide as vLLM's.
var (
	firstTokenBuckets = []float64{.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560}
	tokenBuckets      = []float64{.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	requestBuckets    = []float64{.3, .5, .8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	sizeBuckets       = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000}
)
