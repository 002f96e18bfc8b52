package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds on conditions, so that the time that a request takes stays bounded.
const (
	maxConditions  = 16 << 10 // together
	maxWords       = 1024     // of one condition
	maxNearWords   = 64       // of one condition that forgives typing errors
	maxAllWords    = 64 << 10 // together
	maxWord        = 128      // bytes
	maxExpressions = 64
	maxExpression  = 1024 // bytes
	maxValues      = 256  // that a header field may have
)

// check checks one condition, without those inside it.
func (w *When) check(f *faults, at string, r *Router) {
	if w.empty() {
		f.add(at, "empty; use domain, keyword, regex or another condition")
	}
	if strings.Count(at, ".all[")+strings.Count(at, ".any[")+strings.Count(at, ".not") >= maxDepth {
		f.add(at, "conditions stand in one another more than %d deep", maxDepth)
	}
	w.checkLists(f, at)
	w.checkDomain(f, at, r)
	if w.Keyword != nil {
		w.Keyword.check(f, at+".keyword")
	}
	if w.Regex != nil {
		w.Regex.check(f, at+".regex")
	}
	if w.Embedding != nil {
		w.Embedding.check(f, at+".embedding", r.Classifier.Model)
	}
	if w.Complexity != nil {
		w.Complexity.check(f, at+".complexity", r.Classifier.Model)
	}
	w.ContextTokens.check(f, at+".contextTokens")
	w.checkLanguage(f, at+".language")
	if w.Conversation != nil {
		w.Conversation.check(f, at+".conversation")
	}
	w.checkFields(f, at, r)
	if w.Time != nil {
		w.Time.check(f, at+".time")
	}
	if w.OnError != "" {
		oneOf(f, at+".onError", w.OnError, NoMatch, Holds, Deny)
	}
}

func (w *When) empty() bool {
	return len(w.All) == 0 && len(w.Any) == 0 && w.Not == nil && len(w.Signal) == 0 && len(w.Domain) == 0 &&
		w.Keyword == nil && w.Regex == nil && w.Embedding == nil && w.Complexity == nil && w.ContextTokens == nil &&
		len(w.Language) == 0 && w.Conversation == nil && len(w.Header) == 0 && len(w.Metadata) == 0 && w.Time == nil
}

// checkLists complains of lists that stand there without anything in them: of
// none of nothing, nobody knows whether it holds.
func (w *When) checkLists(f *faults, at string) {
	for key, empty := range map[string]bool{
		".all": w.All != nil && len(w.All) == 0, ".any": w.Any != nil && len(w.Any) == 0,
		".signal": w.Signal != nil && len(w.Signal) == 0, ".domain": w.Domain != nil && len(w.Domain) == 0,
		".language": w.Language != nil && len(w.Language) == 0,
		".header":   w.Header != nil && len(w.Header) == 0, ".metadata": w.Metadata != nil && len(w.Metadata) == 0,
	} {
		if empty && !w.empty() { // an empty condition is a fault already
			f.add(at+key, "empty; leave it out")
		}
	}
}

func (w *When) checkDomain(f *faults, at string, r *Router) {
	for _, domain := range w.Domain {
		switch {
		case domain == "":
			f.add(at+".domain", "an empty name is no category; leave it out")
		case r.Classifier.Categories != nil && r.Classifier.Categories[domain] == nil:
			f.add(at+".domain", "unknown category %q%s", domain,
				list("categories", slices.Sorted(maps.Keys(r.Classifier.Categories))))
		}
	}
	if len(w.Domain) > 0 && r.Classifier.Model == "none" {
		f.add(at+".domain", "needs a classifier, but classifier.model is none")
	}
	if w.MinConfidence != nil && len(w.Domain) == 0 {
		f.add(at+".minConfidence", "only has a meaning beside domain")
	}
	f.number(at+".minConfidence", w.MinConfidence, 0, 1)
}

