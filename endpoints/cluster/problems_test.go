package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// rules writes an HTTPRoute of gateway gw.
func rules(name, created, lines string) string {
	return fmt.Sprintf(`
- metadata: {name: %s, namespace: default, creationTimestamp: %q}
  spec:
    parentRefs: [{name: gw}]
    rules:%s
`, name, created, "\n"+strings.TrimRight(lines, "\n\t "))
}

const (
	toLlama = `{group: inference.networking.k8s.io, kind: InferencePool, name: llama}`
	toPhi   = `{group: inference.networking.k8s.io, kind: InferencePool, name: phi}`
	older   = "2026-01-01T00:00:00Z"
	younger = "2026-02-01T00:00:00Z"
)

func onHeader(model, to string) string {
	return `
    - matches: [{headers: [{name: X-Selected-Model, value: ` + model + `}]}]
      backendRefs: [` + to + `]`
}

func catchAll(to string) string {
	return `
    - backendRefs: [` + to + `]`
}

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		routes string
		serves map[string][]string // llama3-8b in llama and phi4-mini in phi by default
		want   []string            // pool kind model
		leads  map[string][]string
	}{
		"a rule for each model and one for the rest": {
			routes: rules("r", older, onHeader("llama3-8b", toLlama)+onHeader("phi4-mini", toPhi)+catchAll(toLlama)),
			leads:  map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"phi"}},
		},
		"a rule for the rest alone takes the other model to the wrong pool": {
			routes: rules("r", older, catchAll(toLlama)),
			want:   []string{"phi wrong-pool phi4-mini"},
			leads:  map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"llama"}},
		},
		"headers alone leave a model without a route": {
			routes: rules("r", older, onHeader("llama3-8b", toLlama)),
			want:   []string{"phi no-route phi4-mini"},
			leads:  map[string][]string{"llama3-8b": {"llama"}},
		},
		"rules that are exchanged": {
			routes: rules("r", older, onHeader("llama3-8b", toPhi)+onHeader("phi4-mini", toLlama)),
			want:   []string{"llama wrong-pool llama3-8b", "phi wrong-pool phi4-mini"},
			leads:  map[string][]string{"llama3-8b": {"phi"}, "phi4-mini": {"llama"}},
		},
		"the default group of a backend is no InferencePool": {
			routes: rules("r", older, onHeader("llama3-8b", toLlama)+onHeader("phi4-mini", `{kind: InferencePool, name: phi}`)),
			want:   []string{"phi wrong-pool phi4-mini"},
			leads:  map[string][]string{"llama3-8b": {"llama"}},
		},
		"a Service takes the requests": {
			routes: rules("r", older, onHeader("llama3-8b", toLlama)+catchAll(`{name: phi-service, port: 80}`)),
			want:   []string{"phi wrong-pool phi4-mini"},
			leads:  map[string][]string{"llama3-8b": {"llama"}},
		},
		"a longer path wins over a header": {
			routes: rules("r", older, onHeader("phi4-mini", toPhi)+`
    - matches: [{path: {type: Exact, value: /v1/chat/completions}}]
      backendRefs: [`+toLlama+`]`),
			want:  []string{"phi wrong-pool phi4-mini"},
			leads: map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"llama"}},
		},
		"below a prefix that the gateway takes off": {
			routes: rules("r", older, `
    - matches: [{path: {value: /team/}, headers: [{name: x-selected-model, value: phi4-mini}]}]
      backendRefs: [`+toPhi+`]
    - matches: [{path: {value: /team}}]
      backendRefs: [`+toLlama+`]`),
			leads: map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"phi"}},
		},
		"a regular expression": {
			routes: rules("r", older, `
    - matches: [{headers: [{type: RegularExpression, name: x-selected-model, value: "phi.*"}]}]
      backendRefs: [`+toPhi+`]`+catchAll(toLlama)),
			leads: map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"phi"}},
		},
		"a rule that wants a further header may be meant": {
			routes: rules("r", older, `
    - matches: [{headers: [{name: x-selected-model, value: phi4-mini}, {name: x-tenant, value: a}]}]
      backendRefs: [`+toPhi+`]`+catchAll(toLlama)),
			leads: map[string][]string{"llama3-8b": {"llama"}},
		},
		"rules for GET take no requests of models": {
			routes: rules("r", older, `
    - matches: [{method: GET, path: {value: /v1/models}}]
      backendRefs: [`+toLlama+`]`+catchAll(toLlama)),
			serves: map[string][]string{"llama3-8b": {"llama"}},
			leads:  map[string][]string{"llama3-8b": {"llama"}},
		},
		"the older of two routes that match alike wins": {
			routes: rules("young", younger, onHeader("phi4-mini", toPhi)) + rules("old", older, onHeader("phi4-mini", toLlama)+catchAll(toLlama)),
			want:   []string{"phi several-rules phi4-mini", "phi wrong-pool phi4-mini"},
			leads:  map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"llama"}},
		},
		"a rule over two pools": {
			routes: rules("r", older, onHeader("phi4-mini", toPhi)+`
    - backendRefs: [`+toLlama+`, `+toPhi+`]`),
			want:  []string{"llama several-backends ", "llama wrong-pool llama3-8b"},
			leads: map[string][]string{"llama3-8b": {"llama", "phi"}, "phi4-mini": {"phi"}},
		},
		"a backend of weight 0 is none": {
			routes: rules("r", older, onHeader("phi4-mini", toPhi)+`
    - backendRefs: [`+toLlama+`, {name: x, weight: 0}]`),
			leads: map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"phi"}},
		},
		"one name for rules of two routes": {
			routes: strings.ReplaceAll(rules("a", older, onHeader("phi4-mini", toPhi))+rules("b", older, catchAll(toLlama)), "    - ", "    - name: default\n      "),
			want:   []string{"phi rule-name "},
			leads:  map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"phi"}},
		},
		"a model in two pools may go to either": {
			routes: rules("r", older, catchAll(toPhi)),
			serves: map[string][]string{"shared": {"llama", "phi"}},
			leads:  map[string][]string{"shared": {"phi"}},
		},
		"routes of others say nothing": {
			routes: rules("r", older, catchAll(`{name: web, port: 80}`)),
			leads:  map[string][]string{},
		},
		"hosts are apart": {
			routes: strings.ReplaceAll(rules("a", older, onHeader("phi4-mini", toPhi)+catchAll(toLlama)), "spec:", "spec:\n    hostnames: [a.example]") +
				strings.ReplaceAll(rules("b", older, catchAll(toLlama)), "spec:", "spec:\n    hostnames: [b.example]"),
			want:  []string{"phi wrong-pool phi4-mini"},
			leads: map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"llama", "phi"}},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var routes []httpRoute
			if err := yaml.Unmarshal([]byte(tc.routes), &routes); err != nil {
				t.Fatalf("%v in\n%s", err, tc.routes)
			}
			for i := range routes {
				routes[i].complete()
			}
			if tc.serves == nil {
				tc.serves = map[string][]string{"llama3-8b": {"llama"}, "phi4-mini": {"phi"}}
			}
			problems, leads := check(listeners(routes, func(b backendRef) bool {
				return b.Group == Group && b.Kind == "InferencePool" && b.Namespace == "default" && slices.Contains([]string{"llama", "phi"}, b.Name)
			}), tc.serves, DefaultModelHeader)
			var got []string
			for _, p := range problems {
				got = append(got, fmt.Sprintf("%s %s %s", p.Pool, p.Kind, p.Model))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s%v", diff, problems)
			}
			if diff := cmp.Diff(tc.leads, leads); diff != "" {
				t.Errorf("leads (-want +got):\n%s", diff)
			}
		})
	}
}

