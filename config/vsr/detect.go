package vsr

import (
	"errors"
	"fmt"
	"strings"
)

// ErrNotVSR says that a file is no configuration of vSR. The error that wraps
// it says how that was told.
var ErrNotVSR = errors.New("not a configuration of vLLM Semantic Router")

// A Format is the shape of a configuration of vSR.
type Format struct {
	// Generation is 0, 1 or 2.
	Generation int
	// Helm is whether the configuration stands under config: in Helm values.
	Helm bool
	// Why is what told the generation.
	Why string
}

// Detect tells the format of a configuration of vSR. The error wraps ErrNotVSR
// where the file is something else, and names the line where it is no YAML.
func Detect(data []byte) (Format, error) {
	root, err := parse(data)
	if err != nil {
		return Format{}, fmt.Errorf("read configuration: %w", err)
	}
	format, _, err := detect(root)
	return format, err
}

// detect also returns where the configuration begins.
func detect(root *node) (Format, *node, error) {
	if root.kind != object {
		return Format{}, nil, fmt.Errorf("%w: it has no keys", ErrNotVSR)
	}
	if kind := root.get("kind"); kind != nil && kind.kind == scalar {
		return Format{}, nil, fmt.Errorf("%w: it is of kind %.40q", ErrNotVSR, kind.text)
	}
	if format, ok := generation(root); ok {
		return format, root, nil
	}
	if config := root.get("config"); config != nil && config.kind == object {
		if format, ok := generation(config); ok {
			format.Helm = true
			return format, config, nil
		}
	}
	return Format{}, nil, fmt.Errorf("%w: it has neither version: v0.x, nor providers, decisions, categories or vllm_endpoints, at the top or under config",
		ErrNotVSR)
}

// marks tell the generation of a file; the first that is there decides.
var marks = []struct {
	generation int
	why        string
	is         func(root *node) bool
}{
	{2, "version: v0.x", func(r *node) bool {
		v := r.get("version")
		return v != nil && v.kind == scalar && strings.HasPrefix(v.text, "v0.")
	}},
	{2, "providers or routing", func(r *node) bool { return r.get("providers") != nil || r.get("routing") != nil }},
	{1, "decisions", func(r *node) bool { return r.get("decisions") != nil }},
	{0, "model_scores in categories", func(r *node) bool { return anyHas(r.get("categories"), "model_scores") }},
	{0, "category in keyword_rules", func(r *node) bool { return anyHas(r.get("keyword_rules"), "category") }},
	{1, "name in keyword_rules", func(r *node) bool { return anyHas(r.get("keyword_rules"), "name") }},
	{0, "keys of generation 0", func(r *node) bool {
		return r.get("categories") != nil || r.get("vllm_endpoints") != nil || r.get("model_config") != nil && r.has("default_model")
	}},
}

func generation(root *node) (Format, bool) {
	for _, m := range marks {
		if m.is(root) {
			return Format{Generation: m.generation, Why: m.why}, true
		}
	}
	return Format{}, false
}

func anyHas(items *node, key string) bool {
	for _, item := range items.values() {
		if item.has(key) {
			return true
		}
	}
	return false
}
