package source_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"semantic-epp/config"
	"semantic-epp/config/source"
)

// faults reads parameters of semantic-router as validate does.
func faults(t *testing.T, text string) []string {
	t.Helper()
	_, err := source.Read("config.yaml", []byte(text), config.DecodeRouter)
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestFaults(t *testing.T) {
	const models = "defaultModel: a\nmodels: [{name: a}]\n"
	const rule = models + "rules:\n- name: r\n  models: [{name: a}]\n"
	tests := map[string]struct {
		text string
		want []string // what each fault begins with
	}{
		"nothing wrong": {text: rule + "  when: {domain: math}"},
		"a misspelt key is one fault, at the key": {rule + "  when: {domian: math}",
			[]string{"config.yaml:6:10: rules[0].when.domian: unknown key; did you mean domain?"}},
		"a key of another dialect": {"default_model: a\nmodels: [{name: a}]",
			[]string{"config.yaml:1:1: default_model: unknown key; did you mean defaultModel?"}},
		"a key that is near none": {rule + "  when: {domain: math}\n  colour: red",
			[]string{"config.yaml:7:3: rules[0].colour: unknown key; known keys: description, headers, models, name, parameters, priority, reasoning, respond, systemPrompt, tier, when"}},
		"a key twice": {models + "defaultModel: b",
			[]string{"config.yaml:3:1: defaultModel: the key stands twice; it is in line 1 too"}},
		"a key deep in a part with a short form": {rule + "  when: {keyword: {any: [x], methd: exact}}",
			[]string{"config.yaml:6:30: rules[0].when.keyword.methd: unknown key; did you mean method?"}},
		"a short form of the wrong kind": {rule + "  when: {domain: 5}",
			[]string{"config.yaml:6:18: rules[0].when.domain: must be a string or a list of strings"}},
		"words that YAML takes for booleans": {rule + "  when: {language: [de, no]}\n  description: on",
			[]string{
				"config.yaml:6:10: rules[0].when.language: must be a string or a list of strings",
				"config.yaml:7:16: rules[0].description: must be a string, not true or false; YAML reads on as true or false: put it into quotes"}},
		"values of the wrong kind, all of them": {rule + "  when: {domain: math}\n  priority: high\n  tier: 1.5\nspillOver: maybe",
			[]string{
				"config.yaml:7:13: rules[0].priority: must be a whole number, not a string",
				"config.yaml:8:9: rules[0].tier: must be a whole number, not this number",
				"config.yaml:9:12: spillOver: must be true or false, not a string"}},
		"a list where keys are wanted": {models + "classifier: [builtin]",
			[]string{"config.yaml:3:1: classifier: must be a mapping of keys, not a list"}},
		"what follows from a fault is not said": {"defaultModel: [a]\nmodels: [{name: a}]",
			[]string{"config.yaml:1:1: defaultModel: must be a string, not a list"}},
		"a duration without a unit": {models + "classifier: {timeout: '5'}",
			[]string{`config.yaml:3:23: classifier.timeout: duration "5": use a number with a unit, such as 100ms`}},
		"a fault that validation finds, with the value that was meant": {
			"defaultModel: llama3-8\nmodels:\n- name: llama3-8b",
			[]string{`config.yaml:1:15: defaultModel: unknown model "llama3-8"; known models: llama3-8b; did you mean llama3-8b?`}},
		"a key that is missing: where it should be": {models + "rules:\n- when: {domain: math}\n  models: [{name: a}]",
			[]string{"config.yaml:4:3: rules[0].name: missing"}},
		"faults of all kinds, in the order of the file": {
			"defaultModel: b\nmodels: [{name: a}]\nunknownModel: perhaps\nclasifier: {minConfidence: 2}\nrulez: 5",
			[]string{
				`config.yaml:1:15: defaultModel: unknown model "b"; known models: a`,
				`config.yaml:3:15: unknownModel: "perhaps"; use reject or pass`,
				`config.yaml:4:1: clasifier: unknown key; did you mean classifier?`,
				"config.yaml:4:28: classifier.minConfidence: 2; use a number in [0, 1]",
				"config.yaml:5:1: rulez: unknown key; did you mean rules?",
				"config.yaml:5:8: rules: must be a list, not this number"}},
		"keys through an anchor and a merge": {models + "rules:\n- &r\n  name: r\n  when: {domain: math}\n  models: [{nam: a}]\n- {<<: *r, name: s, when: {domain: law}}",
			[]string{"config.yaml:7:13: rules[0].models[0].nam: unknown key; did you mean name?"}},
		"not YAML":                {"models:\n\t- x", []string{"config.yaml:2:2: not YAML: found character that cannot start any token"}},
		"a bracket left open":     {"models: [", []string{"config.yaml:1:1: not YAML: did not find expected node content"}},
		"a second document":       {models + "---\nx: 1", []string{"config.yaml:3:1: a second YAML document; only one is read: put it into a file of its own"}},
		"an alias without anchor": {"models: *x", []string{"config.yaml: not YAML: unknown anchor 'x' referenced"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := faults(t, tc.text); !slices.EqualFunc(got, tc.want, strings.HasPrefix) {
				t.Errorf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(tc.want, "\n  "))
			}
		})
	}
}

