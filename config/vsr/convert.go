package vsr

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"semantic-epp/config"
)

// Options say what the input itself does not.
type Options struct {
	// File is the name of the input in comments. Default: "vSR's configuration".
	File string
	// Standalone is for a picker that is given the result's endpoints, without
	// Kubernetes: models match those endpoints by label. Otherwise models are
	// found by the names that their endpoints report.
	Standalone bool
	// Lookup finds the addresses of endpoints with DNS names. Without it they
	// stay in Result.Names.
	Lookup func(host string) ([]netip.Addr, error)
}

// A Result is what was made of a configuration of vSR.
type Result struct {
	Format Format
	// Router is what YAML says, with defaults.
	Router *config.Router
	// Endpoints are those with an IP address.
	Endpoints config.Endpoints
	// Names are endpoints whose Address is a DNS name. An endpoints file takes
	// addresses only.
	Names []config.Endpoint
	// Report has an entry for every key, in the order of the input.
	Report []Entry
	// YAML is an EndpointPickerConfig with comments, EndpointsYAML an endpoints
	// file; what could not be taken over stands there as a comment.
	YAML, EndpointsYAML []byte
}

// Convert makes our configuration of one of vSR. The error names what is wrong
// with the input; it wraps ErrNotVSR where Detect's does.
func Convert(data []byte, options Options) (*Result, error) {
	root, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	format, vsr, err := detect(root)
	if err != nil {
		return nil, err
	}
	if options.File == "" {
		options.File = "vSR's configuration"
	}
	dropped := map[*node]string{}
	for {
		c := newConverter(vsr, format, options, dropped)
		c.convert()
		if len(c.faults) > 0 {
			return nil, fmt.Errorf("read configuration: %w", errors.Join(c.faults...))
		}
		result := &Result{Format: format, Endpoints: c.endpoints, Names: c.names, Report: c.journal.report(root, vsr, format.Generation)}
		if err := c.write(result); err != nil {
			return nil, fmt.Errorf("write configuration: %w", err)
		}
		router, faults := decode(result.YAML)
		if faults == nil {
			result.Router = router
			return result, nil
		}
		if !c.drop(faults) {
			return nil, fmt.Errorf("convert configuration of generation %d: %w", format.Generation, faults)
		}
	}
}

// decode reads the parameters of semantic-router in our configuration.
func decode(data []byte) (*config.Router, error) {
	parameters, err := Parameters(data)
	if err != nil {
		return nil, err
	}
	return config.DecodeRouter(parameters)
}

var ruleKey = regexp.MustCompile(`^rules\[([0-9]+)\]`)

// drop notes the rules that our stricter validation refuses, so that they are
// left out; vSR's configuration is valid with them. It returns false when there
// are none, or other faults.
func (c *converter) drop(faults error) bool {
	list := []error{faults}
	if joined, ok := faults.(interface{ Unwrap() []error }); ok {
		list = joined.Unwrap()
	}
	progress := false
	for _, fault := range list {
		key := ruleKey.FindStringSubmatch(fault.Error())
		if key == nil {
			continue
		}
		i, err := strconv.Atoi(key[1])
		if err != nil || i >= len(c.rules) || c.dropped[c.rules[i].id()] != "" {
			continue
		}
		_, why, _ := strings.Cut(fault.Error(), ": ")
		c.dropped[c.rules[i].id()] = why
		progress = true
	}
	if !progress && !c.inline && strings.Contains(faults.Error(), "signals.") {
		c.dropped[inlineAll] = "signals"
		return true
	}
	return progress
}

// inlineAll among the dropped says that no signal is to be shared, so that a
// fault of one is a fault of the rules that use it.
var inlineAll = &node{}

// A converter makes one attempt.
type converter struct {
	*journal
	vsr     *node
	format  Format
	options Options
	layout  layout
	dropped map[*node]string // rules that are left out, and why
	inline  bool
	faults  []error

	router    config.Router
	models    models
	rules     []*rule
	left      []leftOut
	endpoints config.Endpoints
	names     []config.Endpoint
	origins   map[string]origin // by the path of a part of ours
	written   map[remark]bool   // remarks that stand in a comment already
}

// An origin is where a part of ours comes from.
type origin struct {
	text string
	from []*node
}

