package config_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"semantic-epp/config"
)

// small is a valid configuration around what a test is about: keys at the top,
// and the condition of the one rule.
func small(keys, when string) string {
	return fmt.Sprintf("{defaultModel: a, models: [{name: a}, {name: b}], %s rules: [{name: r, models: [{name: a}], when: %s}]}", keys, when)
}

// ruled has rules in full.
func ruled(rules string) string {
	return "{defaultModel: a, models: [{name: a}, {name: b}], rules: [" + rules + "]}"
}

func TestDecodeConditionFaults(t *testing.T) {
	const maths = "{domain: math}"
	tests := map[string]struct{ text, want string }{
		"a strategy that does not exist":             {small("strategy: chance,", maths), `strategy: "chance"; use priority or confidence`},
		"an effort that is none":                     {small("reasoningEffort: on,", maths), `reasoningEffort: "on"; use one of minimal`},
		"a family of an unknown type":                {small("reasoningFamilies: {f: {type: x, parameter: p}},", maths), `reasoningFamilies.f.type: "x"`},
		"a family without a parameter":               {small("reasoningFamilies: {f: {type: effort}},", maths), "reasoningFamilies.f.parameter: missing"},
		"a family that would overwrite the messages": {small("reasoningFamilies: {f: {type: effort, parameter: messages}},", maths), "reasoningFamilies.f.parameter"},
		"a model of an unknown family":               {"{defaultModel: a, models: [{name: a, reasoningFamily: qwen}]}", `models[0].reasoningFamily: unknown family "qwen"; known families: deepseek`},

		"a classifier that does not exist":             {small("classifier: {model: bert},", maths), `classifier.model: "bert"; use builtin, small, linear, none, or the path`},
		"a device that does not exist":                 {small("classifier: {device: gpu},", maths), `classifier.device: "gpu"; use auto`},
		"hardly any tokens":                            {small("classifier: {maxTokens: 2},", maths), "classifier.maxTokens: 2"},
		"a file of a built-in model":                   {small("classifier: {file: model.onnx},", maths), "classifier.file: only has a meaning where classifier.model is a path"},
		"a file outside its directory":                 {small("classifier: {model: ./m, file: ../x},", maths), `classifier.file: "../x" is outside`},
		"a digest that is too short":                   {small("classifier: {model: ./m, sha256: {model.onnx: abc}},", maths), `classifier.sha256.model.onnx: "abc" is not a SHA-256`},
		"a digest of a built-in model":                 {small("classifier: {sha256: {x: abc}},", maths), "classifier.sha256: only has a meaning"},
		"one category":                                 {small("classifier: {categories: {math: [one]}},", maths), "classifier.categories: 1; name at least two"},
		"a category without examples":                  {small("classifier: {categories: {math: [], law: [x]}},", maths), "classifier.categories.math: empty"},
		"an example that is empty":                     {small("classifier: {categories: {math: [''], law: [x]}},", maths), "classifier.categories.math[0]: empty"},
		"categories for a model that embeds nothing":   {small("classifier: {model: linear, categories: {math: [x], law: [x]}},", maths), "classifier.categories: needs a model that embeds"},
		"a category that the operator does not have":   {small("classifier: {categories: {tax: [x], law: [x]}},", maths), `rules[0].when.domain: unknown category "math"; known categories: law, tax`},
		"a cascade to itself":                          {small("classifier: {model: linear, cascade: {linear: 0.9}},", maths), "classifier.cascade.linear: needs another model"},
		"a cascade beside categories":                  {small("classifier: {cascade: {linear: 0.9}, categories: {math: [x], law: [x]}},", maths), "classifier.cascade.linear: the pure-Go model does not know"},
		"a cascade that is always sure":                {small("classifier: {cascade: {linear: 0}},", maths), "classifier.cascade.linear: 0; use a number in (0, 1]"},
		"a cache of less than nothing":                 {small("classifier: {cache: {entries: -1}},", maths), "classifier.cache.entries: negative"},
		"tenants without a cache":                      {small("trustedHeaders: [x-t], classifier: {cache: {tenantHeader: x-t}},", maths), "classifier.cache.tenantHeader: only has a meaning beside entries"},
		"tenants that anybody may claim to be":         {small("classifier: {cache: {entries: 9, tenantHeader: x-t}},", maths), `classifier.cache.tenantHeader: "x-t" is not among trustedHeaders`},
		"a header that the picker writes":              {small("trustedHeaders: [x-selected-model],", maths), "trustedHeaders[0]"},
		"a header that the picker writes, by a prefix": {small("trustedHeaders: [x-vsr-mine],", maths), "trustedHeaders[0]"},
		"a cookie":                                  {small("trustedHeaders: [cookie],", maths), "trustedHeaders[0]"},
		"a trusted header in upper case":            {small("trustedHeaders: [X-User],", maths), `trustedHeaders[0]: "X-User" is not a header name in lower case`},
		"a trusted header twice":                    {small("trustedHeaders: [x-u, x-u],", maths), "trustedHeaders[1]: \"x-u\" stands twice"},
		"a header that anybody may send":            {small("", "{header: {x-user: me}}"), `rules[0].when.header.x-user: "x-user" is not among trustedHeaders`},
		"stickiness by a header that anybody sends": {small("sticky: {header: x-user},", maths), `sticky.header: "x-user" is not among trustedHeaders`},
		"stickiness without weights":                {small("trustedHeaders: [x-user], sticky: {header: x-user},", maths), "sticky.header: only has a meaning where rules give models a weight"},

		"an empty list of alternatives":           {small("", "{domain: math, any: []}"), "rules[0].when.any: empty"},
		"an empty condition deep inside":          {small("", "{all: [{any: [{not: {}}]}]}"), "rules[0].when.all[0].any[0].not: empty"},
		"a confidence without a domain":           {small("", "{regex: x, minConfidence: 0.5}"), "rules[0].when.minConfidence: only has a meaning beside domain"},
		"an onError that does not exist":          {small("", "{domain: math, onError: ignore}"), `rules[0].when.onError: "ignore"; use one of noMatch, match, deny`},
		"a method that does not exist":            {small("", "{keyword: {any: [x], method: soundex}}"), `rules[0].when.keyword.method: "soundex"`},
		"a distance without fuzzy":                {small("", "{keyword: {any: [x], distance: 1}}"), "keyword.distance: only has a meaning for the method fuzzy"},
		"a distance that is too great":            {small("", "{keyword: {any: [x], method: fuzzy, distance: 9}}"), "keyword.distance: 9; use a number in [1, 4]"},
		"a threshold for exact words":             {small("", "{keyword: {any: [x], threshold: 0.5}}"), "keyword.threshold: only has a meaning"},
		"a similarity above 1":                    {small("", "{keyword: {any: [x], method: ngram, threshold: 2}}"), "keyword.threshold: 2; use a number in (0, 1]"},
		"a score of nothing":                      {small("", "{keyword: {any: [x], method: bm25, threshold: 0}}"), "keyword.threshold: 0"},
		"groups without ngram":                    {small("", "{keyword: {any: [x], arity: 3}}"), "keyword.arity: only has a meaning"},
		"groups of one letter":                    {small("", "{keyword: {any: [x], method: ngram, arity: 1}}"), "keyword.arity: 1; use a number in [2, 6]"},
		"a fuzzy word without letters":            {small("", "{keyword: {any: ['++'], method: fuzzy}}"), "has no letters that fuzzy could compare"},
		"too many fuzzy words":                    {small("", "{keyword: {method: fuzzy, any: ["+strings.Repeat("x,", 65)+"]}}"), "keyword: 65 words; at most 64"},
		"no expression":                           {small("", "{regex: {any: []}}"), "rules[0].when.regex: empty"},
		"examples for a model that embeds none":   {small("classifier: {model: linear},", "{embedding: {examples: [x]}}"), "rules[0].when.embedding: needs a model that embeds"},
		"no examples":                             {small("", "{embedding: {examples: []}}"), "embedding.examples: empty"},
		"a similarity that no prompt has":         {small("", "{embedding: {examples: [x], threshold: 1.5}}"), "embedding.threshold: 1.5"},
		"an aggregate that does not exist":        {small("", "{embedding: {examples: [x], aggregate: sum}}"), `embedding.aggregate: "sum"`},
		"no easy examples":                        {small("", "{complexity: {hard: [x], easy: []}}"), "complexity.easy: empty"},
		"no hard examples":                        {small("", "{complexity: {hard: [], easy: [x]}}"), "complexity.hard: empty"},
		"a difference of less than nothing":       {small("", "{complexity: {hard: [x], easy: [z], threshold: -1}}"), "complexity.threshold: -1"},
		"a level that does not exist":             {small("", "{complexity: {hard: [x], easy: [z], level: harder}}"), `complexity.level: "harder"`},
		"a range without bounds":                  {small("", "{contextTokens: {}}"), "contextTokens: empty; use min or max"},
		"a range that is upside down":             {small("", "{contextTokens: {min: 32K, max: 8K}}"), "contextTokens: never holds: max 8000 is less than min 32000"},
		"a word that YAML takes for true":         {small("", "{keyword: [yes, sure]}"), `put quotes around words that YAML takes for true or false`},
		"a language that YAML takes for false":    {small("", "{language: no}"), `put quotes around words that YAML takes for true or false`},
		"a count that is none":                    {small("", "{contextTokens: {min: 32k tokens}}"), "is no count"},
		"an unknown language":                     {small("", "{language: [en, klingon]}"), `language[1]: unknown language "klingon"; known languages: ar,`},
		"a conversation of nothing":               {small("", "{conversation: {}}"), "conversation: empty"},
		"turns that are upside down":              {small("", "{conversation: {turns: {min: 2, max: 1}}}"), "conversation.turns: never holds"},
		"a header match that asks for nothing":    {small("trustedHeaders: [x-u],", "{header: {x-u: {}}}"), "header.x-u: empty"},
		"a value of what is not there":            {small("trustedHeaders: [x-u],", "{header: {x-u: {in: [a], present: false}}}"), "header.x-u: never holds"},
		"an expression on metadata":               {small("", "{metadata: {user: {regex: '('}}}"), "metadata.user.regex"},
		"a schedule of nothing":                   {small("", "{time: {zone: UTC}}"), "time: empty"},
		"a day in full":                           {small("", "{time: {days: [monday]}}"), `time.days[0]: "monday"; use mon`},
		"a time without minutes":                  {small("", "{time: {from: '9'}}"), `time.from: "9" is no time of day`},
		"a time that is never":                    {small("", "{time: {from: '09:00', to: '09:00'}}"), "time: never holds"},
		"a zone that does not exist":              {small("", "{time: {from: '09:00', zone: Mars/Olympus}}"), `time.zone: unknown time zone "Mars/Olympus"`},
		"conditions without end":                  {small("", strings.Repeat("{not: ", 40)+maths+strings.Repeat("}", 40)), "more than 32 deep"},
		"an unknown signal":                       {small("signals: {urgent: {regex: x}},", "{signal: [urgent, urgnt]}"), `rules[0].when.signal: unknown signal "urgnt"; known signals: urgent`},
		"a signal that nobody needs":              {small("signals: {urgent: {regex: x}},", maths), "signals.urgent: no rule needs it"},
		"signals that need each other":            {small("signals: {a: {signal: b}, b: {not: {signal: a}}},", "{signal: a}"), "signals.a: needs itself: a → b → a"},
		"a signal that cannot be told from a key": {small("signals: {a.b: {regex: x}},", "{signal: a.b}"), "signals.a.b: not a name"},
		"a fault inside a signal":                 {small("signals: {s: {any: [{regex: '('}]}},", "{signal: s}"), "signals.s.any[0].regex[0]"},
	}
	faulty(t, tests)
}

