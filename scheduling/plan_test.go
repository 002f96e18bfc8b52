package scheduling_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"sigs.k8s.io/yaml"

	"semantic-epp/classifier"
	"semantic-epp/config"
	"semantic-epp/scheduling"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compile makes a policy of a configuration in YAML; every text means the
// vector that its first letter stands for.
func compile(t testing.TB, text string) *scheduling.Policy {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.DecodeRouter(data)
	if err != nil {
		t.Fatal(err)
	}
	p, err := scheduling.Compile(cfg, meaning)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func meaning(text string) ([]float32, error) {
	v := make([]float32, 256)
	if text != "" {
		v[text[0]] = 2
	}
	return v, nil
}

// one is a policy of one rule.
func one(t testing.TB, when string) *scheduling.Policy {
	t.Helper()
	return compile(t, "{defaultModel: a, models: [{name: a}, {name: b}], trustedHeaders: [x-u], rules: [{name: r, models: [{name: b}], when: "+when+"}]}")
}

// outcome is what the rule of one came to.
func outcome(p *scheduling.Policy, s scheduling.Signals) string {
	d := p.Decide(s)
	switch {
	case d.Denied:
		return "deny"
	case d.Rule != "":
		return "yes"
	}
	return "no"
}

func TestConditionsThatCannotBeEvaluated(t *testing.T) {
	// With a broken classifier, domain is neither true nor false; go is there
	// and rust is not.
	tests := map[string]string{
		"{domain: d}":                                                 "no",
		"{not: {domain: d}}":                                          "no",
		"{any: [{domain: d}, {keyword: [go]}]}":                       "yes",
		"{any: [{domain: d}, {keyword: [rust]}]}":                     "no",
		"{not: {all: [{domain: d}, {keyword: [rust]}]}}":              "yes",
		"{not: {any: [{domain: d}, {keyword: [rust]}]}}":              "no",
		"{domain: d, onError: match}":                                 "yes",
		"{not: {domain: d, onError: match}}":                          "no",
		"{not: {domain: d, onError: noMatch}}":                        "yes",
		"{not: {domain: d}, onError: match}":                          "yes",
		"{domain: d, onError: deny}":                                  "deny",
		"{domain: d, keyword: [rust], onError: deny}":                 "no",
		"{domain: d, keyword: [go], onError: deny}":                   "deny",
		"{any: [{domain: d, onError: deny}, {keyword: [go]}]}":        "yes",
		"{any: [{domain: d, onError: deny}, {keyword: [rust]}]}":      "deny",
		"{not: {domain: d, onError: deny}}":                           "deny",
		"{all: [{domain: d, onError: deny}, {domain: e}]}":            "deny",
		"{domain: d, onError: deny, not: {keyword: [go]}}":            "no",
		"{all: [{domain: d, onError: deny}], onError: noMatch}":       "deny",
		"{all: [{domain: d, onError: match}, {keyword: [go, java]}]}": "yes",
		"{keyword: [go], onError: deny}":                              "yes",
		"{embedding: {examples: [x]}}":                                "no",
		"{embedding: {examples: [x]}, onError: match}":                "yes",
		"{complexity: {hard: [x], easy: [z]}, onError: deny}":         "deny",
	}
	for when, want := range tests {
		t.Run(when, func(t *testing.T) {
			got := outcome(one(t, when), scheduling.Signals{
				Text:   "go",
				Domain: func() scheduling.Domain { return scheduling.Domain{Problem: scheduling.Timeout} },
				Embed:  func() ([]float32, error) { return nil, errors.New("broken") },
			})
			if got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestRefusalsHaveAReason(t *testing.T) {
	for name, tc := range map[string]struct {
		when   string
		signal scheduling.Signals
		want   scheduling.Reason
	}{
		"a slow classifier": {"{domain: d, onError: deny}", scheduling.Signals{Domain: func() scheduling.Domain { return scheduling.Domain{Problem: scheduling.Timeout} }}, scheduling.Timeout},
		"an embedder that is overloaded": {"{embedding: {examples: [x]}, onError: deny}", scheduling.Signals{Embed: func() ([]float32, error) {
			return nil, fmt.Errorf("embed: %w", classifier.ErrOverloaded)
		}}, scheduling.Overloaded},
		"an embedder that panics": {"{domain: d, any: [{embedding: {examples: [x]}}, {regex: nothing}], onError: deny}", scheduling.Signals{Embed: func() ([]float32, error) { panic("embedder") }, Domain: found("d", 1)}, scheduling.Failed},
		"vectors of another size": {"{embedding: {examples: [x]}, onError: deny}", scheduling.Signals{Embed: func() ([]float32, error) { return []float32{1}, nil }}, scheduling.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			if d := one(t, tc.when).Decide(tc.signal); !d.Denied || d.Reason != tc.want || d.Best() != "a" {
				t.Errorf("got %+v, want reason %s", d, tc.want)
			}
		})
	}
}

func TestSourcesAreAskedOnceAndOnlyWhenNeeded(t *testing.T) {
	const three = `{defaultModel: a, models: [{name: a}], rules: [
		{name: words, when: {keyword: [go]}, models: [{name: a}]},
		{name: both, when: {domain: d, embedding: {examples: [x]}}, models: [{name: a}]},
		{name: domain, when: {domain: e, regex: yes!}, models: [{name: a}]}]}`
	tests := map[string]struct {
		config, text string
		want         string // which sources
	}{
		"a keyword decides before":                {three, "go", ""},
		"two sources are needed":                  {three, "x", "domain embed "},
		"a rule that would need them is lost":     {three[:strings.Index(three, "{name: both")] + `{name: domain, when: {domain: e, regex: yes!}, models: [{name: a}]}]}`, "x", ""},
		"one of two alternatives is there":        {`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {any: [{domain: d}, {keyword: [go]}]}, models: [{name: a}]}]}`, "go", ""},
		"by confidence, the surest is looked for": {`{defaultModel: a, strategy: confidence, models: [{name: a}], rules: [{name: r, when: {any: [{domain: d}, {keyword: [go, rust]}]}, models: [{name: a}]}]}`, "go", "domain "},
		"a lower tier has decided":                {`{defaultModel: a, strategy: confidence, models: [{name: a}], rules: [{name: r, when: {keyword: [go, rust]}, models: [{name: a}]}, {name: s, tier: 1, when: {domain: d}, models: [{name: a}]}]}`, "go", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			asked := map[string]int{}
			note := func(source string) { mu.Lock(); asked[source]++; mu.Unlock() }
			compile(t, tc.config).Decide(scheduling.Signals{
				Text:   tc.text,
				Domain: func() scheduling.Domain { note("domain"); return scheduling.Domain{Category: "d", Confidence: 0.9} },
				Embed:  func() ([]float32, error) { note("embed"); return meaning(tc.text) },
			})
			got := ""
			for _, source := range []string{"domain", "embed"} {
				if asked[source] > 0 {
					got += source + " "
				}
				if asked[source] > 1 {
					t.Errorf("%s asked %d times", source, asked[source])
				}
			}
			if got != tc.want {
				t.Errorf("asked %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSourcesAreAskedAtTheSameTime(t *testing.T) {
	p := one(t, "{domain: d, embedding: {examples: [x]}}")
	classifying, embedding := make(chan struct{}), make(chan struct{})
	meet := func(mine, other chan struct{}) {
		close(mine)
		select {
		case <-other:
		case <-time.After(10 * time.Second):
			t.Error("the other source was not asked meanwhile")
		}
	}
	d := p.Decide(scheduling.Signals{
		Text: "x",
		Domain: func() scheduling.Domain {
			meet(classifying, embedding)
			return scheduling.Domain{Category: "d", Confidence: 1}
		},
		Embed: func() ([]float32, error) { meet(embedding, classifying); return meaning("x") },
	})
	if d.Rule != "r" {
		t.Errorf("got %+v", d)
	}
}

func TestKeywordMethods(t *testing.T) {
	tests := map[string]struct {
		when, text string
		want       string
	}{
		"one typing error":                         {"{any: [urgent], method: fuzzy}", "this is urgnt!", "yes"},
		"two typing errors":                        {"{any: [urgent], method: fuzzy}", "this is urgnet!", "yes"},
		"three typing errors":                      {"{any: [urgent], method: fuzzy}", "this is rgnet!", "no"},
		"one where one is allowed":                 {"{any: [urgent], method: fuzzy, distance: 1}", "urgant", "yes"},
		"two where one is allowed":                 {"{any: [urgent], method: fuzzy, distance: 1}", "argant", "no"},
		"a short word must be right":               {"{any: [go], method: fuzzy}", "do it", "no"},
		"a phrase with errors":                     {"{any: [money back], method: fuzzy}", "I want my mony bakc now", "no"},
		"a phrase with an error a word":            {"{any: [money back], method: fuzzy}", "I want my mony bac now", "yes"},
		"words of a phrase apart":                  {"{any: [money back], method: fuzzy}", "my money is back", "no"},
		"case folds in fuzzy words":                {"{any: [Urgent], method: fuzzy}", "URGNT", "yes"},
		"a fuzzy word that must not be there":      {"{any: [refund], none: [refuse], method: fuzzy, distance: 1}", "refunt, I refuze", "no"},
		"letters swapped":                          {"{any: [urgent], method: ngram}", "urgnet", "yes"},
		"an ending":                                {"{any: [contract], method: ngram}", "contracts", "yes"},
		"another word":                             {"{any: [contract], method: ngram}", "cooking with garlic", "no"},
		"the same word, fully similar":             {"{any: [contract], method: ngram, threshold: 1}", "a contract", "yes"},
		"a phrase of letter groups":                {"{any: [breach of contract], method: ngram, threshold: 0.8}", "breech of contract", "yes"},
		"one mention in a short prompt":            {"{any: [refund], method: bm25}", "where is my refund", "yes"},
		"one mention in a very long prompt":        {"{any: [refund], method: bm25}", "refund " + strings.Repeat("word ", 1000), "no"},
		"many mentions in a long prompt":           {"{any: [refund], method: bm25}", strings.Repeat("refund ", 30) + strings.Repeat("word ", 1000), "yes"},
		"several words that are enough together":   {"{any: [refund, money], method: bm25, threshold: 0.6}", "refund my money", "yes"},
		"one of them that is not":                  {"{any: [refund, money], method: bm25, threshold: 0.6}", "refund my shoes", "no"},
		"a Greek word in upper case":               {"{any: [σήμα]}", "ΣΉΜΑ", "yes"},
		"a word that overlaps with itself":         {"{any: [a-a]}", "xa-a-a", "yes"},
		"a word inside another that is looked for": {"{all: [new, new york]}", "new york", "yes"},
		"signs right after a word":                 {"{any: [c, c++]}", "c++", "yes"},
		"a sign that stands anywhere":              {"{any: ['#']}", "issue#5", "yes"},
		"Thai has no borders":                      {"{any: [คณิต]}", "เรียนคณิตศาสตร์", "yes"},
		"a fuzzy Chinese word":                     {"{any: [数学问题], method: fuzzy}", "这是数学问题", "yes"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := outcome(one(t, "{keyword: "+tc.when+"}"), scheduling.Signals{Text: tc.text}); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestFieldsOfRequests(t *testing.T) {
	tests := map[string]struct {
		when    string
		headers map[string]string
		want    string
	}{
		"a value":              {"{header: {x-u: a}}", map[string]string{"x-u": "a"}, "yes"},
		"another value":        {"{header: {x-u: a}}", map[string]string{"x-u": "b"}, "no"},
		"no value":             {"{header: {x-u: a}}", nil, "no"},
		"a prefix":             {"{header: {x-u: {prefix: team-}}}", map[string]string{"x-u": "team-7"}, "yes"},
		"an expression":        {"{header: {x-u: {regex: '^\\d+$'}}}", map[string]string{"x-u": "17"}, "yes"},
		"not the expression":   {"{header: {x-u: {regex: '^\\d+$'}}}", map[string]string{"x-u": "17a"}, "no"},
		"a prefix and a list":  {"{header: {x-u: {prefix: a, in: [b]}}}", map[string]string{"x-u": "b"}, "no"},
		"anything":             {"{header: {x-u: {present: true}}}", map[string]string{"x-u": ""}, "yes"},
		"nothing":              {"{header: {x-u: {present: false}}}", nil, "yes"},
		"something":            {"{header: {x-u: {present: false}}}", map[string]string{"x-u": "a"}, "no"},
		"not that value":       {"{not: {header: {x-u: a}}}", nil, "yes"},
		"the request's stream": {"{conversation: {stream: true, turns: {min: 1, max: 2}}}", nil, "yes"},
		"too many turns":       {"{conversation: {turns: {max: 1}}}", nil, "no"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := outcome(one(t, tc.when), scheduling.Signals{
				Header: func(name string) (string, bool) { v, ok := tc.headers[name]; return v, ok },
				Shape:  scheduling.Shape{Stream: true, Turns: 2},
			})
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestWeightsSplitRequests(t *testing.T) {
	p := compile(t, `{defaultModel: a, models: [{name: a}, {name: b}, {name: c}], rules: [
		{name: r, when: {regex: .}, models: [{name: a, weight: 90}, {name: b, weight: 10}, {name: c, weight: 0}]}]}`)
	const n = 20000
	for _, sticky := range []bool{true, false} {
		first := map[string]int{}
		for i := range n {
			s := scheduling.Signals{Text: "x"}
			if sticky {
				s.Sticky = fmt.Sprint("user", i)
			}
			d := p.Decide(s)
			if len(d.Models) != 3 {
				t.Fatalf("got %+v", d.Models)
			}
			first[d.Best()]++
		}
		if share := float64(first["b"]) / n; share < 0.08 || share > 0.12 || first["c"] > 0 {
			t.Errorf("sticky %t: first are %v of %d", sticky, first, n)
		}
	}
}

func TestCompileNeedsAnEmbedderForExamples(t *testing.T) {
	cfg, err := config.DecodeRouter([]byte(`{"defaultModel": "a", "models": [{"name": "a"}], "rules": [
		{"name": "r", "when": {"not": {"embedding": {"examples": ["x", "y"]}}}, "models": [{"name": "a"}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for want, embed := range map[string]scheduling.Embedder{
		"rules[0] (r): embedding: needs a classifier that embeds texts": nil,
		"embed example 0: broken":                      func(string) ([]float32, error) { return nil, errors.New("broken") },
		"embed example 0: the vector has no direction": func(string) ([]float32, error) { return make([]float32, 3), nil },
		"embed example 1: a vector of 3 numbers where others have 2": func(text string) ([]float32, error) {
			return []float32{1, 1, 1}[:2+int(text[0]-'x')], nil
		},
	} {
		if _, err := scheduling.Compile(cfg, embed); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v has no %q", err, want)
		}
	}
}

func TestExplainSaysWhyAndKeepsSecrets(t *testing.T) {
	p := compile(t, `
defaultModel: a
models: [{name: a}, {name: b}]
trustedHeaders: [x-u]
signals: {team: {header: {x-u: secretheader}}}
rules:
- {name: words, when: {keyword: {any: [secretword, other], none: [x]}, contextTokens: {min: 100}}, models: [{name: b}]}
- {name: team, when: {signal: team, not: {domain: law}}, models: [{name: b}]}
- {name: late, when: {any: [{embedding: {examples: [z]}}]}, models: [{name: b}]}`)
	trace := p.Explain(scheduling.Signals{
		Text:   "secretword in a prompt",
		Header: func(string) (string, bool) { return "secretheader", true },
		Domain: found("math", 0.9),
	})
	var b strings.Builder
	for _, r := range trace.Rules {
		fmt.Fprintf(&b, "%s: %s\n", r.Name, r.Outcome)
		for _, part := range r.Parts {
			fmt.Fprintf(&b, "  %s: %s (%s)\n", part.Key, part.Outcome, part.Found)
		}
	}
	const want = `words: does not hold
  keyword: holds (1 of 2 words, 0 of 1 excluded words)
  contextTokens: does not hold (about 6 tokens, needs 100 or more)
team: holds
  signal team: header.x-u: holds (present)
  not.domain: does not hold (math 90 %, needs law 50 %)
late: not needed
  any[0].embedding: not needed ()
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if text := fmt.Sprintf("%+v", trace); strings.Contains(text, "secret") {
		t.Errorf("a secret got out: %s", text)
	}
}

func TestDecideForgetsRequests(t *testing.T) {
	p := compile(t, `{defaultModel: a, models: [{name: a}, {name: b}], rules: [
		{name: f, when: {keyword: {any: [urgent], method: fuzzy}}, models: [{name: b}]},
		{name: near, when: {keyword: {any: [refund], method: ngram}}, models: [{name: b}]},
		{name: w, when: {keyword: [golang]}, models: [{name: b}]},
		{name: l, when: {language: de}, models: [{name: b}]},
		{name: e, when: {embedding: {examples: [x]}}, models: [{name: b}]},
		{name: d, when: {domain: law}, models: [{name: b}]}]}`)
	texts := map[string]string{"urgnt": "f", "refunds": "near", "a golang": "w", "wie geht es dir": "l", "x": "e", "law": "d", "else": ""}
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 200 {
				for text, rule := range texts {
					d := p.Decide(scheduling.Signals{
						Text:   text,
						Domain: found(text, 0.9),
						Embed:  func() ([]float32, error) { return meaning(text) },
					})
					if d.Rule != rule {
						t.Errorf("%q goes to %q, want %q", text, d.Rule, rule)
						return
					}
				}
			}
		})
	}
	wait.Wait()
}

// TestShadowedRulesNeverDecide checks validation against evaluation: of random
// pairs of conditions, those that are refused must be refused rightly.
func TestShadowedRulesNeverDecide(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	leaves := []string{"domain: d", "domain: [d, e]", "domain: d, minConfidence: 0.8", "keyword: [v]", "keyword: [v, w]",
		"keyword: {all: [v, w]}", "keyword: {any: [v], none: [w]}", "contextTokens: {min: 3}", "contextTokens: {min: 2, max: 9}"}
	var condition func(depth int) string
	condition = func(depth int) string {
		onError := []string{"", "", "", ", onError: match", ", onError: deny", ", onError: noMatch"}[random.IntN(6)]
		switch kind := random.IntN(6); {
		case depth == 0 || kind < 2:
			return "{" + leaves[random.IntN(len(leaves))] + onError + "}"
		case kind == 2:
			return "{not: " + condition(depth-1) + onError + "}"
		case kind < 5:
			return "{any: [" + condition(depth-1) + ", " + condition(depth-1) + "]" + onError + "}"
		default:
			return "{all: [" + condition(depth-1) + ", " + condition(depth-1) + "]" + onError + "}"
		}
	}
	refused := 0
	for range 800 {
		first, second := condition(2), condition(2)
		data, err := yaml.YAMLToJSON(fmt.Appendf(nil, "{defaultModel: a, models: [{name: a}], rules: [{name: first, models: [{name: a}], when: %s}, {name: second, models: [{name: a}], when: %s}]}", first, second))
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.DecodeRouter(data)
		if err == nil {
			continue
		}
		refused++
		never := map[string]bool{
			"first":  strings.Contains(err.Error(), "rules[0].when: never holds"),
			"second": strings.Contains(err.Error(), "rules[1].when: never holds") || strings.Contains(err.Error(), "rules[1]: never decides"),
		}
		p, err := scheduling.Compile(cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"", "v", "w", "v w", "v w and a few more words", strings.Repeat("v ", 50)} {
			for _, d := range []scheduling.Domain{{}, {Category: "d", Confidence: 0.6}, {Category: "d", Confidence: 0.9}, {Category: "e", Confidence: 0.9}, {Problem: scheduling.Timeout}} {
				got := p.Decide(scheduling.Signals{Text: text, Domain: func() scheduling.Domain { return d }})
				if never[got.Rule] {
					t.Fatalf("%q with %+v goes to rule %s, denied %t, of\n%s\n%s", text, d, got.Rule, got.Denied, first, second)
				}
			}
		}
	}
	if refused < 20 {
		t.Errorf("only %d of the pairs were refused: the test shows nothing", refused)
	}
}
