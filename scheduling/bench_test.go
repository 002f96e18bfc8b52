package scheduling_test

import (
	"fmt"
	"strings"
	"testing"

	"semantic-epp/classifier"
	"semantic-epp/scheduling"
)

// fifty are rules of which none but the last holds, with keywords and domains
// as operators write them.
func fifty(t testing.TB) (*scheduling.Policy, scheduling.Signals) {
	domains := []string{"biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", "law", "math"}
	var rules []string
	for i := range 49 {
		switch i % 3 {
		case 0:
			rules = append(rules, fmt.Sprintf(`{"name": "r%d", "when": {"keyword": ["alpha%d", "beta%d", "gamma ray%d", "delta%d"]}, "models": [{"name": "code"}]}`, i, i, i, i, i))
		case 1:
			rules = append(rules, fmt.Sprintf(`{"name": "r%d", "when": {"domain": %q, "minConfidence": %v}, "models": [{"name": "code"}]}`,
				i, domains[i/3%10], 0.95-float64(i)/100))
		case 2:
			rules = append(rules, fmt.Sprintf(`{"name": "r%d", "when": {"any": [{"keyword": {"all": ["epsilon%d", "zeta%d"]}}, {"domain": %q, "keyword": ["the", "eta%d"]}]}, "models": [{"name": "code"}]}`,
				i, i, i, domains[i/3%10], i))
		}
	}
	rules = append(rules, `{"name": "last", "when": {"domain": "physics"}, "models": [{"name": "math", "weight": 1}, {"name": "general", "weight": 1}]}`)
	text := strings.Repeat("Why does the quick brown fox jump over the lazy dog, and how far? ", 32)[:2048]
	probabilities := []classifier.Probability{{Category: "physics", P: 0.95}}
	for _, d := range domains {
		probabilities = append(probabilities, classifier.Probability{Category: d, P: 0.005})
	}
	return policy(t, "["+strings.Join(rules, ",")+"]"), scheduling.Signals{
		Text:   text,
		Sticky: "session",
		Domain: func() scheduling.Domain {
			return scheduling.Domain{Category: "physics", Confidence: 0.95, Probabilities: probabilities}
		},
	}
}

func BenchmarkDecideFiftyRules(b *testing.B) {
	p, s := fifty(b)
	if got := p.Decide(s); got.Rule != "last" {
		b.Fatalf("rule %q decided", got.Rule)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(s)
	}
}

func TestDecideAllocates(t *testing.T) {
	p, s := fifty(t)
	if n := testing.AllocsPerRun(100, func() { p.Decide(s) }); n > 5 {
		t.Errorf("%v allocations a decision; 5 would do", n)
	}
}

func BenchmarkDecideNearKeywords(b *testing.B) {
	text := strings.Repeat("Why does the quick brown fox jump over the lazy dog, and how far? ", 260)[:16<<10]
	var words []string
	for i := range 64 {
		words = append(words, fmt.Sprintf("%q", strings.Repeat(string(rune('a'+i%26)), 3)+"gent"+string(rune('a'+i/26))))
	}
	for _, method := range []string{"fuzzy", "ngram", "bm25"} {
		for _, n := range []int{4, 64} {
			p := policy(b, fmt.Sprintf(`[{"name": "k", "when": {"keyword": {"method": %q, "any": [%s]}}, "models": [{"name": "code"}]}]`, method, strings.Join(words[:n], ",")))
			b.Run(fmt.Sprintf("%s/%d words/16 KiB", method, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					p.Decide(scheduling.Signals{Text: text})
				}
			})
		}
	}
}

func BenchmarkLanguage(b *testing.B) {
	text := strings.Repeat("Why does the quick brown fox jump over the lazy dog, and how far? ", 32)[:2048]
	b.ReportAllocs()
	for b.Loop() {
		scheduling.Language(text)
	}
}
