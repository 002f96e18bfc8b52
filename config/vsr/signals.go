package vsr

import (
	"cmp"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"semantic-epp/config"
)

// A reader makes our condition of the definition of a signal. level is what
// follows the signal's name after a colon.
type reader func(c *converter, n *node, level string) *cond

var readers = map[string]reader{
	"keyword":      (*converter).keyword,
	"embedding":    (*converter).embedding,
	"complexity":   (*converter).complexity,
	"context":      (*converter).context,
	"structure":    (*converter).structure,
	"conversation": (*converter).conversation,
	"metadata":     (*converter).metadata,
}

// impossible are the kinds of signals that the picker does not have.
var impossible = map[string]string{
	"jailbreak": "prompts are not checked for attempts to break out here", "pii": "prompts are not checked for personal data here",
	"fact_check": "there is no such classifier here", "user_feedback": "there is no such classifier here",
	"reask": "requests are not compared with earlier ones", "preference": "there is no such classifier here",
	"modality": "only text is routed here", "authz": "authorization is the work of the gateway",
	"kb": "there are no knowledge bases here", "event": "events are not read from prompts",
	"classifier": "no other model is asked in order to choose one", "projection": "scores are not combined here",
}

func cannot(format string, args ...any) *cond {
	return &cond{op: never, why: fmt.Sprintf(format, args...)}
}

// signalCondition makes a condition of a signal's type and name.
func (c *converter) signalCondition(kind, name string) *cond {
	switch kind {
	case "domain":
		return c.domain(name)
	case "language":
		return c.language(name)
	}
	read, ok := readers[kind]
	if !ok {
		return cannot("%s", cmp.Or(impossible[kind], "vSR knows no signals of that type"))
	}
	base, level := name, ""
	if kind == "complexity" {
		if i := strings.LastIndexByte(name, ':'); i >= 0 {
			base, level = name[:i], name[i+1:]
		}
	}
	definition := c.definition(kind, base)
	if definition == nil {
		return cannot("no signal of that type and name is defined")
	}
	made := read(c, definition, level)
	if made.op == leaf {
		made.shared, made.definition = kind+" "+name, definition
	}
	if made.op == never {
		c.cover(definition, remark{outcome: Ignored, note: made.why})
	}
	return made
}

// definition finds a signal by its type and name.
func (c *converter) definition(kind, name string) *node {
	path := c.layout.signals[kind]
	if path == "" {
		return nil
	}
	for _, n := range c.objects(c.vsr.at(path)) {
		if c.str(n.get("name")) == name {
			return n
		}
	}
	return nil
}

// holds makes a leaf that says, once it is used, that keys of its definition
// are taken.
func (c *converter) holds(when config.When, definition *node, to string, keys ...string) *cond {
	return &cond{op: leaf, when: when, read: func() {
		for _, key := range append(keys, "name") {
			if n := definition.at(key); n != nil && c.keys[n].outcome == "" {
				c.say(n, Taken, "%s", to)
			}
		}
	}}
}

// also says more of a definition, once it is used.
func (c *cond) also(say func()) *cond {
	read := c.read
	c.read = func() {
		say()
		read()
	}
	return c
}

func pointer[T any](v T) *T { return &v }

// keyword reads words. Without a method vSR looks for whole words; with the
// method regex it takes them as expressions.
func (c *converter) keyword(n *node, _ string) *cond {
	words := c.strs(n.get("keywords"))
	words = slices.DeleteFunc(words, func(w string) bool { return strings.TrimSpace(w) == "" })
	if len(words) == 0 {
		return cannot("it has no keywords")
	}
	k := &config.Keyword{CaseSensitive: c.bool(n.get("case_sensitive"), false)}
	operator := strings.ToUpper(c.str(n.get("operator")))
	switch method := strings.ToLower(c.str(n.get("method"))); method {
	case "regex":
		return c.expressions(n, words, operator, k.CaseSensitive)
	case "bm25":
		k.Method = config.BM25
		if t := n.get("bm25_threshold"); t != nil {
			k.Threshold = pointer(c.num(t, 0.1))
		}
	case "ngram":
		k.Method = config.NGram
		if t := n.get("ngram_threshold"); t != nil {
			k.Threshold = pointer(c.num(t, 0.4))
		}
		k.Arity = int(c.num(n.get("ngram_arity"), 0))
	case "":
		if c.bool(n.get("fuzzy_match"), false) {
			k.Method = config.Fuzzy
			k.Distance = int(min(c.num(n.get("fuzzy_threshold"), 0), 4))
		}
	default:
		return cannot("vSR knows no method %q of keywords", method)
	}
	keys := []string{"operator", "keywords", "case_sensitive", "method", "fuzzy_match"}
	switch k.Method {
	case config.Fuzzy:
		keys = append(keys, "fuzzy_threshold")
	case config.NGram:
		keys = append(keys, "ngram_threshold", "ngram_arity")
	case config.BM25:
		keys = append(keys, "bm25_threshold")
	}
	switch operator {
	case "OR", "":
		k.Any = words
	case "AND":
		k.All = words
	case "NOR":
		k.None = words
	default:
		return cannot("vSR knows no operator %q of keywords", operator)
	}
	return c.holds(config.When{Keyword: k}, n, "keyword", keys...).also(func() {
		if distance := n.get("fuzzy_threshold"); k.Method == config.Fuzzy && c.num(distance, 0) > 4 {
			c.say(distance, Approximated, "keyword.distance 4, the largest")
		}
	})
}

