package vsr

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"semantic-epp/config"
)

func unmarshalYAML(data []byte, into any) error { return yaml.Unmarshal(data, into) }

// lineWidth is how long a line may be before a value is written in block style.
const lineWidth = 120

// A writer writes YAML with comments: JSON has none, and YAML libraries put
// them elsewhere.
type writer struct {
	bytes.Buffer
	err error
}

func (w *writer) comment(indent int, text string) {
	fmt.Fprintf(w, "%s# %s\n", strings.Repeat(" ", indent), printable(text))
}

// printable takes out what a comment may not hold.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r == 0xfeff || !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// A pair is a key and its value, so that the order of keys is kept.
type pair struct {
	key   string
	value any
}

// ordered turns a value with JSON tags into pairs, lists and scalars, without
// what is empty.
func (w *writer) ordered(value any) any {
	data, err := json.Marshal(value)
	if err != nil {
		w.err = errors.Join(w.err, err)
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	result, err := next(decoder)
	w.err = errors.Join(w.err, err)
	return result
}

func next(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		pairs := []pair{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := next(d)
			if err != nil {
				return nil, err
			}
			if inner, ok := value.([]pair); !ok || len(inner) > 0 {
				pairs = append(pairs, pair{key.(string), short(key.(string), value)})
			}
		}
		_, err = d.Token()
		return pairs, err
	case json.Delim('['):
		items := []any{}
		for d.More() {
			item, err := next(d)
			if err != nil {
				return nil, err
			}
			items = append(items, item)
		}
		_, err = d.Token()
		return items, err
	}
	return token, nil
}

// short writes a value in the short form that our configuration has for it.
func short(key string, value any) any {
	switch key {
	case "keyword", "regex":
		if pairs, ok := value.([]pair); ok && len(pairs) == 1 && pairs[0].key == "any" {
			value = pairs[0].value
		}
		if key == "keyword" {
			return value
		}
	case "systemPrompt":
		if pairs, ok := value.([]pair); ok && len(pairs) == 1 && pairs[0].key == "text" {
			return pairs[0].value
		}
	}
	if items, ok := value.([]any); ok && len(items) == 1 && slices.Contains([]string{"domain", "language", "signal", "regex"}, key) {
		return items[0]
	}
	return value
}

