package scheduling

import (
	"fmt"
	"math"
	"strings"

	"semantic-epp/config"
)

// A matcher says how well a prompt matches each word of a condition.
type matcher interface {
	// has says whether the prompt has the word of that number.
	has(e *evaluation, word int) bool
	cost() int
}

// keywordLeaf holds when a prompt has one word of any, every word of all and
// no word of none. Words are numbers of its matcher.
type keywordLeaf struct {
	any, all, none []int
	words          matcher
	// sum, for bm25, weighs the words of any together.
	sum func(e *evaluation, any []int) bool
}

func (b *builder) newKeyword(k *config.Keyword) *keywordLeaf {
	which := folded
	fold := strings.ToLower
	if k.CaseSensitive {
		which, fold = verbatim, func(s string) string { return s }
	}
	l := &keywordLeaf{}
	var number func(word string) int
	switch k.Method {
	case config.Fuzzy:
		m := &fuzzy{which: which, distance: k.Distance}
		l.words, number = m, m.add
	case config.NGram:
		m := &ngrams{which: which, arity: k.Arity, threshold: *k.Threshold}
		l.words, number = m, m.add
	case config.BM25:
		m := &bm25{which: which, threshold: *k.Threshold}
		l.words, number, l.sum = m, b.plan.words[which].add, m.together
	default:
		l.words, number = exact{which: which}, b.plan.words[which].add
	}
	numbers := func(words []string) []int {
		ids := make([]int, len(words))
		for i, w := range words {
			ids[i] = number(fold(w))
		}
		return ids
	}
	l.any, l.all, l.none = numbers(k.Any), numbers(k.All), numbers(k.None)
	return l
}

func (l *keywordLeaf) needs() source { return 0 }
func (l *keywordLeaf) cost() int     { return l.words.cost() }

// test is as sure as vLLM Semantic Router's: half, and the other half for the
// share of the words that are there.
func (l *keywordLeaf) test(e *evaluation) result {
	for _, w := range l.none {
		if l.words.has(e, w) {
			return isNo
		}
	}
	for _, w := range l.all {
		if !l.words.has(e, w) {
			return isNo
		}
	}
	if len(l.any)+len(l.all) == 0 {
		return holds(1)
	}
	there := l.count(e, l.any)
	if len(l.any) > 0 {
		enough := there > 0
		if l.sum != nil {
			enough = l.sum(e, l.any)
		}
		if !enough {
			return isNo
		}
	}
	return holds(0.5 + 0.5*float64(there+len(l.all))/float64(len(l.any)+len(l.all)))
}

// count is how many of the words are there.
func (l *keywordLeaf) count(e *evaluation, words []int) int {
	n := 0
	for _, w := range words {
		if l.words.has(e, w) {
			n++
		}
	}
	return n
}

func (l *keywordLeaf) found(e *evaluation) string {
	text := fmt.Sprintf("%d of %d words", l.count(e, l.any)+l.count(e, l.all), len(l.any)+len(l.all))
	if len(l.none) > 0 {
		text += fmt.Sprintf(", %d of %d excluded words", l.count(e, l.none), len(l.none))
	}
	return text
}

// exact compares words as they are.
type exact struct{ which int }

func (m exact) cost() int                     { return search }
func (m exact) has(e *evaluation, w int) bool { return e.count(m.which)[w] > 0 }

// bm25 weighs how often a word stands in a prompt against the prompt's length:
// one mention in a long prompt is worth less than one in a short prompt. It is
// Okapi BM25 of a collection that is the prompt alone (Robertson and Zaragoza,
// "The Probabilistic Relevance Framework: BM25 and Beyond", 2009).
type bm25 struct {
	which     int
	threshold float64
}

const (
	bm25K1      = 1.2
	bm25B       = 0.75
	usualLength = 100 // words of a prompt
)

// rarity is the inverse document frequency of a word that is in the one
// document there is.
var rarity = math.Log(1 + 0.5/1.5)

func (m *bm25) cost() int { return compare }

func (m *bm25) score(e *evaluation, w int) float64 {
	n := float64(e.count(m.which)[w])
	if n == 0 {
		return 0
	}
	length := float64(len(e.split(m.which)))
	return rarity * n * (bm25K1 + 1) / (n + bm25K1*(1-bm25B+bm25B*length/usualLength))
}

func (m *bm25) has(e *evaluation, w int) bool { return m.score(e, w) >= m.threshold }

// together adds the scores of several words.
func (m *bm25) together(e *evaluation, words []int) bool {
	sum := 0.0
	for _, w := range words {
		sum += m.score(e, w)
	}
	return sum >= m.threshold
}