// expressions makes conditions of keywords that are regular expressions.
func (c *converter) expressions(n *node, words []string, operator string, caseSensitive bool) *cond {
	for i := range words {
		if !caseSensitive {
			words[i] = "(?i)" + words[i]
		}
		if _, err := regexp.Compile(words[i]); err != nil {
			return cannot("a keyword is no expression: %v", err)
		}
	}
	anyWord := config.When{Regex: &config.Regex{Any: words}}
	keys := []string{"operator", "keywords", "case_sensitive", "method"}
	switch operator {
	case "OR", "":
		return c.holds(anyWord, n, "regex", keys...)
	case "NOR":
		return c.holds(config.When{Not: &anyWord}, n, "regex", keys...)
	case "AND":
		each := make([]config.When, len(words))
		for i, w := range words {
			each[i] = config.When{Regex: &config.Regex{Any: config.Strings{w}}}
		}
		return c.holds(every(each), n, "regex", keys...)
	}
	return cannot("vSR knows no operator %q of keywords", operator)
}

func (c *converter) embedding(n *node, _ string) *cond {
	if modality := n.get("query_modality"); modality != nil && !strings.EqualFold(c.str(modality), "text") {
		return cannot("only text is compared here, not %s", c.str(modality))
	}
	e := &config.Embedding{Examples: c.strs(n.get("candidates"))}
	if c.format.Generation == 0 {
		e.Examples = c.strs(n.get("keywords"))
	}
	if len(e.Examples) == 0 {
		return cannot("it has no candidates")
	}
	if t := n.get("threshold"); t != nil {
		e.Threshold = pointer(c.num(t, 0.75))
	}
	aggregation := n.get("aggregation_method")
	if c.str(aggregation) == "mean" {
		e.Aggregate = config.Mean
	}
	return c.holds(config.When{Embedding: e}, n, "embedding", "candidates", "keywords", "aggregation_method", "query_modality").also(func() {
		c.say(n.get("threshold"), Approximated, "embedding.%s", otherScale)
		if c.str(aggregation) == "any" {
			c.say(aggregation, Taken, "embedding.aggregate max, which is at least the threshold when any similarity is")
		}
	})
}

const otherScale = "threshold: as it is, though the built-in embeddings have another scale; try it with `explain`"

func (c *converter) complexity(n *node, level string) *cond {
	k := &config.Complexity{Hard: c.strs(n.at("hard.candidates")), Easy: c.strs(n.at("easy.candidates")), Level: config.Level(level)}
	switch {
	case len(k.Hard) == 0 || len(k.Easy) == 0:
		return cannot("it needs candidates that are hard and others that are easy")
	case !slices.Contains([]config.Level{"", config.Hard, config.Medium, config.Easy}, k.Level):
		return cannot("vSR knows no level %q; it knows hard, medium and easy", level)
	}
	if t := n.get("threshold"); t != nil {
		k.Threshold = pointer(c.num(t, 0.1))
	}
	return c.holds(config.When{Complexity: k}, n, "complexity", "hard.candidates", "easy.candidates").also(func() {
		c.say(n.get("threshold"), Approximated, "complexity.%s", otherScale)
		c.cover(n.get("composer"), remark{outcome: Ignored, warn: true, note: "the complexity counts whether this holds or not"})
		for _, images := range []string{"hard.image_candidates", "easy.image_candidates"} {
			c.say(n.at(images), Ignored, "only text is compared here")
		}
	})
}