func TestDecodeRuleFaults(t *testing.T) {
	rule := func(keys string) string { return ruled("{name: r, when: {domain: math}, " + keys + "}") }
	model := func(keys string) string { return rule("models: [{name: a}], " + keys) }
	faulty(t, map[string]struct{ text, want string }{
		"a model twice":                          {rule("models: [{name: a}, {name: a}]"), `rules[0].models[1].name: model "a" stands twice`},
		"weights that are all zero":              {rule("models: [{name: a, weight: 0}, {name: b, weight: 0}]"), "rules[0].models: all weights are 0"},
		"a weight below zero":                    {rule("models: [{name: a, weight: -1}]"), "rules[0].models[0].weight: -1"},
		"a wish for reasoning that is none":      {rule("models: [{name: a, reasoning: maximal}], reasoning: much"), `rules[0].models[0].reasoning: "maximal"; use off`},
		"an empty system prompt":                 {model("systemPrompt: ' '"), "rules[0].systemPrompt: empty"},
		"a place that system prompts do not go":  {model("systemPrompt: {text: x, mode: append}"), `rules[0].systemPrompt.mode: "append"`},
		"no parameters":                          {model("parameters: {}"), "rules[0].parameters: empty"},
		"tokens below zero":                      {model("parameters: {maxTokens: -1}"), "rules[0].parameters.maxTokens: negative"},
		"a parameter that is the request":        {model("parameters: {block: [messages]}"), `rules[0].parameters.block[0]: "messages" carries the request`},
		"a default that is the request":          {model("parameters: {defaults: {model: x}}"), "rules[0].parameters.defaults.model"},
		"a parameter both blocked and set":       {model("parameters: {block: [seed], defaults: {seed: 1}}"), `rules[0].parameters.block[0]: "seed" is also among defaults`},
		"no header edits":                        {model("headers: {}"), "rules[0].headers: empty"},
		"a header of the connection":             {model("headers: {set: {content-length: '1'}}"), "rules[0].headers.set.content-length"},
		"a header that the picker writes":        {model("headers: {remove: [x-selected-model]}"), `rules[0].headers.remove[0]: "x-selected-model" is written by the picker`},
		"a header value of two lines":            {model(`headers: {set: {x-a: "1\n2"}}`), "rules[0].headers.set.x-a: not a header value"},
		"a header both set and removed":          {model("headers: {set: {x-a: b}, remove: [x-a]}"), `rules[0].headers.remove[0]: "x-a" is also set`},
		"an answer beside models":                {model("respond: {text: 'no'}"), "rules[0].models: respond answers without a model"},
		"an answer of nothing":                   {rule("respond: {text: ''}"), "rules[0].respond.text: missing"},
		"an answer with a redirection":           {rule("respond: {text: 'no', status: 302}"), "rules[0].respond.status: 302"},
		"an answer with an unknown finish":       {rule("respond: {text: 'no', finishReason: length}"), `rules[0].respond.finishReason: "length"`},
		"an error that finishes":                 {rule("respond: {text: 'no', status: 403, finishReason: stop}"), "rules[0].respond.finishReason: an error has none"},
		"an answer that is told to think":        {rule("respond: {text: 'no'}, reasoning: high"), "rules[0].respond: no model is asked"},
		"a rule that neither answers nor routes": {rule("description: x"), "rules[0].models: empty"},
	})
}