// A leftOut is a rule that could not be taken over.
type leftOut struct{ name, when, why string }

func newConverter(vsr *node, format Format, options Options, dropped map[*node]string) *converter {
	return &converter{
		journal: newJournal(), vsr: vsr, format: format, options: options, layout: layouts[format.Generation],
		dropped: dropped, inline: dropped[inlineAll] != "", origins: map[string]origin{}, written: map[remark]bool{},
	}
}

func (c *converter) convert() {
	c.readModels()
	c.readReasoning()
	c.readClassifier()
	if c.format.Generation == 0 {
		c.readCategories()
	} else {
		c.readDecisions()
	}
	c.readDefaults()
	c.readAutoNames()
	c.readEndpoints()
	c.finishRules()
	c.finishModels()
}

// A layout is where a generation keeps what all have.
type layout struct {
	models, endpoints, families, defaultModel, effort string
	threshold, fallback, classifierModel, strategy    string
	autoName, clearRouteCache                         string
	domains, decisions                                string
	signals                                           map[string]string // by the type of a condition
}

var flat = layout{
	models: "model_config", endpoints: "vllm_endpoints", families: "reasoning_families",
	defaultModel: "default_model", effort: "default_reasoning_effort",
	threshold: "classifier.category_model.threshold", fallback: "classifier.category_model.fallback_category",
	classifierModel: "classifier.category_model.model_id", strategy: "strategy",
	autoName: "auto_model_name", clearRouteCache: "clear_route_cache",
	domains: "categories", decisions: "decisions",
	signals: map[string]string{
		"keyword": "keyword_rules", "embedding": "embedding_rules", "domain": "categories",
		"fact_check": "fact_check_rules", "user_feedback": "user_feedback_rules", "preference": "preference_rules",
	},
}

var layouts = [3]layout{flat, flat, {
	models: "providers.models", families: "providers.defaults.reasoning_families",
	defaultModel: "providers.defaults.default_model", effort: "providers.defaults.default_reasoning_effort",
	threshold:       "global.model_catalog.modules.classifier.domain.threshold",
	fallback:        "global.model_catalog.modules.classifier.domain.fallback_category",
	classifierModel: "global.model_catalog.modules.classifier.domain.model_id", strategy: "routing.strategy",
	autoName: "global.router.auto_model_name", clearRouteCache: "global.router.clear_route_cache",
	domains: "routing.signals.domains", decisions: "routing.decisions",
	signals: map[string]string{
		"keyword": "routing.signals.keywords", "embedding": "routing.signals.embeddings", "domain": "routing.signals.domains",
		"complexity": "routing.signals.complexity", "context": "routing.signals.context", "structure": "routing.signals.structure",
		"conversation": "routing.signals.conversation", "language": "routing.signals.language", "metadata": "routing.signals.metadata",
		"jailbreak": "routing.signals.jailbreak", "pii": "routing.signals.pii", "fact_check": "routing.signals.fact_check",
		"user_feedback": "routing.signals.user_feedbacks", "reask": "routing.signals.reasks", "preference": "routing.signals.preferences",
		"modality": "routing.signals.modality", "authz": "routing.signals.role_bindings", "kb": "routing.signals.kb",
		"event": "routing.signals.events", "classifier": "routing.signals.classifiers", "projection": "routing.projections.mappings",
	},
}}

// fault notes what is wrong with the input itself.
func (c *converter) fault(n *node, format string, args ...any) {
	c.faults = append(c.faults, lineError(n.line, n.path, format, args...))
}

// str reads a text, "" where there is none.
func (c *converter) str(n *node) string {
	switch {
	case n == nil:
	case n.kind != scalar:
		c.fault(n, "must be a text")
	default:
		return n.text
	}
	return ""
}

// strs reads a list of texts; a single one counts as a list.
func (c *converter) strs(n *node) []string {
	if n == nil {
		return nil
	}
	if n.kind == scalar {
		return []string{n.text}
	}
	var texts []string
	for _, item := range n.items {
		if n.kind != list || item.kind != scalar {
			c.fault(n, "must be a list of texts")
			return nil
		}
		if !item.null {
			texts = append(texts, item.text)
		}
	}
	return texts
}

