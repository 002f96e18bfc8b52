package api

import "slices"

// A signalKind is a kind of condition in vLLM Semantic Router's words.
type signalKind struct {
	name string // in matched_rules: "domain" of "domain:math"
	list string // in matched_signals
}

// signalKinds are the kinds by our name for them. header and time are unknown
// to vLLM Semantic Router and left out.
var signalKinds = map[string]signalKind{
	"domain":        {"domain", "domains"},
	"keyword":       {"keyword", "keywords"},
	"regex":         {"structure", "structure"},
	"embedding":     {"embedding", "embeddings"},
	"complexity":    {"complexity", "complexity"},
	"contextTokens": {"context", "context"},
	"language":      {"language", "language"},
	"conversation":  {"conversation", "conversation"},
	"metadata":      {"metadata", "metadata"},
}

// eachMatch visits the conditions that hold, from the outside in.
func eachMatch(c Condition, visit func(kind signalKind, name string)) {
	if kind, known := signalKinds[c.Kind]; known && c.Evaluated && c.Holds {
		visit(kind, c.Name)
	}
	for _, inner := range c.Conditions {
		eachMatch(inner, visit)
	}
}

// named is the name of a condition, or of the rule around it.
func named(name string, rule Rule) string {
	if name == "" {
		return rule.Name
	}
	return name
}

func appendNew(names []string, name string) []string {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}
