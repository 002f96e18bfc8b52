package vsr_test

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	yamltree "go.yaml.in/yaml/v3"

	"semantic-epp/config"
	"semantic-epp/config/vsr"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// lookup stands in for DNS.
func lookup(host string) ([]netip.Addr, error) {
	if host == "general.models.svc" {
		return []netip.Addr{netip.MustParseAddr("10.3.0.9"), netip.MustParseAddr("10.3.0.8")}, nil
	}
	return nil, errors.New("not found")
}

func inputs(t testing.TB) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no inputs (%v)", err)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func convert(t testing.TB, file string) *vsr.Result {
	t.Helper()
	result, err := vsr.Convert(read(t, file), vsr.Options{
		File: filepath.Base(file), Standalone: !strings.Contains(file, "values"), Lookup: lookup,
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestGolden(t *testing.T) {
	for _, file := range inputs(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			result := convert(t, file)
			var report bytes.Buffer
			if err := vsr.WriteReport(&report, result.Report); err != nil {
				t.Fatal(err)
			}
			for suffix, got := range map[string][]byte{
				".out.yaml": result.YAML, ".report.txt": report.Bytes(), ".endpoints.yaml": result.EndpointsYAML,
			} {
				golden(t, strings.TrimSuffix(file, ".in.yaml")+suffix, got)
			}
		})
	}
}

func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := read(t, file); !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was; run with -update and read the difference", file)
	}
}

// leaves lists the keys of a document that hold no other keys.
func leaves(n *yamltree.Node, path string) []string {
	switch {
	case n.Kind == yamltree.AliasNode:
		return leaves(n.Alias, path)
	case n.Kind == yamltree.DocumentNode:
		return leaves(n.Content[0], path)
	case n.Kind == yamltree.MappingNode && len(n.Content) > 0:
		var all []string
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if strings.ContainsAny(key, ". ") {
				key = `["` + key + `"]`
			} else if path != "" {
				key = "." + key
			}
			all = append(all, leaves(n.Content[i+1], path+key)...)
		}
		return all
	case n.Kind == yamltree.SequenceNode:
		var all []string
		keys := false
		for i, item := range n.Content {
			below := leaves(item, path+"["+string(rune('0'+i/10))+string(rune('0'+i%10))+"]")
			keys = keys || len(below) > 0 && item.Kind == yamltree.MappingNode && len(item.Content) > 0
			all = append(all, below...)
		}
		if keys {
			return all
		}
	}
	return []string{path}
}

