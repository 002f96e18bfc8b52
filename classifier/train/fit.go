package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"semantic-epp/classifier/linear"
)

// settings of the training. The defaults in main did best on val.jsonl.
type settings struct {
	buckets int
	epochs  int
	rate    float64 // of learning, in the first epoch; it falls to 0
	decay   float64 // L2
	smooth  float64 // label smoothing
	seed    uint64  // of the order in which examples are seen
}

// check names every setting that cannot be.
func (s settings) check() error {
	var errs []error
	if s.buckets < 1 || s.buckets > 1<<20 {
		errs = append(errs, fmt.Errorf("-buckets is %d, not within 1 to %d", s.buckets, 1<<20))
	}
	if s.epochs < 1 {
		errs = append(errs, fmt.Errorf("-epochs is %d, below 1", s.epochs))
	}
	if !(s.rate > 0) {
		errs = append(errs, fmt.Errorf("-rate is %v, not above 0", s.rate))
	}
	if !(s.decay >= 0) {
		errs = append(errs, fmt.Errorf("-decay is %v, below 0", s.decay))
	}
	if !(s.smooth >= 0 && s.smooth < 1) {
		errs = append(errs, fmt.Errorf("-smooth is %v, not within 0 to 1", s.smooth))
	}
	return errors.Join(errs...)
}

// biasRate is the rate for biases in proportion to that for weights: every
// example moves them.
const biasRate = 0.01

// An example is a question as the model sees it.
type example struct {
	features []uint32
	label    int
}

func labelsOf(questions []question) []string {
	var labels []string
	for _, q := range questions {
		labels = append(labels, q.Label)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func (s settings) examples(questions []question, labels []string) ([]example, error) {
	x := linear.NewExtractor(s.buckets)
	var all []example
	for _, q := range questions {
		label, ok := slices.BinarySearch(labels, q.Label)
		if !ok {
			return nil, fmt.Errorf("no question of train.jsonl has the label %q", q.Label)
		}
		all = append(all, example{slices.Clone(x.Features(q.Text, s.buckets)), label})
	}
	return all, nil
}

// fit minimizes the cross-entropy by stochastic gradient descent with
// AdaGrad's rate for each weight (Duchi, Hazan, Singer 2011).
func (s settings) fit(examples []example, labels []string) linear.Parameters {
	n := len(labels)
	p := linear.Parameters{Labels: labels, Buckets: s.buckets, Bias: make([]float32, n), Weights: make([]float32, n*s.buckets)}
	seen := make([]float32, n*s.buckets) // sums of squared gradients
	logits := make([]float64, n)
	random := rand.New(rand.NewPCG(s.seed, 0))
	order := make([]int, len(examples))
	for i := range order {
		order[i] = i
	}
	for epoch := range s.epochs {
		random.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		rate := s.rate * (1 - float64(epoch)/float64(s.epochs))
		for _, i := range order {
			s.step(&p, seen, examples[i], logits, rate)
		}
	}
	return p
}

func (s settings) step(p *linear.Parameters, seen []float32, e example, logits []float64, rate float64) {
	if len(e.features) == 0 {
		return
	}
	n := len(p.Labels)
	value := 1 / math.Sqrt(float64(len(e.features)))
	score(p, e.features, logits)
	softmax(logits)
	for label := range logits { // now the gradients of the logits
		target := s.smooth / float64(n)
		if label == e.label {
			target += 1 - s.smooth
		}
		logits[label] -= target
		p.Bias[label] -= float32(rate * biasRate * logits[label])
	}
	for _, bucket := range e.features {
		w := p.Weights[int(bucket)*n:][:n]
		g2 := seen[int(bucket)*n:][:n]
		for label, d := range logits {
			g := d*value + s.decay*float64(w[label])
			g2[label] += float32(g * g)
			w[label] -= float32(rate * g / (math.Sqrt(float64(g2[label])) + 1e-6))
		}
	}
}

// score computes the logits as linear.Classifier does.
func score(p *linear.Parameters, features []uint32, logits []float64) {
	n := len(p.Labels)
	clear(logits)
	for _, bucket := range features {
		for label, w := range p.Weights[int(bucket)*n:][:n] {
			logits[label] += float64(w)
		}
	}
	value := 1 / math.Sqrt(float64(max(1, len(features))))
	for label := range logits {
		logits[label] = logits[label]*value + float64(p.Bias[label])
	}
}

// calibrate divides the parameters by the temperature at which the examples
// are most likely (Guo et al. 2017), and returns it.
func calibrate(p *linear.Parameters, examples []example) float64 {
	logits := make([]float64, len(p.Labels))
	loss := func(temperature float64) (sum float64) {
		for _, e := range examples {
			score(p, e.features, logits)
			for label := range logits {
				logits[label] /= temperature
			}
			softmax(logits)
			sum -= math.Log(max(1e-12, logits[e.label]))
		}
		return sum
	}
	low, high := 0.1, 10.0 // the loss has one minimum: thirds close in on it
	for high/low > 1.001 {
		a, b := math.Cbrt(low*low*high), math.Cbrt(low*high*high)
		if loss(a) < loss(b) {
			high = b
		} else {
			low = a
		}
	}
	temperature := math.Sqrt(low * high)
	for _, part := range [][]float32{p.Bias, p.Weights} {
		for i := range part {
			part[i] /= float32(temperature)
		}
	}
	return temperature
}

func softmax(logits []float64) {
	highest, sum := slices.Max(logits), 0.0
	for i, l := range logits {
		logits[i] = math.Exp(l - highest)
		sum += logits[i]
	}
	for i := range logits {
		logits[i] /= sum
	}
}