func TestDecodeFindsRulesThatNeverDecide(t *testing.T) {
	two := func(keys, first, second string) string {
		return fmt.Sprintf("{defaultModel: a, models: [{name: a}], trustedHeaders: [x-u], %s rules: [{name: first, models: [{name: a}], %s}, {name: second, models: [{name: a}], %s}]}", keys, first, second)
	}
	contradictory := map[string]string{
		"a domain and its opposite":                  "{all: [{domain: math}, {not: {domain: math}}]}",
		"a domain and the opposite of a wider one":   "{all: [{domain: math}, {not: {domain: [law, math]}}]}",
		"a word that must be there and must not":     "{keyword: {any: [x], all: [Go], none: [go]}}",
		"words of which none may be there":           "{keyword: {any: [x], none: [x, z]}}",
		"lengths that exclude each other":            "{all: [{contextTokens: {min: 10}}, {contextTokens: {max: 9}}]}",
		"two languages at once":                      "{all: [{language: en}, {language: [de, fr]}]}",
		"a stream that is none":                      "{all: [{conversation: {stream: true}}, {conversation: {stream: false}}]}",
		"alternatives of which each is impossible":   "{any: [{all: [{regex: x}, {not: {regex: x}}]}, {all: [{regex: z2}, {not: {regex: z2}}]}]}",
		"what is hidden behind nested conditions":    "{all: [{all: [{regex: x}]}, {regex: z2}], not: {any: [{regex: x}, {regex: z}]}}",
		"alternatives whose opposite must hold, too": "{all: [{any: [{regex: x}, {regex: z2}]}, {not: {any: [{regex: z2}, {regex: x}]}}]}",
	}
	for name, when := range contradictory {
		t.Run(name, func(t *testing.T) { wants(t, small("", when), "never holds") })
	}
	shadowed := map[string]string{
		"the same condition":                  two("", "when: {domain: math}", "when: {domain: math}"),
		"the same in another order":           two("", "when: {any: [{regex: x}, {domain: math}]}", "when: {any: [{domain: math}, {regex: x}]}"),
		"a domain of several":                 two("", "when: {domain: [law, math]}", "when: {domain: math}"),
		"a domain that must be surer":         two("", "when: {domain: math}", "when: {domain: math, minConfidence: 0.9}"),
		"a further condition":                 two("", "when: {domain: math}", "when: {domain: math, keyword: [x]}"),
		"alternatives that are all there":     two("", "when: {domain: [math, law]}", "when: {any: [{domain: math}, {domain: law, regex: x}]}"),
		"fewer words":                         two("", "when: {keyword: [x, yy]}", "when: {keyword: [YY]}"),
		"a longer prompt":                     two("", "when: {contextTokens: {min: 8K}}", "when: {contextTokens: {min: 32K, max: 64K}}"),
		"a value of several":                  two("", "when: {header: {x-u: [a, b]}}", "when: {header: {x-u: a}}"),
		"a value of what is there":            two("", "when: {header: {x-u: {present: true}}}", "when: {header: {x-u: a}}"),
		"a signal with that condition":        two("signals: {s: {domain: math}},", "when: {signal: s}", "when: {domain: math, regex: x}"),
		"an exception that is narrower":       two("", "when: {not: {regex: [x]}}", "when: {not: {regex: [x, z2]}}"),
		"a rule of a higher priority":         two("", "when: {domain: math, regex: x}", "priority: 1, when: {domain: math}"),
		"a rule of a lower tier":              two("", "tier: 1, when: {domain: math, regex: x}", "when: {domain: math}"),
		"a lower tier, by confidence":         two("strategy: confidence,", "when: {domain: math}", "tier: 1, when: {domain: math, regex: x}"),
		"the same condition, by confidence":   two("strategy: confidence,", "when: {domain: math}", "when: {domain: math}"),
		"the same guard":                      two("", "when: {domain: math, onError: deny}", "when: {domain: math, onError: deny}"),
		"a guard that holds when this does":   two("", "when: {domain: math, onError: match}", "when: {domain: math, regex: x}"),
		"what holds whatever the language is": two("", "when: {language: [de, en]}", "when: {language: en}"),
	}
	for name, text := range shadowed {
		t.Run(name, func(t *testing.T) { wants(t, text, "never decides: rule") })
	}
	fine := map[string]string{
		"a wider rule after a narrower one":           two("", "when: {domain: math, regex: x}", "when: {domain: math}"),
		"another domain":                              two("", "when: {domain: math}", "when: {domain: law}"),
		"a rule that is content with less confidence": two("", "when: {domain: math, minConfidence: 0.9}", "when: {domain: math}"),
		"two domains at once, where none is likely":   two("", "when: {all: [{domain: math, minConfidence: 0.2}, {domain: law, minConfidence: 0.2}]}", "when: {domain: math}"),
		"a narrower rule, by confidence":              two("strategy: confidence,", "when: {domain: math}", "when: {domain: math, regex: x}"),
		"a narrower rule of a higher priority":        two("", "when: {domain: math}", "priority: 1, when: {domain: math, regex: x}"),
		"letters of which case counts":                two("", "when: {keyword: {any: [Go], caseSensitive: true}}", "when: {keyword: {any: [go], caseSensitive: true}}"),
		"all words where one would have done":         two("", "when: {keyword: {all: [x, yy]}}", "when: {keyword: [x, yy]}"),
		"a guard that refuses where the first cannot": two("", "when: {domain: math}", "when: {domain: math, onError: deny}"),
		"a guard inside that refuses":                 two("", "when: {domain: math}", "when: {all: [{domain: math}, {domain: law, onError: deny}]}"),
		"a contradiction that guards":                 small("", "{all: [{domain: math}, {not: {domain: math}}], onError: deny}"),
		"counts of other expressions":                 two("", "when: {regex: {any: [x], count: {min: 3}}}", "when: {regex: x}"),
		"a prefix":                                    two("", "when: {header: {x-u: {prefix: a}}}", "when: {header: {x-u: ab}}"),
		"languages that overlap":                      small("", "{all: [{language: [en, de]}, {language: [de, fr]}]}"),
	}
	for name, text := range fine {
		t.Run(name, func(t *testing.T) {
			if _, err := decode(t, text); err != nil {
				t.Errorf("error %v", err)
			}
		})
	}
}