type keyed struct{}

func (keyed) Error() string { return "a.b: wrong" }
func (keyed) Key() string   { return "a.b" }

func TestAddFindsThePlace(t *testing.T) {
	const text = "plugins:\n- type: x\n  parameters:\n    a: {b: 1}\n    signals:\n      eu users: {x.y: [1]}\n"
	tests := map[string]struct {
		err  error
		want string
	}{
		"an error that knows its key":           {keyed{}, "f:4:12: a.b: wrong"},
		"an error that knows it, wrapped":       {fmt.Errorf("check: %w", keyed{}), "f:4:12: a.b: check: a.b: wrong"},
		"a key with a space and one with a dot": {errors.New("signals.eu users.x.y[0]: bad: very"), "f:6:24: signals.eu users.x.y[0]: bad: very"},
		"a key in quotes":                       {errors.New(`signals["eu users"]: bad`), `f:6:7: signals["eu users"]: bad`},
		"a key that is not there":               {errors.New("a.c.d: missing"), "f:4:5: a.c.d: missing"},
		"no key at all":                         {errors.New("open classifier: no such file"), "f:3:3: open classifier: no such file"},
		"several":                               {errors.Join(errors.New("a: one"), errors.Join(errors.New("signals: two"))), "f:4:5: a: one\nf:5:5: signals: two"},
		"several causes of one fault":           {fmt.Errorf("%w, %w", errors.New("a: one"), errors.New("a: two")), "f:4:5: a: one, a: two"},
		"nothing":                               {nil, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := source.Parse("f", []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			d.Add("plugins[0].parameters", tc.err)
			got := ""
			if err := d.Err(); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	known := []string{"domain", "keyword", "regex", "minConfidence", "all", "any", "not", "header"}
	for word, want := range map[string]string{
		"domian": "domain", "Domain": "domain", "keywords": "keyword", "min_confidence": "minConfidence", "minConfidenze": "minConfidence",
		"nay": "any", "headers": "header", "colour": "", "": "", "x": "", "any": "",
	} {
		if got, _ := source.Nearest(word, known); got != want {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}

func ExampleDocument() {
	type settings struct {
		Port int    `json:"port"`
		Host string `json:"host"`
	}
	d, err := source.Parse("app.yaml", []byte("port: many\nhots: a\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	d.Check("", reflect.TypeFor[settings]())
	fmt.Println(d.Err())
	// Output:
	// app.yaml:1:7: port: must be a whole number, not a string
	// app.yaml:2:1: hots: unknown key; did you mean host?
}

// Any file can be examined; what is reported lies in it; a file without a fault
// of structure is one that strict decoding takes, and the other way round.
func FuzzDocument(f *testing.F) {
	f.Add([]byte("defaultModel: a\nmodels: [{name: a}]\nrules: [{name: r, when: {keyword: [x]}, models: [{name: a, weight: x}]}]"))
	f.Add([]byte("a: &a [x]\nb: *a\n<<: {c: 1}\n? [k]\n: v"))
	f.Add([]byte(`{"models": [{"name": "a", "name": "b"}], "modles": {}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := source.Parse("f", data)
		if err != nil {
			return
		}
		d.Check("", reflect.TypeFor[config.Router]())
		structure := d.Err()
		repaired := d.JSON("")
		if repaired == nil {
			return
		}
		if err := config.Strict(repaired, &config.Router{}); err != nil {
			t.Errorf("still broken after repair (%v): %v\n%s", structure, err, repaired)
		}
		_, err = config.DecodeRouter(repaired)
		d.Add("", err)
		lines := strings.Count(strings.NewReplacer("\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(string(data)), "\n") + 2 // an empty document begins where the text ends
		for _, fault := range d.Faults() {
			if fault.Line < 0 || fault.Line > lines || fault.Message == "" {
				t.Errorf("%d lines, and a fault at %+v", lines, fault)
			}
		}
	})
}
