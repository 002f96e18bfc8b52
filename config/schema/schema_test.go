package schema_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"

	"semantic-epp/config/schema"
)

var update = flag.Bool("update", false, "write schema.json and the reference in docs/configuration.md")

func TestSchemaIsCurrent(t *testing.T) { current(t, "schema.json", generate(t)) }

// compile returns the schema of a kind of file.
func compile(t *testing.T, kind string) *jsonschema.Schema {
	t.Helper()
	text, err := schema.For(kind)
	if err != nil {
		t.Fatal(err)
	}
	return compileText(t, text)
}

func compileText(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func value(t *testing.T, text []byte) any {
	t.Helper()
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestShippedConfigurationsAreValid(t *testing.T) {
	paths, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("examples: %v, %v", paths, err)
	}
	s := compile(t, "config")
	for _, path := range append(paths, "../default.yaml") {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(value(t, data)); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestSchema(t *testing.T) {
	const models = "defaultModel: a\nmodels: [{name: a}]\n"
	rule := func(when string) string {
		return models + "rules: [{name: r, models: [{name: a}], when: " + when + "}]"
	}
	tests := map[string]struct {
		kind, text string
		bad        string // part of the complaint; "" where there should be none
	}{
		"the least":                       {"router", models, ""},
		"every short form":                {"router", rule(`{domain: math, language: [de, fr], keyword: [x], regex: x, header: {x-tier: gold, x-user: [a, b]}, contextTokens: {min: 32K, max: 64000}}`), ""},
		"every long form":                 {"router", rule(`{domain: [math], keyword: {none: [x]}, regex: {any: [x], count: {min: 2}}, header: {x-tier: {prefix: g}}}`), ""},
		"a tree of conditions":            {"router", rule(`{any: [{not: {domain: math}}, {all: [{regex: x}, {signal: s}]}]}`), ""},
		"a system prompt in both forms":   {"router", models + "rules: [{name: r, when: {regex: x}, models: [{name: a}], systemPrompt: x}, {name: s, when: {regex: z}, models: [{name: a}], systemPrompt: {text: x, mode: prepend}}]", ""},
		"an unknown key":                  {"router", models + "rulez: []", "rulez"},
		"an unknown key in a condition":   {"router", rule("{domian: math}"), "domian"},
		"no model at all":                 {"router", "defaultModel: a", "models"},
		"a choice that is none":           {"router", models + "unknownModel: perhaps", "unknownModel"},
		"a choice that is none, deep":     {"router", rule("{keyword: {any: [x], method: guess}}"), "rules"},
		"a word where a number goes":      {"router", models + "classifier: {minConfidence: high}", "minConfidence"},
		"a duration without a unit":       {"router", models + "classifier: {timeout: '5'}", "timeout"},
		"a count that is none":            {"router", rule("{contextTokens: {min: many}}"), "contextTokens"},
		"a list where keys go":            {"router", models + "classifier: [builtin]", "classifier"},
		"a file without a kind":           {"config", "plugins: []\nschedulingProfiles: []", "apiVersion"},
		"parameters of other plugins":     {"config", whole("{type: queue-scorer, parameters: {any: thing}}"), ""},
		"ours in the whole file":          {"config", whole("{type: semantic-router, parameters: {defaultModel: a, models: [{name: a}]}}"), ""},
		"ours in the whole file, wrong":   {"config", whole("{type: semantic-router, parameters: {defaultModel: a, modles: []}}"), "modles"},
		"ours without parameters":         {"config", whole("{type: semantic-router}"), "parameters"},
		"an unknown key at the top":       {"config", whole("{type: x}") + "\nprofiles: []", "profiles"},
		"a reference without its name":    {"config", whole("{type: x}") + "\nparser: {name: x}", "parser"},
		"an endpoints file":               {"endpoints", "endpoints: [{name: a, address: 10.0.0.1, port: 8000}]", ""},
		"an endpoints file with a typo":   {"endpoints", "endpoints: [{name: a, adress: 10.0.0.1, port: 8000}]", "adress"},
		"an endpoint without its address": {"endpoints", "endpoints: [{name: a, port: 8000}]", "address"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := compile(t, tc.kind).Validate(value(t, []byte(tc.text)))
			switch {
			case tc.bad == "" && err != nil:
				t.Error(err)
			case tc.bad != "" && (err == nil || !strings.Contains(err.Error(), tc.bad)):
				t.Errorf("no complaint about %s: %v", tc.bad, err)
			}
		})
	}
}

// whole is a whole configuration with one plugin.
func whole(plugin string) string {
	return "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\nplugins: [" + plugin +
		"]\nschedulingProfiles: [{name: default, plugins: [{pluginRef: x, weight: 2}]}]"
}

func TestForAnUnknownKind(t *testing.T) {
	if _, err := schema.For("rules"); err == nil || !strings.Contains(err.Error(), "config, router, endpoints") {
		t.Errorf("error %v", err)
	}
}