func ExampleProblem() {
	fmt.Println(Problem{Pool: "phi", Kind: NoRoute, Model: "phi4-mini", Text: "no rule takes requests for model phi4-mini"})
	// Output: pool phi: no-route: no rule takes requests for model phi4-mini
}

// FuzzRoutes states that no HTTPRoute makes the check panic, and that what a
// request is sent to is one of the options.
func FuzzRoutes(f *testing.F) {
	f.Add(rules("r", older, onHeader("llama3-8b", toLlama)+catchAll(toPhi)), "llama3-8b")
	f.Add("- spec: {parentRefs: [{}], rules: [{matches: [{path: {type: RegularExpression, value: '('}}], backendRefs: [{}]}]}", "")
	f.Fuzz(func(t *testing.T, text, model string) {
		var routes []httpRoute
		if yaml.Unmarshal([]byte(text), &routes) != nil {
			t.Skip()
		}
		for i := range routes {
			routes[i].complete()
		}
		at := listeners(routes, func(b backendRef) bool { return b.Kind == "InferencePool" })
		check(at, map[string][]string{model: {"llama"}}, DefaultModelHeader)
		for _, options := range at {
			for _, path := range paths(options) {
				r := request{path: path, header: DefaultModelHeader, model: model}
				if w := follow(options, r); w.winner != nil && w.winner.match.try(r) != yes {
					t.Errorf("%q is sent by a rule that does not take it", path)
				}
			}
		}
	})
}
