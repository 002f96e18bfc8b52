package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"semantic-epp/config"
	"semantic-epp/config/schema"
)

const page = "../../docs/configuration.md"

// The part of the page between these is generated.
const (
	begin = "<!-- reference: generated from the Go types by go test ./config/schema -update -->\n"
	end   = "<!-- end of reference -->\n"
)

func TestReferenceIsCurrent(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := bytes.Cut(text, []byte(begin))
	_, after, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the reference", page)
	}
	current(t, page, slices.Concat(before, []byte(begin), reference(t), []byte(end), after))
}

// examples are texts by the name of the type.
func examples(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("examples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var texts map[string]string
	if err := yaml.UnmarshalStrict(data, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

// reference describes every key of semantic-router, a section for each type
// with keys, in the order in which they are met.
func reference(t *testing.T) []byte {
	t.Helper()
	s := read(t, "..")
	texts := examples(t)
	var out bytes.Buffer
	done := map[string]bool{"Router": true}
	for queue := []string{"Router"}; len(queue) > 0; queue = queue[1:] {
		of := s.types[queue[0]]
		if len(of.fields) == 0 {
			continue
		}
		if texts[of.name] == "" {
			t.Errorf("examples.yaml has no %s", of.name)
		}
		s.section(&out, of, texts[of.name])
		for _, f := range of.fields {
			for _, name := range s.uses(f.expr) {
				if !done[name] {
					done[name] = true
					queue = append(queue, name)
				}
			}
		}
	}
	return out.Bytes()
}

func (s *source) section(out *bytes.Buffer, of *typeSource, example string) {
	fmt.Fprintf(out, "\n### %s\n\n%s\n", of.name, of.sentence())
	if forms := s.short(of.name); forms != "" {
		fmt.Fprintf(out, "\nShort forms: %s.\n", forms)
	}
	fmt.Fprint(out, "\n| key | kind | default | meaning |\n|---|---|---|---|\n")
	for _, f := range of.fields {
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", f.name, s.kindOf(f.expr), cell(f.otherwise(of)), cell(f.meaning(of)))
	}
	fmt.Fprintf(out, "\n```yaml\n%s```\n", example)
}

var (
	fieldSubject = regexp.MustCompile(`^\w+ (is|are) `)
	aboutDefault = regexp.MustCompile(` ?(Default:? [^.]*(\.\d[^.]*)*\.|Required\.)`)
)

// meaning is a field's description without what other columns say.
func (f *field) meaning(of *typeSource) string {
	text := aboutDefault.ReplaceAllString(f.text(of), "")
	if subject := fieldSubject.FindString(text); strings.HasPrefix(subject, f.name+" ") {
		text = text[len(subject):]
	} else {
		text = strings.TrimPrefix(text, f.name+" ")
	}
	return strings.ToUpper(text[:min(1, len(text))]) + text[min(1, len(text)):]
}

func cell(text string) string {
	if text == "" {
		return "–"
	}
	return strings.ReplaceAll(text, "|", `\|`)
}

// short names the short forms of a type.
func (s *source) short(name string) string {
	if !s.custom[name] {
		return ""
	}
	var forms []string
	for _, form := range shortForms[name] {
		forms = append(forms, map[string]string{"string": "a string", "array": "a list of strings", "integer": "a number", "boolean": "true or false"}[form[0].value.(string)])
	}
	return strings.Join(forms, ", ")
}

// kindOf names a type for a reader; types with keys link to their section.
func (s *source) kindOf(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return s.kindOf(e.X)
	case *ast.ArrayType:
		return "list of " + s.kindOf(e.Elt)
	case *ast.MapType:
		return "map of " + s.kindOf(e.Value)
	}
	switch n := name(expr); {
	case n == "bool":
		return "true or false"
	case n == "int":
		return "whole number"
	case n == "float64":
		return "number"
	case n == "Strings":
		return "string or list"
	case n == "Count":
		return "count"
	case n == "Duration":
		return "duration"
	case s.types[n] == nil:
		return n
	case len(s.types[n].fields) > 0:
		return fmt.Sprintf("[%s](#%s)", n, strings.ToLower(n))
	case len(s.types[n].values) > 0:
		return "`" + strings.Join(s.types[n].values, "`, `") + "`"
	default:
		return n
	}
}

// TestExamples keeps each example valid and complete: together with the short
// forms that stand in them, its texts show every key.
func TestExamples(t *testing.T) {
	s := read(t, "..")
	whole, err := schema.For("router")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range examples(t) {
		t.Run(name, func(t *testing.T) {
			if s.types[name] == nil {
				t.Fatal("there is no such type")
			}
			sch := compileText(t, bytes.Replace(whole, []byte(`"$ref": "#/$defs/Router"`), []byte(`"$ref": "#/$defs/`+name+`"`), 1))
			v := value(t, []byte(text))
			values, isList := v.([]any)
			if !isList {
				values = []any{v}
			}
			for _, v := range values {
				if err := sch.Validate(v); err != nil {
					t.Error(err)
				}
			}
			for _, f := range s.types[name].fields {
				if !regexp.MustCompile(`(^|[\s{,-])` + f.name + `:`).MatchString(text) {
					t.Errorf("the example does not show %s", f.name)
				}
			}
		})
	}
}

// TestDefaults compares the defaults of the schema, which come from comments,
// with those that decoding sets.
func TestDefaults(t *testing.T) {
	r, err := config.DecodeRouter(json.RawMessage(`{"defaultModel": "a", "models": [{"name": "a"}], "rules": [{"name": "r", "when": {"any": [
		{"keyword": ["x"]}, {"regex": "x"}, {"time": {"from": "09:00"}}]},
		"models": [{"name": "a"}], "systemPrompt": "x"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	s := read(t, "..")
	rule := r.Rules[0]
	for name, v := range map[string]any{"Router": r, "Classifier": r.Classifier, "SystemPrompt": *rule.SystemPrompt,
		"Keyword": *rule.When.Any[0].Keyword, "Schedule": *rule.When.Any[2].Time} {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var set map[string]any
		if err := json.Unmarshal(text, &set); err != nil {
			t.Fatal(err)
		}
		for _, f := range s.types[name].fields {
			want := f.literal(s)
			if n, ok := want.(json.Number); ok {
				want, _ = n.Float64()
			}
			got, ok := set[f.name]
			if want != nil && ok && !reflect.DeepEqual(got, want) {
				t.Errorf("%s.%s: the comment says that the default is %v, and it is %v", name, f.name, want, got)
			}
		}
	}
}

// TestPageExamples reads the configurations that the page shows.
func TestPageExamples(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	shown, _, _ := bytes.Cut(text, []byte(begin))
	blocks := regexp.MustCompile("(?s)```yaml\n# config.yaml\n(.*?)```").FindAllSubmatch(shown, -1)
	if len(blocks) == 0 {
		t.Fatal("the page shows no configuration")
	}
	for _, block := range blocks {
		if err := compile(t, "config").Validate(value(t, block[1])); err != nil {
			t.Error(err)
		}
		var file struct {
			Plugins []struct {
				Type       string          `json:"type"`
				Parameters json.RawMessage `json:"parameters"`
			} `json:"plugins"`
		}
		if err := yaml.Unmarshal(block[1], &file); err != nil {
			t.Fatal(err)
		}
		for _, p := range file.Plugins {
			if p.Type != "semantic-router" {
				continue
			}
			if _, err := config.DecodeRouter(p.Parameters); err != nil {
				t.Errorf("%v\n%s", err, block[1])
			}
		}
	}
}
