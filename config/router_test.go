package config_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"semantic-epp/config"
)

func decode(t *testing.T, text string) (*config.Router, error) {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return config.DecodeRouter(json.RawMessage(data))
}

func TestDecodeRouterDefaults(t *testing.T) {
	r, err := decode(t, `{defaultModel: a, models: [{name: a}]}`)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(r.AutoModels, " ") != "auto MoM" || r.UnknownModel != config.Reject || r.OtherPaths != "a" ||
		r.Classifier.Model != "builtin" || *r.Classifier.MinConfidence != 0.5 || r.Classifier.Timeout != 100e6 {
		t.Errorf("defaults are %+v", r)
	}
}

func TestDecodeRouterShorthands(t *testing.T) {
	r, err := decode(t, `
defaultModel: a
models: [{name: a}]
rules:
- {name: one, when: {domain: math, keyword: [v, w], regex: z}, models: [{name: a}]}
- {name: two, when: {domain: [math, law], keyword: {none: [x]}}, models: [{name: a, score: 0.5}]}`)
	if err != nil {
		t.Fatal(err)
	}
	one, two := r.Rules[0].When, r.Rules[1].When
	if len(one.Domain) != 1 || len(one.Keyword.Any) != 2 || len(one.Regex.Any) != 1 || len(two.Domain) != 2 || len(two.Keyword.None) != 1 {
		t.Errorf("rules are %+v", r.Rules)
	}
}

func TestDecodeRouterFaults(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"an unknown key": {`{defaultModel: a, models: [{name: a}], rulez: []}`, []string{`unknown field "rulez"`}},
		"an unknown key deep inside": {`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {keyword: {anny: [x]}}, models: [{name: a}]}]}`,
			[]string{"anny"}},
		"an unknown model in a rule, with those that are known": {
			`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {domain: math}, models: [{name: b}]}]}`,
			[]string{`rules[0].models[0].name: unknown model "b"; known models: a`}},
		"several faults at once": {
			`{defaultModel: x, models: [{name: a}, {name: a}], unknownModel: perhaps, classifier: {minConfidence: 2},
			  rules: [{name: "", when: {}, models: []}]}`,
			[]string{`defaultModel: unknown model "x"`, `models[1].name: model "a" stands twice`, "unknownModel", "classifier.minConfidence: 2",
				"rules[0].name: missing", "rules[0].when: empty", "rules[0].models: empty"}},
		"an adapter of an adapter": {`{defaultModel: a, models: [{name: a}, {name: b, adapterOf: a}, {name: c, adapterOf: b}]}`,
			[]string{`models[2].adapterOf: "b" is not a base model`}},
		"an expression that does not compile": {`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {regex: "("}, models: [{name: a}]}]}`,
			[]string{"rules[0].when.regex[0]"}},
		"a domain without a classifier": {`{defaultModel: a, models: [{name: a}], classifier: {model: none}, rules: [{name: r, when: {domain: math}, models: [{name: a}]}]}`,
			[]string{"rules[0].when.domain: needs a classifier"}},
		"a model that is also an auto name":     {`{defaultModel: auto, models: [{name: auto}]}`, []string{`"auto" is also an auto model name`}},
		"an expression that was left empty":     {"{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {regex: }, models: [{name: a}]}]}", []string{"rules[0].when: empty"}},
		"an expression that matches everything": {`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {regex: ""}, models: [{name: a}]}]}`, []string{"rules[0].when.regex[0]: an empty expression"}},
		"a category without a name":             {`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {domain: [""]}, models: [{name: a}]}]}`, []string{"rules[0].when.domain: an empty name"}},
		"a score of nothing":                    {`{defaultModel: a, models: [{name: a}], rules: [{name: r, when: {regex: x}, models: [{name: a, score: 0}]}]}`, []string{"score: 0"}},
		"a header that clients may not raise":   {`{defaultModel: a, models: [{name: a}], trustedHeaders: [authorization]}`, []string{"trustedHeaders[0]"}},
		"a duration without a unit":             {`{defaultModel: a, models: [{name: a}], classifier: {timeout: "5"}}`, []string{"use a number with a unit"}},
		"an external model with endpoints":      {`{defaultModel: a, models: [{name: a, external: true, match: {app: b}}]}`, []string{"external models have no endpoints"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := decode(t, tc.text)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error has no %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestDecodeEndpoints(t *testing.T) {
	got, err := config.DecodeEndpoints([]byte(`
endpoints:
- {name: a, address: 10.0.0.1, port: 8000, labels: {app: x}}
- {name: b, namespace: other, address: "2001:db8::1", port: 8000}
objectives: [{name: batch, priority: -1}]`))
	if err != nil {
		t.Fatal(err)
	}
	if got.Endpoints[0].Namespace != "default" || got.Endpoints[1].Namespace != "other" || got.Objectives[0].Priority != -1 {
		t.Errorf("got %+v", got)
	}
	for name, tc := range map[string]struct{ text, want string }{
		"a name for an address":     {`endpoints: [{name: a, address: localhost, port: 1}]`, `"localhost" is not an IP address`},
		"a port out of range":       {`endpoints: [{name: a, address: 10.0.0.1, port: 65536}]`, "65536; use 1 to 65535"},
		"a name twice":              {`endpoints: [{name: a, address: 10.0.0.1, port: 1}, {name: a, address: 10.0.0.2, port: 1}]`, "default/a stands twice"},
		"an address twice":          {`endpoints: [{name: a, address: 10.0.0.1, port: 1}, {name: b, address: 10.0.0.1, port: 1}]`, "address of endpoint default/a too"},
		"an unknown key":            {`endpoints: [{name: a, adress: 10.0.0.1, port: 1}]`, "adress"},
		"a key twice":               {"endpoints: []\nendpoints: []", "endpoints"},
		"an objective without name": {`objectives: [{priority: 1}]`, "objectives[0].name: missing"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := config.DecodeEndpoints([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v has no %q", err, tc.want)
			}
		})
	}
}

func FuzzDecodeRouter(f *testing.F) {
	f.Add([]byte(`{"defaultModel":"a","models":[{"name":"a"}],"rules":[{"name":"r","when":{"keyword":["x"]},"models":[{"name":"a"}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := config.DecodeRouter(data)
		if err == nil && r.Model(r.DefaultModel) == nil {
			t.Errorf("accepted although the default model %q is not there", r.DefaultModel)
		}
	})
}

func FuzzDecodeEndpoints(f *testing.F) {
	f.Add([]byte("endpoints: [{name: a, address: 10.0.0.1, port: 8000}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := config.DecodeEndpoints(data)
		if err != nil {
			return
		}
		for _, ep := range e.Endpoints {
			if ep.Name == "" || ep.Namespace == "" || ep.Port < 1 || ep.Port > 65535 {
				t.Errorf("accepted %+v", ep)
			}
		}
	})
}