// plain are texts that YAML reads as texts without quotes.
var plain = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./@-]*( [A-Za-z0-9_./@-]+)*$`)

var words = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"}

func text(s string) string {
	if plain.MatchString(s) && !slices.Contains(words, strings.ToLower(s)) && len(s) < 1000 {
		return s
	}
	return strconv.Quote(s)
}

// flow writes a value on one line.
func flow(value any) string {
	switch v := value.(type) {
	case []pair:
		parts := make([]string, len(v))
		for i, p := range v {
			parts[i] = text(p.key) + ": " + flow(p.value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			parts[i] = flow(item)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		return text(v)
	case nil:
		return "null"
	}
	return fmt.Sprint(value)
}

// value writes a value after "key:" or "-": on the same line where it fits,
// else below it, one entry a line.
func (w *writer) value(indent, used int, value any) {
	line := flow(value)
	_, isPairs := value.([]pair)
	items, isList := value.([]any)
	if !isPairs && !isList || used+1+len(line) <= lineWidth || line == "{}" || line == "[]" {
		fmt.Fprintf(w, " %s\n", line)
		return
	}
	w.WriteByte('\n')
	if isPairs {
		w.pairs(indent, value.([]pair))
		return
	}
	for _, item := range items {
		w.item(indent, item)
	}
}

func (w *writer) pairs(indent int, pairs []pair) {
	for _, p := range pairs {
		w.pair(indent, p)
	}
}

func (w *writer) pair(indent int, p pair) {
	n, _ := fmt.Fprintf(w, "%s%s:", strings.Repeat(" ", indent), text(p.key))
	if _, isList := p.value.([]any); isList {
		w.value(indent, n, p.value) // lists stand at the indent of their key
		return
	}
	w.value(indent+2, n, p.value)
}

// item writes an entry of a list.
func (w *writer) item(indent int, item any) {
	pairs, ok := item.([]pair)
	if !ok || indent+2+len(flow(item)) <= lineWidth {
		n, _ := fmt.Fprintf(w, "%s-", strings.Repeat(" ", indent))
		w.value(indent+2, n, item)
		return
	}
	start := w.Len()
	w.pairs(indent+2, pairs)
	w.Bytes()[start+indent] = '-' // in place of the first entry's indent
}

// write fills in the files of a result.
func (c *converter) write(result *Result) error {
	picker, endpoints := &writer{}, &writer{}
	c.pickerConfig(picker, result.Report)
	c.endpointsFile(endpoints)
	result.YAML, result.EndpointsYAML = picker.Bytes(), endpoints.Bytes()
	return errors.Join(picker.err, endpoints.err)
}

// pickerConfig writes our configuration.
func (c *converter) pickerConfig(w *writer, report []Entry) {
	counts, warnings := map[Outcome]int{}, 0
	for _, e := range report {
		if counts[e.Outcome]++; e.Warn {
			warnings++
		}
	}
	helm := ""
	if c.format.Helm {
		helm = ", Helm values"
	}
	w.comment(0, fmt.Sprintf("Converted from %s (vLLM Semantic Router, generation %d%s).", c.options.File, c.format.Generation, helm))
	w.comment(0, fmt.Sprintf("Of its %d keys %d were taken, %d approximated, %d ignored, and %d are unknown to vSR.",
		len(report), counts[Taken], counts[Approximated], counts[Ignored], counts[Unknown]))
	if warnings > 0 {
		w.comment(0, fmt.Sprintf("%d of them change how requests are answered: see the lines with ! in the report.", warnings))
	}
	w.comment(0, "What differs from vSR is said below where it is met first; the report says it of every key.")
	head, tail := pluginsOfDefault()
	w.WriteString(head)
	c.parameterLines(w)
	w.WriteString(tail)
}

// pluginsOfDefault returns what stands before and after the parameters of
// semantic-router in our default configuration, so that a converted one has the
// same plugins and profile.
func pluginsOfDefault() (head, tail string) {
	text := string(config.Default)
	text = text[strings.Index(text, "apiVersion:"):]
	const mark = "  parameters:\n"
	i := strings.Index(text, mark) + len(mark)
	end := strings.Index(text[i:], "\n- type:")
	return text[:i], text[i+end+1:]
}

// parameterLines writes the parameters of semantic-router, four spaces in.
func (c *converter) parameterLines(w *writer) {
	r := &c.router
	c.part(w, "autoModels", r.AutoModels)
	c.part(w, "defaultModel", r.DefaultModel)
	c.parts(w, "models", len(r.Models), func(i int) any { return r.Models[i] })
	for _, key := range []string{"classifier.model", "classifier.minConfidence"} {
		c.originComment(w, 4, key)
	}
	c.part(w, "classifier", r.Classifier)
	if r.Strategy != "" {
		c.part(w, "strategy", r.Strategy)
	}
	if r.ReasoningEffort != "" {
		c.part(w, "reasoningEffort", r.ReasoningEffort)
	}
	if len(r.ReasoningFamilies) > 0 {
		c.named(w, "reasoningFamilies", slices.Sorted(maps.Keys(r.ReasoningFamilies)), func(k string) any { return r.ReasoningFamilies[k] })
	}
	if len(r.Signals) > 0 {
		c.named(w, "signals", slices.Sorted(maps.Keys(r.Signals)), func(k string) any { return r.Signals[k] })
	}
	if len(r.Rules) > 0 {
		c.parts(w, "rules", len(r.Rules), func(i int) any { return r.Rules[i] })
	}
	for _, l := range c.left {
		w.comment(4, "Left out: rule "+l.name+": "+l.why)
		if l.when != "" {
			w.comment(4, "  when "+l.when)
		}
	}
}

func (c *converter) part(w *writer, key string, value any) {
	c.originComment(w, 4, key)
	w.pair(4, pair{key, w.ordered(value)})
}

// parts writes a list, each entry under its origin.
func (c *converter) parts(w *writer, key string, n int, entry func(int) any) {
	fmt.Fprintf(w, "    %s:\n", key)
	for i := range n {
		c.originComment(w, 4, fmt.Sprintf("%s[%d]", key, i))
		w.item(4, w.ordered(entry(i)))
	}
}

// named writes a mapping, each value under its origin.
func (c *converter) named(w *writer, key string, names []string, entry func(string) any) {
	fmt.Fprintf(w, "    %s:\n", key)
	for _, name := range names {
		c.originComment(w, 6, key+"."+name)
		w.pair(6, pair{name, w.ordered(entry(name))})
	}
}

// originComment says where a part comes from, and what is not as it was.
func (c *converter) originComment(w *writer, indent int, part string) {
	o := c.origins[part]
	if o.text == "" {
		return
	}
	w.comment(indent, o.text)
	for _, from := range o.from {
		c.remarks(from, func(n *node, r remark) {
			if r.outcome != Approximated && !r.warn || c.written[r] {
				return
			}
			c.written[r] = true
			line := fmt.Sprintf("%s: %s", r.outcome, r.note)
			if below := strings.TrimPrefix(strings.TrimPrefix(n.path, from.path), "."); below != "" {
				line = below + ": " + line
			}
			fmt.Fprintf(w, "%s#   %s\n", strings.Repeat(" ", indent), printable(line))
		})
	}
}

// remarks visits what was said of the keys of a value, in order.
func (c *converter) remarks(n *node, visit func(*node, remark)) {
	if r, ok := c.subtrees[n]; ok {
		visit(n, r)
		return
	}
	if r, ok := c.keys[n]; ok {
		visit(n, r)
	}
	for _, item := range n.items {
		c.remarks(item, visit)
	}
}

// endpointsFile writes our endpoints file.
func (c *converter) endpointsFile(w *writer) {
	w.comment(0, "Endpoints of "+c.options.File+".")
	for _, e := range c.names {
		w.comment(0, fmt.Sprintf("%s at %s is left out: gateways accept no names here. Give its address,", e.Name, hostPort(e)))
		w.comment(0, "with the labels "+flow(w.ordered(e.Labels))+", or let a pool of Kubernetes tell the endpoints.")
	}
	if len(c.endpoints.Endpoints) == 0 {
		w.WriteString("endpoints: []\n")
		return
	}
	w.WriteString("endpoints:\n")
	for i, e := range c.endpoints.Endpoints {
		c.originComment(w, 0, fmt.Sprintf("endpoints[%d]", i))
		w.item(0, w.ordered(e))
	}
}