func (k *Keyword) check(f *faults, at string) {
	words := slices.Concat(k.Any, k.All, k.None)
	if len(words) == 0 {
		f.add(at, "empty; name words under any, all or none")
	}
	oneOf(f, at+".method", k.Method, Exact, Fuzzy, NGram, BM25)
	bound := maxWords
	if k.Method == Fuzzy || k.Method == NGram {
		bound = maxNearWords
	}
	f.most(at, "words", len(words), bound)
	if slices.ContainsFunc(words, func(w string) bool { return strings.TrimSpace(w) == "" }) {
		f.add(at, "an empty word matches everything; leave it out")
	}
	for _, word := range words {
		f.most(at, "bytes in a word", len(word), maxWord)
		if !utf8.ValidString(word) {
			f.add(at, "%q is not UTF-8", word)
		}
		if (k.Method == Fuzzy || k.Method == NGram) && !hasLetter.MatchString(word) {
			f.add(at, "%q has no letters that %s could compare", word, k.Method)
		}
	}
	k.checkContradiction(f, at)
	if k.Distance != 0 && k.Method != Fuzzy {
		f.add(at+".distance", "only has a meaning for the method fuzzy")
	} else if k.Distance < 0 || k.Distance > 4 {
		f.add(at+".distance", "%d; use a number in [1, 4]", k.Distance)
	}
	if k.Arity != 0 && k.Method != NGram {
		f.add(at+".arity", "only has a meaning for the method ngram")
	} else if k.Arity < 0 || k.Arity == 1 || k.Arity > 6 {
		f.add(at+".arity", "%d; use a number in [2, 6]", k.Arity)
	}
	switch {
	case k.Threshold != nil && (k.Method == Exact || k.Method == Fuzzy):
		f.add(at+".threshold", "only has a meaning for the methods ngram and bm25")
	case k.Method == NGram:
		f.positive(at+".threshold", k.Threshold, 1)
	case k.Method == BM25:
		f.positive(at+".threshold", k.Threshold, 1000)
	}
}

var hasLetter = regexp.MustCompile(`[\pL\pN_]`)

// checkContradiction finds words that must be there and must not.
func (k *Keyword) checkContradiction(f *faults, at string) {
	fold := strings.ToLower
	if k.CaseSensitive {
		fold = func(word string) string { return word }
	}
	none := map[string]bool{}
	for _, word := range k.None {
		none[fold(word)] = true
	}
	excluded := func(word string) bool { return none[fold(word)] }
	for _, word := range k.All {
		if excluded(word) {
			f.add(at, "never holds: %q is among all and among none", word)
		}
	}
	if len(k.Any) > 0 && !slices.ContainsFunc(k.Any, func(word string) bool { return !excluded(word) }) {
		f.add(at, "never holds: all words of any are among none")
	}
}

func (r *Regex) check(f *faults, at string) {
	if len(r.Any) == 0 {
		f.add(at, "empty; name at least one expression")
	}
	f.most(at, "expressions", len(r.Any), maxExpressions)
	for i, expr := range r.Any {
		key := fmt.Sprintf("%s[%d]", at, i)
		if expr == "" {
			f.add(key, "an empty expression matches everything; leave it out")
			continue
		}
		checkExpression(f, key, expr)
	}
	r.Count.check(f, at+".count")
}

func checkExpression(f *faults, key, expr string) {
	f.most(key, "bytes", len(expr), maxExpression)
	if _, err := regexp.Compile(expr); err != nil {
		f.add(key, "%v", err)
	}
}

// needsEmbeddings complains of a condition on meaning where the classifier
// gives none.
func needsEmbeddings(f *faults, at, model string) {
	if model == "none" || model == "linear" {
		f.add(at, "needs a model that embeds texts, but classifier.model is %s", model)
	}
}

func (e *Embedding) check(f *faults, at, model string) {
	needsEmbeddings(f, at, model)
	if len(e.Examples) == 0 {
		f.add(at+".examples", "empty; give texts that mean what is looked for")
	}
	f.texts(at+".examples", "examples", e.Examples, maxExamples, maxExample)
	f.number(at+".threshold", e.Threshold, -1, 1)
	oneOf(f, at+".aggregate", e.Aggregate, Max, Mean)
}