// tokens reads a count of tokens such as 32K.
func (c *converter) tokens(n *node) *config.Count {
	text := strings.ToUpper(strings.TrimSpace(c.str(n)))
	if text == "" {
		return nil
	}
	times := 1.0
	if digits, ok := strings.CutSuffix(text, "K"); ok {
		text, times = digits, 1e3
	} else if digits, ok := strings.CutSuffix(text, "M"); ok {
		text, times = digits, 1e6
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || !(v >= 0 && v*times < 1<<40) {
		c.fault(n, "%.20q is no count of tokens; write it as 4000, 32K or 1M", n.text)
		return nil
	}
	return pointer(config.Count(v * times))
}

func (c *converter) context(n *node, _ string) *cond {
	r := &config.Range{Min: c.tokens(n.get("min_tokens")), Max: c.tokens(n.get("max_tokens"))}
	if r.Min == nil && r.Max == nil {
		return cannot("it has neither min_tokens nor max_tokens")
	}
	return c.holds(config.When{ContextTokens: r}, n, "contextTokens", "min_tokens", "max_tokens")
}

// predicate reads bounds on a count of things; exists is one or more.
func (c *converter) predicate(n *node, exists bool) *config.Range {
	r := &config.Range{}
	lower := func(v float64) {
		if count := config.Count(math.Ceil(min(max(v, 0), 1<<40))); r.Min == nil || count > *r.Min {
			r.Min = &count
		}
	}
	upper := func(v float64) {
		if count := config.Count(math.Floor(min(v, 1<<40))); r.Max == nil || count < *r.Max {
			r.Max = &count
		}
	}
	if exists {
		lower(1)
	}
	p := n.get("predicate")
	for _, bound := range c.mapping(p) {
		v := c.num(bound, 0)
		switch bound.key {
		case "gt":
			lower(math.Floor(v) + 1)
		case "gte":
			lower(v)
		case "lt":
			upper(math.Ceil(v) - 1)
		case "lte":
			upper(v)
		}
	}
	if r.Min == nil && r.Max == nil {
		lower(1)
	}
	return r
}

var predicates = []string{"predicate.gt", "predicate.gte", "predicate.lt", "predicate.lte", "feature.type", "feature.source.type"}

// empty says whether no count is in a range.
func empty(r *config.Range) bool {
	return r.Max != nil && (*r.Max < 0 || r.Min != nil && *r.Max < *r.Min)
}

func (c *converter) structure(n *node, _ string) *cond {
	feature, source := c.str(n.at("feature.type")), n.at("feature.source")
	if feature != "count" && feature != "exists" {
		return cannot("structure is counted here, not measured as %s", cmp.Or(feature, "nothing"))
	}
	var expressions []string
	switch kind := c.str(source.get("type")); kind {
	case "regex":
		expressions = []string{c.str(source.get("pattern"))}
	case "keyword_set":
		for _, word := range c.strs(source.get("keywords")) {
			expression := regexp.QuoteMeta(word)
			if wordBorders.MatchString(word) {
				expression = `\b` + expression + `\b`
			}
			if !c.bool(source.get("case_sensitive"), false) {
				expression = "(?i)" + expression
			}
			expressions = append(expressions, expression)
		}
	default:
		return cannot("structure is found by expressions and keywords here, not by %s", cmp.Or(kind, "nothing"))
	}
	for _, e := range expressions {
		if _, err := regexp.Compile(e); err != nil || e == "" {
			return cannot("the pattern is no expression")
		}
	}
	r := c.predicate(n, feature == "exists")
	if len(expressions) == 0 || empty(r) {
		return cannot("it never holds")
	}
	if len(c.mapping(n.get("predicate"))) == 0 { // one or more, which regex means without count
		r = nil
	}
	return c.holds(config.When{Regex: &config.Regex{Any: expressions, Count: r}}, n, "regex.count",
		append([]string{"feature.source.pattern", "feature.source.keywords", "feature.source.case_sensitive"}, predicates...)...)
}

// wordBorders matches words that begin and end with what \b knows as a letter.
var wordBorders = regexp.MustCompile(`^\w(.*\w)?$`)

func (c *converter) conversation(n *node, _ string) *cond {
	feature, source := c.str(n.at("feature.type")), n.at("feature.source")
	if feature != "count" && feature != "exists" {
		return cannot("parts of a conversation are counted here, not measured as %s", cmp.Or(feature, "nothing"))
	}
	r := c.predicate(n, feature == "exists")
	if empty(r) {
		return cannot("it never holds")
	}
	w := &config.Conversation{}
	kind, role := c.str(source.get("type")), c.str(source.get("role"))
	switch {
	case kind == "message" && role == "":
		w.Messages = r
	case kind == "message" && role == "user":
		w.Turns = r
	case kind == "message" && role == "tool", kind == "tool_result":
		w.ToolResults = r
	case kind == "tool_definition":
		w.Tools = r
	case kind == "image":
		w.Images = r
	default:
		return cannot("%s %s are not counted here; messages, user turns, tools, results of tools and images are", kind, role)
	}
	return c.holds(config.When{Conversation: w}, n, "conversation", append([]string{"feature.source.role"}, predicates...)...)
}

func (c *converter) metadata(n *node, _ string) *cond {
	key, predicate := c.str(n.get("key")), n.get("predicate")
	var match config.Match
	for _, p := range c.mapping(predicate) {
		switch p.key {
		case "equals":
			match.In = []string{c.str(p)}
		case "in":
			match.In = c.strs(p)
		case "exists":
			match.Present = pointer(c.bool(p, true))
		}
	}
	if key == "" || match.In == nil && match.Present == nil {
		return cannot("it needs a key and one of equals, in and exists")
	}
	if match.In != nil && match.Present != nil {
		if !*match.Present {
			return cannot("it never holds")
		}
		match.Present = nil
	}
	return c.holds(config.When{Metadata: map[string]config.Match{key: match}}, n, "metadata",
		"key", "predicate.equals", "predicate.in", "predicate.exists")
}

// language reads a language code, which needs no definition.
func (c *converter) language(name string) *cond {
	code, _, _ := strings.Cut(strings.ToLower(name), "-")
	if !slices.Contains(config.Languages(), code) {
		return cannot("prompts in %q are not told apart here; those in %s are", name, strings.Join(config.Languages(), ", "))
	}
	definition := c.definition("language", name)
	return c.holds(config.When{Language: config.Strings{code}}, definition, "language").also(func() {
		c.say(definition.get("threshold"), Ignored, "the most likely language counts, however sure")
	})
}

// categories are those of vSR's classifiers and of the built-in one.
var categories = []string{
	"biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", "law", "math",
	"other", "philosophy", "physics", "psychology",
}

// category returns a name as the classifier writes it, "" when it knows none.
func category(name string) string {
	name = strings.NewReplacer("_", " ", "-", " ").Replace(strings.ToLower(strings.TrimSpace(name)))
	if slices.Contains(categories, name) {
		return name
	}
	return ""
}

// labels returns the categories of the classifier that vSR's configuration
// calls by a name.
func (c *converter) labels(name string) []string {
	var own, found []string
	claimed := map[string]bool{}
	for _, n := range c.objects(c.vsr.at(c.layout.domains)) {
		mapped := c.strs(n.get("mmlu_categories"))
		for _, label := range mapped {
			claimed[category(label)] = true
		}
		if c.str(n.get("name")) == name {
			own = append(own, mapped...)
		}
	}
	if own == nil && !claimed[category(name)] {
		own = []string{name}
	}
	for _, label := range own {
		if known := category(label); known != "" && !slices.Contains(found, known) {
			found = append(found, known)
		}
	}
	return found
}

func (c *converter) domain(name string) *cond {
	definition := c.definition("domain", name)
	found := c.labels(name)
	if len(found) == 0 {
		return cannot("the classifier knows no category %q; give it examples under classifier.categories", name)
	}
	is := c.holds(config.When{Domain: found}, definition, "domain", "mmlu_categories")
	is.text = fmt.Sprintf("domain %q", name)
	fallback := c.vsr.at(c.layout.fallback)
	if fallback == nil || c.str(fallback) != name {
		return is
	}
	unsure := &cond{op: leaf, text: "no domain", shared: "domain unsure", definition: fallback,
		when: config.When{Not: &config.When{Domain: slices.Clone(categories)}},
		read: func() {
			c.say(fallback, Approximated, "rules for %s also hold where the classifier is sure of no category", name)
		}}
	return &cond{op: anyOf, kids: []*cond{is, unsure}}
}