// num reads a number, otherwise where there is none.
func (c *converter) num(n *node, otherwise float64) float64 {
	if n == nil {
		return otherwise
	}
	v, ok := n.number()
	if !ok {
		c.fault(n, "must be a number")
		return otherwise
	}
	return v
}

// bool reads a boolean, otherwise where there is none.
func (c *converter) bool(n *node, otherwise bool) bool {
	if n == nil {
		return otherwise
	}
	v, ok := n.truth()
	if !ok {
		c.fault(n, "must be true or false")
		return otherwise
	}
	return v
}

// objects returns the entries of a list of objects.
func (c *converter) objects(n *node) []*node {
	if n == nil {
		return nil
	}
	if n.kind != list {
		c.fault(n, "must be a list")
		return nil
	}
	var found []*node
	for _, item := range n.items {
		if item.kind != object {
			c.fault(item, "must have keys")
			continue
		}
		found = append(found, item)
	}
	return found
}

// mapping returns the values of an object, in order.
func (c *converter) mapping(n *node) []*node {
	if n != nil && n.kind != object {
		c.fault(n, "must have keys")
		return nil
	}
	return n.values()
}

// readDefaults reads what serves the requests that no rule claims.
func (c *converter) readDefaults() {
	n := c.vsr.at(c.layout.defaultModel)
	if name := c.str(n); name != "" {
		c.router.DefaultModel = c.modelFor(name, "", n)
		c.say(n, Taken, "defaultModel")
		c.origin("defaultModel", "", n)
	}
	if clearing := c.vsr.at(c.layout.clearRouteCache); clearing != nil {
		if c.bool(clearing, true) {
			c.say(clearing, Taken, "the picker always clears the route cache")
		} else {
			c.say(clearing, Approximated, "the picker always clears the route cache, so that routes can match x-selected-model")
		}
	}
	if c.router.DefaultModel != "" {
		return
	}
	if len(c.models.list) == 0 {
		c.faults = append(c.faults, lineError(c.vsr.line, c.vsr.path, "no model is named: the picker needs at least one, and %s", c.layout.defaultModel))
		return
	}
	first := c.models.list[0]
	c.router.DefaultModel = first.Name
	note := remark{outcome: Approximated, warn: true,
		note: "there is no default model: vSR answers 400 to what no decision claims; here " + first.Name + " serves it"}
	switch {
	case n != nil:
		c.keys[n] = note
	case first.from != nil:
		c.notes(first.from, note)
	}
	c.origin("defaultModel", note.note)
}

// notes says something of the first key of a value that may hold keys itself.
func (c *converter) notes(n *node, r remark) {
	for holdsKeys(n) {
		n = n.items[0]
	}
	c.keys[n] = r
}

// origin notes where a part of ours comes from.
func (c *converter) origin(part, text string, from ...*node) {
	from = slices.DeleteFunc(slices.Clone(from), func(n *node) bool { return n == nil })
	if text == "" && len(from) > 0 {
		text = fmt.Sprintf("%s, line %d", from[0].path, from[0].line)
	}
	c.origins[part] = origin{text: text, from: from}
}

// readAutoNames reads the names that ask for a decision.
func (c *converter) readAutoNames() {
	n := c.vsr.at(c.layout.autoName)
	names := []string{}
	if name := c.str(n); name != "" {
		names = append(names, name)
	}
	c.say(n, Taken, "autoModels, beside auto and MoM")
	more := c.vsr.at("global.router.auto_model_names")
	names = append(names, c.strs(more)...)
	c.say(more, Taken, "autoModels")
	names = append(names, "auto", "MoM")
	if c.format.Generation == 2 {
		names = append(names, "vllm-sr/auto")
		names = append(names, c.entrypoints()...)
	}
	for _, name := range names {
		if name == "" || slices.Contains(c.router.AutoModels, name) {
			continue
		}
		if m := c.models.named(name); m != nil {
			for _, key := range []*node{n, more} {
				if slices.Contains(c.strs(key), name) {
					c.warn(key, Approximated, "autoModels, without %q: it is a model, which clients can ask for", name)
				}
			}
			continue
		}
		c.router.AutoModels = append(c.router.AutoModels, name)
	}
	c.origin("autoModels", "", n)
}