func faulty(t *testing.T, tests map[string]struct{ text, want string }) {
	t.Helper()
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) { wants(t, tc.text, tc.want) })
	}
}

func wants(t *testing.T, text, want string) {
	t.Helper()
	if _, err := decode(t, text); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v has no %q", err, want)
	}
}

func TestDecodeRuleDefaults(t *testing.T) {
	r, err := decode(t, `
defaultModel: a
models: [{name: a, reasoningFamily: qwen3, servedName: org/a}]
classifier: {model: /models/mine, device: "cuda:1"}
trustedHeaders: [x-user]
sticky: {header: x-user}
signals:
  typo: {keyword: {any: [urgent], method: fuzzy}}
  near: {keyword: {any: [urgent], method: ngram}}
  often: {keyword: {any: [urgent], method: bm25}}
rules:
- name: one
  when: {signal: [typo, near, often], embedding: {examples: [x]}, complexity: {hard: [x], easy: [z]}, time: {from: "22:00", to: "06:00"}}
  models: [{name: a, weight: 1}]
  systemPrompt: Be brief.
- name: two
  when: {header: {x-user: {present: true}}}
  respond: {text: "no"}`)
	if err != nil {
		t.Fatal(err)
	}
	typo, near, often := r.Signals["typo"].Keyword, r.Signals["near"].Keyword, r.Signals["often"].Keyword
	one := r.Rules[0].When
	if r.Strategy != config.ByPriority || r.ReasoningEffort != config.ReasoningMedium || r.Classifier.MaxTokens != 128 ||
		typo.Distance != 2 || near.Arity != 3 || *near.Threshold != 0.4 || *often.Threshold != 0.1 ||
		*one.Embedding.Threshold != 0.75 || one.Embedding.Aggregate != config.Max ||
		*one.Complexity.Threshold != 0.1 || one.Complexity.Level != config.Hard || one.Time.Zone != "UTC" ||
		r.Rules[0].SystemPrompt.Mode != config.Replace || r.Rules[1].Respond.Status != 200 || r.Rules[1].Respond.FinishReason != "stop" {
		t.Errorf("defaults are %+v", r)
	}
}