// Nothing is dropped silently: the report has every key once, and no other.
func TestReportHasEveryKeyOnce(t *testing.T) {
	for _, file := range inputs(t) {
		if strings.Contains(file, "generation0-values") {
			continue // it merges, which leaves does not
		}
		var document yamltree.Node
		if err := yamltree.Unmarshal(read(t, file), &document); err != nil {
			t.Fatal(err)
		}
		want := leaves(&document, "")
		for i, key := range want {
			want[i] = strings.ReplaceAll(key, "[0", "[")
		}
		var got []string
		line := 0
		for _, e := range convert(t, file).Report {
			got = append(got, e.Key)
			if e.Line < line || e.Note == "" || e.Outcome == "" {
				t.Errorf("%s: entry out of order or empty: %+v", file, e)
			}
			line = e.Line
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: the report has %d keys, the input %d; missing %q, too many %q", file, len(got), len(want), without(want, got), without(got, want))
		}
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// What is written reads back as what is returned, and endpoints are valid.
func TestFilesReadBack(t *testing.T) {
	for _, file := range inputs(t) {
		result := convert(t, file)
		parameters, err := vsr.Parameters(result.YAML)
		if err != nil {
			t.Fatal(err)
		}
		again, err := config.DecodeRouter(parameters)
		if err != nil || !reflect.DeepEqual(again, result.Router) {
			t.Errorf("%s: read back as %+v (%v), want %+v", file, again, err, result.Router)
		}
		endpoints, err := config.DecodeEndpoints(result.EndpointsYAML)
		if err != nil || len(endpoints.Endpoints) != len(result.Endpoints.Endpoints) {
			t.Errorf("%s: %d endpoints read back of %d (%v)", file, len(endpoints.Endpoints), len(result.Endpoints.Endpoints), err)
		}
		if bytes.Contains(result.YAML, []byte("not-shown")) {
			t.Errorf("%s: a key of a provider is in the output", file)
		}
	}
}

func TestDetect(t *testing.T) {
	tests := map[string]struct {
		text       string
		generation int
		helm       bool
		err        error
	}{
		"scores tell generation 0":                   {text: "categories: [{name: a, model_scores: []}]", generation: 0},
		"decisions tell generation 1":                {text: "decisions: []\ncategories: [{model_scores: []}]", generation: 1},
		"the version tells generation 2":             {text: "version: v0.3", generation: 2},
		"later versions have the shape of v0.3":      {text: "version: v0.4", generation: 2},
		"providers tell generation 2":                {text: "providers: {}", generation: 2},
		"Helm values are seen through":               {text: "image: x\nconfig: {providers: {}}", generation: 2, helm: true},
		"our own configuration is something else":    {text: string(config.Default), err: vsr.ErrNotVSR},
		"a ConfigMap is something else":              {text: "kind: ConfigMap\nconfig: {providers: {}}", err: vsr.ErrNotVSR},
		"an endpoints file is something else":        {text: "endpoints: []", err: vsr.ErrNotVSR},
		"a text is something else":                   {text: "hello", err: vsr.ErrNotVSR},
		"a version alone, of another thing, is none": {text: "version: 2", err: vsr.ErrNotVSR},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := vsr.Detect([]byte(tc.text))
			if !errors.Is(err, tc.err) || err == nil && (got.Generation != tc.generation || got.Helm != tc.helm || got.Why == "") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestConvertRefuses(t *testing.T) {
	const head = "version: v0.3\nproviders: {defaults: {default_model: a}, models: [{name: a}]}\n"
	bomb := "version: v0.3\na: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for _, c := range "bcdefgh" {
		bomb += string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 10), ", ") + "]\n"
	}
	tests := map[string]struct{ text, want string }{
		"no YAML":                          {"a: [", "line 1"},
		"nothing":                          {"", "empty"},
		"a key twice":                      {head + "global: {}\nglobal: {}", "line 4: global: stands twice, first in line 3"},
		"two documents":                    {head + "---\n" + head, "more than one document"},
		"aliases that repeat themselves":   {bomb, "do aliases repeat themselves?"},
		"an alias inside itself":           {head + "a: &a\n  b: *a\n", "do aliases repeat themselves?"},
		"no model":                         {"version: v0.3", "no model is named"},
		"a number that is none":            {head + "global: {model_catalog: {modules: {classifier: {domain: {threshold: high}}}}}", "line 3: global.model_catalog.modules.classifier.domain.threshold: must be a number"},
		"a list that is none":              {head + "routing: {decisions: {name: x}}", "line 3: routing.decisions: must be a list"},
		"an operator that vSR has not":     {head + "routing: {decisions: [{name: x, rules: {operator: XOR, conditions: [{type: domain, name: law}]}, modelRefs: [{model: a}]}]}", `"XOR"; vSR knows AND, OR and NOT`},
		"two faults, both named: a number": {head + "routing: {decisions: [{name: [], priority: x}]}", "priority: must be a number"},
		"two faults, both named: a text":   {head + "routing: {decisions: [{name: [], priority: x}]}", "name: must be a text"},
		"more than the bound":              {head + "#" + strings.Repeat("x", 4<<20), "has at most 4194304"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := vsr.Convert([]byte(tc.text), vsr.Options{}); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v has no %q", err, tc.want)
			}
		})
	}
}
