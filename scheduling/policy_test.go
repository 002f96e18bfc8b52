package scheduling_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"semantic-epp/config"
	"semantic-epp/scheduling"
)

func policy(t testing.TB, rules string) *scheduling.Policy {
	t.Helper()
	cfg, err := config.DecodeRouter(json.RawMessage(`{
		"defaultModel": "general",
		"models": [{"name": "general"}, {"name": "math"}, {"name": "code"}],
		"rules": ` + rules + `}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := scheduling.Compile(cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func found(category string, confidence float64) func() scheduling.Domain {
	return func() scheduling.Domain { return scheduling.Domain{Category: category, Confidence: confidence} }
}

func TestDecide(t *testing.T) {
	const mathRule = `{"name": "math", "when": {"domain": "math"}, "models": [{"name": "general", "score": 0.4}, {"name": "math"}]}`
	const codeRule = `{"name": "code", "priority": 5, "when": {"keyword": ["golang", "c++"]}, "models": [{"name": "code"}]}`
	tests := map[string]struct {
		rules  string
		text   string
		domain func() scheduling.Domain
		best   string
		rule   string
		reason scheduling.Reason
	}{
		"a sure category chooses the best-scored model of its rule": {
			rules: "[" + mathRule + "]", text: "2+2", domain: found("math", 0.9), best: "math", rule: "math", reason: scheduling.Rule},
		"a category that no rule names goes to the default": {
			rules: "[" + mathRule + "]", text: "torts", domain: found("law", 0.9), best: "general", reason: scheduling.Default},
		"an unsure category goes to the default, and says so": {
			rules: "[" + mathRule + "]", text: "2+2", domain: found("math", 0.49), best: "general", reason: scheduling.Unsure},
		"a classifier without opinion is unsure": {
			rules: "[" + mathRule + "]", text: "?", domain: found("", 0), best: "general", reason: scheduling.Unsure},
		"a rule may ask for more confidence": {
			rules: `[{"name": "m", "when": {"domain": ["math"], "minConfidence": 0.95}, "models": [{"name": "math"}]}]`,
			text:  "2+2", domain: found("math", 0.9), best: "general", reason: scheduling.Unsure},
		"a broken classifier goes to the default": {
			rules: "[" + mathRule + "]", text: "2+2", best: "general", reason: scheduling.Failed,
			domain: func() scheduling.Domain { return scheduling.Domain{Problem: scheduling.Failed} }},
		"a slow classifier goes to the default": {
			rules: "[" + mathRule + "]", text: "2+2", best: "general", reason: scheduling.Timeout,
			domain: func() scheduling.Domain { return scheduling.Domain{Problem: scheduling.Timeout} }},
		"a rule of higher priority wins, and nothing is classified": {
			rules: "[" + mathRule + "," + codeRule + "]", text: "prove it in Golang", best: "code", rule: "code", reason: scheduling.Rule,
			domain: func() scheduling.Domain { panic("classified") }},
		"a keyword is a whole word": {
			rules: "[" + codeRule + "]", text: "golangish", best: "general", reason: scheduling.Default},
		"a keyword may end in signs": {
			rules: "[" + codeRule + "]", text: "what is C++20?", best: "code", rule: "code", reason: scheduling.Rule},
		"all words must be there": {
			rules: `[{"name": "r", "when": {"keyword": {"all": ["sum", "proof"]}}, "models": [{"name": "math"}]}]`,
			text:  "a proof", best: "general", reason: scheduling.Default},
		"no word of none may be there": {
			rules: `[{"name": "r", "when": {"keyword": {"any": ["proof"], "none": ["photo"]}}, "models": [{"name": "math"}]}]`,
			text:  "photo proof", best: "general", reason: scheduling.Default},
		"case counts where asked": {
			rules: `[{"name": "r", "when": {"keyword": {"any": ["Go"], "caseSensitive": true}}, "models": [{"name": "code"}]}]`,
			text:  "go there", best: "general", reason: scheduling.Default},
		"a word of a script without spaces needs no borders": {
			rules: `[{"name": "r", "when": {"keyword": ["数学"]}, "models": [{"name": "math"}]}]`,
			text:  "这是数学问题", best: "math", rule: "r", reason: scheduling.Rule},
		"one of several expressions is enough": {
			rules: `[{"name": "r", "when": {"regex": ["^x", "\\d+ *\\+ *\\d+"]}, "models": [{"name": "math"}]}]`,
			text:  "what is 2 + 2", best: "math", rule: "r", reason: scheduling.Rule},
		"all parts of a condition must hold": {
			rules: `[{"name": "r", "when": {"domain": "math", "regex": "proof"}, "models": [{"name": "math"}]}]`,
			text:  "2+2", domain: func() scheduling.Domain { panic("classified although the expression failed") },
			best: "general", reason: scheduling.Default},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := policy(t, tc.rules).Decide(scheduling.Signals{Text: tc.text, Domain: tc.domain})
			if got.Best() != tc.best || got.Rule != tc.rule || got.Reason != tc.reason {
				t.Errorf("got %s by rule %q, reason %s; want %s by rule %q, reason %s",
					got.Best(), got.Rule, got.Reason, tc.best, tc.rule, tc.reason)
			}
		})
	}
}

func TestDecideClassifiesOnce(t *testing.T) {
	p := policy(t, `[
		{"name": "a", "when": {"domain": "law"}, "models": [{"name": "code"}]},
		{"name": "b", "when": {"domain": "math"}, "models": [{"name": "math"}]}]`)
	calls := 0
	p.Decide(scheduling.Signals{Domain: func() scheduling.Domain {
		calls++
		return scheduling.Domain{Category: "math", Confidence: 1}
	}})
	if calls != 1 {
		t.Errorf("classified %d times", calls)
	}
}

func FuzzDecide(f *testing.F) {
	f.Add("what is 2+2", "math", 0.7)
	f.Add("\xff\xfe", "", -1.0)
	p := policy(f, `[
		{"name": "k", "when": {"keyword": {"any": ["go", "é", "数"], "none": ["x"]}}, "models": [{"name": "code"}]},
		{"name": "m", "when": {"domain": "math"}, "models": [{"name": "math"}]}]`)
	f.Fuzz(func(t *testing.T, text, category string, confidence float64) {
		s := scheduling.Signals{Text: text, Domain: found(category, confidence)}
		got, again := p.Decide(s), p.Decide(s)
		if got.Best() != again.Best() || got.Reason != again.Reason {
			t.Errorf("not deterministic: %+v, then %+v", got, again)
		}
		if (got.Rule != "") != (got.Reason == scheduling.Rule) {
			t.Errorf("rule %q with reason %s", got.Rule, got.Reason)
		}
	})
}

func BenchmarkDecideKeywords(b *testing.B) {
	p := policy(b, `[{"name": "k", "when": {"keyword": ["golang", "rust", "python"]}, "models": [{"name": "code"}]}]`)
	text := strings.Repeat("the quick brown fox jumps over the lazy dog ", 400)[:16<<10]
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(scheduling.Signals{Text: text})
	}
}

func ExamplePolicy_Decide() {
	cfg, _ := config.DecodeRouter(json.RawMessage(`{
		"defaultModel": "llama3-8b",
		"models": [{"name": "llama3-8b"}, {"name": "phi4-mini"}],
		"classifier": {"timeout": "50ms"},
		"rules": [{"name": "math", "when": {"domain": "math"}, "models": [{"name": "phi4-mini"}]}]}`))
	p, _ := scheduling.Compile(cfg, nil)
	d := p.Decide(scheduling.Signals{Text: "2+2", Domain: func() scheduling.Domain {
		return scheduling.Domain{Category: "math", Confidence: 0.98}
	}})
	fmt.Println(d.Best(), d.Reason, d.Rule, time.Duration(cfg.Classifier.Timeout))
	// Output: phi4-mini rule math 50ms
}