func (c *Complexity) check(f *faults, at, model string) {
	needsEmbeddings(f, at, model)
	if len(c.Hard) == 0 {
		f.add(at+".hard", "empty; give prompts that are hard")
	}
	if len(c.Easy) == 0 {
		f.add(at+".easy", "empty; give prompts that are easy")
	}
	f.texts(at+".hard", "examples", c.Hard, maxExamples, maxExample)
	f.texts(at+".easy", "examples", c.Easy, maxExamples, maxExample)
	f.positive(at+".threshold", c.Threshold, 2)
	oneOf(f, at+".level", c.Level, Hard, Medium, Easy)
}

func (r *Range) check(f *faults, at string) {
	switch {
	case r == nil:
	case r.Min == nil && r.Max == nil:
		f.add(at, "empty; use min or max")
	case r.Max != nil && r.Min != nil && *r.Max < *r.Min:
		f.add(at, "never holds: max %d is less than min %d", *r.Max, *r.Min)
	}
}

func (w *When) checkLanguage(f *faults, at string) {
	for i, code := range w.Language {
		if !slices.Contains(Languages(), code) {
			f.add(fmt.Sprintf("%s[%d]", at, i), "unknown language %q%s", code, list("languages", Languages()))
		}
	}
}

func (c *Conversation) check(f *faults, at string) {
	if *c == (Conversation{}) {
		f.add(at, "empty; use messages, turns, tools, toolResults, images or stream")
	}
	c.Messages.check(f, at+".messages")
	c.Turns.check(f, at+".turns")
	c.Tools.check(f, at+".tools")
	c.ToolResults.check(f, at+".toolResults")
	c.Images.check(f, at+".images")
}

// checkFields checks header fields and metadata.
func (w *When) checkFields(f *faults, at string, r *Router) {
	for _, name := range slices.Sorted(maps.Keys(w.Header)) {
		key := at + ".header." + name
		r.checkTrusted(f, key, name)
		w.Header[name].check(f, key)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Metadata)) {
		key := at + ".metadata." + name
		if name == "" {
			f.add(key, "a field of metadata needs a name")
		}
		w.Metadata[name].check(f, key)
	}
}

func (m Match) check(f *faults, at string) {
	value := len(m.In) > 0 || m.Prefix != "" || m.Regex != ""
	switch {
	case !value && m.Present == nil:
		f.add(at, "empty; give a value, or use in, prefix, regex or present")
	case value && m.Present != nil && !*m.Present:
		f.add(at, "never holds: what is not present has no value")
	}
	f.most(at+".in", "values", len(m.In), maxValues)
	if m.Regex != "" {
		checkExpression(f, at+".regex", m.Regex)
	}
}

// Weekdays are the names of days, as time.Weekday counts them.
func Weekdays() []string { return []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"} }

// TimeOfDay reads a time such as 17:30 as minutes since midnight; 24:00 is the
// end of the day.
func TimeOfDay(text string) (int, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return 0, fmt.Errorf("%q is no time of day; write it as 09:00", text)
	}
	return t.Hour()*60 + t.Minute(), nil
}

func (s *Schedule) check(f *faults, at string) {
	if len(s.Days) == 0 && s.From == "" && s.To == "" {
		f.add(at, "empty; use days, from or to")
	}
	for i, day := range s.Days {
		if !slices.Contains(Weekdays(), day) {
			f.add(fmt.Sprintf("%s.days[%d]", at, i), "%q; use mon, tue, wed, thu, fri, sat or sun", day)
		}
	}
	for key, text := range map[string]string{".from": s.From, ".to": s.To} {
		if _, err := TimeOfDay(text); text != "" && err != nil {
			f.add(at+key, "%v", err)
		}
	}
	if s.From != "" && s.From == s.To || s.From == "" && s.To == "00:00" || s.From == "24:00" {
		f.add(at, "never holds: no time is from %s to %s", s.From, s.To)
	}
	if _, err := time.LoadLocation(s.Zone); err != nil {
		f.add(at+".zone", "unknown time zone %q; use one such as Europe/Berlin", s.Zone)
	}
}