func TestReasoningFamily(t *testing.T) {
	r := &config.Router{ReasoningFamilies: map[string]config.ReasoningFamily{"qwen3": {Type: config.TopLevelEffort, Parameter: "effort"}}}
	if own, ok := r.ReasoningFamily("qwen3"); !ok || own.Parameter != "effort" {
		t.Errorf("the operator's qwen3 is %+v", own)
	}
	if known, ok := r.ReasoningFamily("deepseek"); !ok || known != (config.ReasoningFamily{Type: config.ChatTemplate, Parameter: "thinking"}) {
		t.Errorf("deepseek is %+v", known)
	}
	if _, ok := r.ReasoningFamily("nobody"); ok {
		t.Error("nobody's family is known")
	}
}

func TestConditionsVisitsAll(t *testing.T) {
	r, err := decode(t, small("signals: {s: {any: [{regex: x}, {regex: z2}]}},", "{signal: s, not: {domain: math}}"))
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for at := range r.Conditions() {
		keys = append(keys, at)
	}
	want := []string{"signals.s", "signals.s.any[0]", "signals.s.any[1]", "rules[0].when", "rules[0].when.not"}
	if !slices.Equal(keys, want) {
		t.Errorf("got %v, want %v", keys, want)
	}
}

func TestDecodeManyRulesInTime(t *testing.T) {
	var rules []string
	for i := range 1000 {
		rules = append(rules, fmt.Sprintf("{name: r%d, models: [{name: a}], when: {any: [{domain: d%d}, {keyword: [w%d, v%d]}], regex: x%d}}", i, i, i, i, i))
	}
	if _, err := decode(t, ruled(strings.Join(rules, ","))); err != nil {
		t.Fatal(err)
	}
}