// entrypoints returns the names of entry points: of recipes there is only the
// routing at the top.
func (c *converter) entrypoints() []string {
	var names []string
	for _, e := range c.objects(c.vsr.get("entrypoints")) {
		names = append(names, c.strs(e.get("model_names"))...)
		c.warn(e.get("model_names"), Approximated, "autoModels: the names ask for a decision, but by the rules of routing, not of a recipe")
		c.warn(e.get("recipe"), Ignored, "there is one set of rules; make a second picker for another")
	}
	for _, r := range c.objects(c.vsr.get("recipes")) {
		c.cover(r, remark{outcome: Ignored, warn: true, note: "there is one set of rules, that of routing; make a second picker for another"})
	}
	return names
}

// vsrModels are the ends of names of the classifiers that vSR comes with. All have the
// categories of the built-in one.
var vsrModels = regexp.MustCompile(`(?i)(category_classifier|intent[-_]classifier|domain[-_]classifier|Vela-)`)

func (c *converter) readClassifier() {
	if n := c.vsr.at(c.layout.classifierModel); n != nil {
		if vsrModels.MatchString(c.str(n)) {
			c.say(n, Approximated, "classifier.model: the built-in classifier, which knows the same 14 categories")
		} else {
			c.warn(n, Approximated, "classifier.model: the built-in classifier with its 14 categories; for this one, set the path of its directory with an ONNX file")
		}
		c.origin("classifier.model", "", n)
	}
	threshold := c.vsr.at(c.layout.threshold)
	if threshold != nil {
		v := c.num(threshold, 0.5)
		if bounded := min(max(v, 0), 1); bounded != v {
			c.say(threshold, Approximated, "classifier.minConfidence %v: it is a probability", bounded)
			v = bounded
		} else {
			c.say(threshold, Taken, "classifier.minConfidence")
		}
		c.router.Classifier.MinConfidence = &v
		c.origin("classifier.minConfidence", "", threshold)
	}
	c.router.Classifier.Model = "builtin"
	if enabled := c.vsr.at("global.model_catalog.modules.classifier.domain.enabled"); enabled != nil {
		if c.bool(enabled, true) {
			c.say(enabled, Taken, "the classifier runs where a rule needs it")
		} else {
			c.say(enabled, Approximated, "the classifier still runs where a rule asks for a domain")
		}
	}
	c.readStrategy()
	if v := c.vsr.get("version"); v != nil {
		c.say(v, Taken, "generation 2")
	}
}

func (c *converter) readStrategy() {
	ways := []*node{c.vsr.at("global.router.strategy"), c.vsr.at(c.layout.strategy)}
	if c.format.Generation == 0 {
		return
	}
	for _, n := range ways {
		if n == nil {
			continue
		}
		switch c.str(n) {
		case "confidence":
			c.router.Strategy = config.ByConfidence
			c.say(n, Taken, "strategy")
		case "priority", "":
			c.router.Strategy = config.ByPriority
			c.say(n, Taken, "strategy")
		default:
			c.router.Strategy = config.ByPriority
			c.warn(n, Approximated, "strategy: priority; vSR knows priority and confidence")
		}
		c.origin("strategy", "", n)
	}
}

// uniqueName makes a name that no rule has yet.
func (c *converter) uniqueName(name string) string {
	name = cmp.Or(strings.TrimSpace(name), "unnamed")
	unique := name
	for i := 2; slices.ContainsFunc(c.rules, func(r *rule) bool { return r.Name == unique }); i++ {
		unique = fmt.Sprintf("%s-%d", name, i)
	}
	return unique
}

// Parameters returns the parameters of semantic-router in an
// EndpointPickerConfig such as Result.YAML, as JSON.
func Parameters(data []byte) (json.RawMessage, error) {
	var picker struct {
		Plugins []struct {
			Type       string          `json:"type"`
			Parameters json.RawMessage `json:"parameters"`
		} `json:"plugins"`
	}
	if err := unmarshalYAML(data, &picker); err != nil {
		return nil, fmt.Errorf("read EndpointPickerConfig: %w", err)
	}
	for _, p := range picker.Plugins {
		if p.Type == "semantic-router" {
			return p.Parameters, nil
		}
	}
	return nil, errors.New("read EndpointPickerConfig: no plugin semantic-router")
}
