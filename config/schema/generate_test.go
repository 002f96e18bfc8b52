package schema_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// object is a JSON object that keeps its order.
type object []member

type member struct {
	key   string
	value any
}

func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		key, _ := json.Marshal(m.key)
		b.Write(append(key, ':'))
		var value bytes.Buffer
		encoder := json.NewEncoder(&value)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(m.value); err != nil {
			return nil, err
		}
		b.Write(value.Bytes())
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// with returns the object with one more member; nothing is added for an empty
// text or list.
func (o object) with(key string, value any) object {
	if v := reflect.ValueOf(value); value == nil || (v.Kind() == reflect.String || v.Kind() == reflect.Slice && v.Type() != reflect.TypeFor[object]()) && v.Len() == 0 {
		return o
	}
	return append(o, member{key, value})
}

// A source is what a package's files say of its types.
type source struct {
	types  map[string]*typeSource
	custom map[string]bool // types with an UnmarshalJSON
}

type typeSource struct {
	name   string
	doc    string
	expr   ast.Expr
	fields []field
	values []string // string constants of the type
}

// A field is a key of a struct type.
type field struct {
	goName, name string
	doc          string // "" where it has none of its own nor in common with the ones above
	required     bool
	expr         ast.Expr
}

// read parses the files of a folder that are not tests.
func read(t *testing.T, dir string) *source {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no Go files in %s: %v", dir, err)
	}
	s := &source{types: map[string]*typeSource{}, custom: map[string]bool{}}
	files := token.NewFileSet()
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(files, path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			s.add(files, declaration)
		}
	}
	return s
}

func (s *source) add(files *token.FileSet, declaration ast.Decl) {
	switch d := declaration.(type) {
	case *ast.FuncDecl:
		if d.Name.Name == "UnmarshalJSON" && d.Recv != nil {
			s.custom[name(d.Recv.List[0].Type)] = true
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				of := s.typeOf(spec.Name.Name)
				if of.expr = spec.Type; spec.Doc == nil {
					spec.Doc = d.Doc
				}
				of.doc = words(spec.Doc)
				if st, ok := spec.Type.(*ast.StructType); ok {
					of.fields = readFields(files, st)
				}
			case *ast.ValueSpec:
				literal, ok := first(spec.Values).(*ast.BasicLit)
				if d.Tok != token.CONST || spec.Type == nil || !ok || literal.Kind != token.STRING {
					continue
				}
				value, _ := strconv.Unquote(literal.Value)
				of := s.typeOf(name(spec.Type))
				of.values = append(of.values, value)
			}
		}
	}
}

func (s *source) typeOf(name string) *typeSource {
	if s.types[name] == nil {
		s.types[name] = &typeSource{name: name}
	}
	return s.types[name]
}

func first(values []ast.Expr) ast.Expr {
	if len(values) == 0 {
		return nil
	}
	return values[0]
}

// name is the name of a type, "" for one without.
func name(expr ast.Expr) string {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return name(e.X)
	case *ast.SelectorExpr:
		return name(e.X) + "." + e.Sel.Name
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// readFields reads the keys of a struct. A comment counts for the fields right
// below it too, up to an empty line or the next comment.
func readFields(files *token.FileSet, st *ast.StructType) []field {
	var fields []field
	above, end := "", -1
	for _, f := range st.Fields.List {
		line := files.Position(f.Pos()).Line
		switch {
		case f.Doc != nil:
			above = words(f.Doc)
		case line != end+1:
			above = ""
		}
		end = files.Position(f.End()).Line
		if f.Tag == nil {
			continue
		}
		tag, _ := strconv.Unquote(f.Tag.Value)
		key, options, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		fields = append(fields, field{goName: f.Names[0].Name, name: key, doc: above, required: !strings.Contains(options, "omitempty"), expr: f.Type})
	}
	return fields
}

// words is a comment without its line breaks.
func words(comment *ast.CommentGroup) string {
	return strings.Join(strings.Fields(comment.Text()), " ")
}

// shortForms are the ways to write a type beside the one of its Go kind.
var shortForms = map[string][]object{
	"Strings":      {kind("string"), list(kind("string"))},
	"Regex":        {kind("string"), list(kind("string"))},
	"Match":        {kind("string"), list(kind("string"))},
	"Keyword":      {list(kind("string"))},
	"SystemPrompt": {kind("string")},
	"Count":        {object{{"type", "integer"}, {"minimum", 0}}, pattern(`^[0-9]+[KkMm]?$`)},
	"Duration":     {pattern(`^([0-9]+(\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$`)},
	"Reasoning":    {kind("boolean")}, // on and off, as YAML 1.1 reads them
}

func kind(name string) object     { return object{{"type", name}} }
func list(of any) object          { return object{{"type", "array"}, {"items", of}} }
func pattern(expr string) object  { return object{{"type", "string"}, {"pattern", expr}} }
func refer(to string) object      { return object{{"$ref", "#/$defs/" + to}} }
func oneOf(forms []object) object { return object{{"oneOf", forms}} }

// definitions are the schemas of the types that can be reached from roots.
func (s *source) definitions(t *testing.T, roots ...string) object {
	t.Helper()
	var defs object
	done := map[string]bool{}
	for queue := roots; len(queue) > 0; queue = queue[1:] {
		of := s.types[queue[0]]
		if done[queue[0]] {
			continue
		}
		done[queue[0]] = true
		if of == nil {
			t.Fatalf("no type %s", queue[0])
		}
		for _, f := range of.fields {
			queue = append(queue, s.uses(f.expr)...)
		}
		defs = append(defs, member{of.name, s.definition(t, of)})
	}
	slices.SortFunc(defs, func(a, b member) int { return strings.Compare(a.key, b.key) })
	return defs
}

// uses are the types of the package that an expression names.
func (s *source) uses(expr ast.Expr) (names []string) {
	ast.Inspect(expr, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && s.types[id.Name] != nil {
			names = append(names, id.Name)
		}
		return true
	})
	return names
}

func (s *source) definition(t *testing.T, of *typeSource) object {
	t.Helper()
	forms := slices.Clone(shortForms[of.name])
	if s.custom[of.name] && forms == nil {
		t.Fatalf("type %s has an UnmarshalJSON: write its forms into shortForms", of.name)
	}
	if !s.custom[of.name] {
		forms = nil
	}
	switch {
	case of.fields != nil:
		forms = append(forms, s.structure(of))
	case len(of.values) > 0:
		forms = append(forms, object{{"type", "string"}, {"enum", of.values}})
	case forms == nil:
		forms = append(forms, s.schema(of.expr))
	}
	out := object{}.with("description", of.sentence())
	if len(forms) == 1 {
		return append(out, forms[0]...)
	}
	return append(out, oneOf(forms)...)
}

func (s *source) structure(of *typeSource) object {
	var properties object
	var required []string
	for _, f := range of.fields {
		property := object{}.with("description", f.text(of)).with("default", f.literal(s))
		properties = append(properties, member{f.name, append(property, s.schema(f.expr)...)})
		if f.required {
			required = append(required, f.name)
		}
	}
	return object{{"type", "object"}, {"properties", properties}}.with("required", required).with("additionalProperties", false)
}

// schema is the schema of a field's type.
func (s *source) schema(expr ast.Expr) object {
	switch e := expr.(type) {
	case *ast.StarExpr:
		return s.schema(e.X)
	case *ast.ArrayType:
		return list(s.schema(e.Elt))
	case *ast.MapType:
		return object{{"type", "object"}, {"additionalProperties", s.schema(e.Value)}}
	}
	switch n := name(expr); n {
	case "string":
		return kind("string")
	case "bool":
		return kind("boolean")
	case "int":
		return kind("integer")
	case "float64":
		return kind("number")
	case "any", "json.RawMessage":
		return object{}
	case "resource.Quantity":
		return object{{"type", []string{"string", "number"}}}
	case "metav1.Duration":
		return shortForms["Duration"][0]
	default:
		return refer(n)
	}
}

var typeSubject = regexp.MustCompile(`^(A |An |The )?[A-Z]\w+ (is|are|configures|holds|gives|changes|maps|lets|bounds) `)

// sentence is a type's comment as a description: without its subject, and
// without the first word's capital of Go.
func (of *typeSource) sentence() string {
	doc := of.doc
	if in := typeSubject.FindStringSubmatch(doc); in != nil {
		rest := doc[len(in[0]):]
		if in[2] != "is" && in[2] != "are" {
			rest = in[2] + " " + rest
		}
		r, n := utf8.DecodeRuneInString(rest)
		doc = string(unicode.ToUpper(r)) + rest[n:]
	}
	return of.keys(doc)
}

// keys writes names of fields as the keys that they are for an operator.
func (of *typeSource) keys(doc string) string {
	for _, f := range of.fields {
		doc = regexp.MustCompile(`\b`+f.goName+`\b`).ReplaceAllLiteralString(doc, f.name)
	}
	return doc
}

// text is a field's comment as a description; that of its type where it has
// none.
func (f *field) text(of *typeSource) string {
	if f.doc == "" {
		return of.sentence()
	}
	return of.keys(f.doc)
}

var (
	marked  = regexp.MustCompile(`"([^"]+)" \(default\b`)
	unset   = regexp.MustCompile(`Default:? (.+?)(?:\.(?: |$)|: none\.)`)
	numeric = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)
	timed   = regexp.MustCompile(`^[0-9]+(ms|s|m|h)$`)
)

// otherwise says what counts where the key is not there, in words; "" where the
// comment does not say.
func (f *field) otherwise(of *typeSource) string {
	if in := marked.FindStringSubmatch(f.doc); in != nil {
		return in[1]
	}
	if in := unset.FindStringSubmatch(f.doc); in != nil {
		return of.keys(in[1])
	}
	if f.required {
		return "required"
	}
	if name(f.expr) == "bool" {
		if _, pointer := f.expr.(*ast.StarExpr); !pointer {
			return "false"
		}
	}
	return ""
}

// literal is the default as a JSON value, nil where it is none.
func (f *field) literal(s *source) any {
	in := marked.FindStringSubmatch(f.doc)
	if in != nil {
		return in[1]
	}
	if in = unset.FindStringSubmatch(f.doc); in == nil {
		return nil
	}
	switch n := name(f.expr); {
	case (n == "int" || n == "float64") && numeric.MatchString(in[1]):
		return json.Number(in[1])
	case n == "Duration" && timed.MatchString(in[1]), s.types[n] != nil && slices.Contains(s.types[n].values, in[1]):
		return in[1]
	}
	return nil
}

// generate makes schema.json.
func generate(t *testing.T) []byte {
	t.Helper()
	defs := append(read(t, "..").definitions(t, "Router", "Endpoints"), envelope(t)...)
	slices.SortFunc(defs, func(a, b member) int { return strings.Compare(a.key, b.key) })
	text, err := json.Marshal(object{
		{"$schema", "https://json-schema.org/draft/2020-12/schema"},
		{"title", "Configuration of semantic-epp"},
		{"$ref", "#/$defs/EndpointPickerConfig"},
		{"$defs", defs},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}

// envelope are the definitions of GIE's own part of a configuration: keys and
// kinds from its types, and the parameters of semantic-router in their place.
func envelope(t *testing.T) object {
	t.Helper()
	pkg, err := build.Import("sigs.k8s.io/gateway-api-inference-extension/apix/config/v1alpha1", ".", build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	s := read(t, pkg.Dir)
	for _, of := range s.types {
		for i := range of.fields {
			// Its comments mark what is required, its tags do not; and its
			// comments are its own.
			of.fields[i].required = strings.Contains(of.fields[i].doc, "+required") || strings.Contains(of.fields[i].doc, "validation:Required")
			of.fields[i].doc = ""
		}
		of.doc = ""
	}
	root := s.types["EndpointPickerConfig"]
	root.doc = "GIE's configuration of an endpoint picker."
	s.types["PluginSpec"].doc = "A plugin: its type, the name by which others refer to it (the type, where it has none), and its parameters."
	defs := s.definitions(t, root.name)
	for i, def := range defs {
		structure := def.value.(object)
		at := slices.IndexFunc(structure, func(m member) bool { return m.key == "properties" })
		switch def.key {
		case root.name:
			properties := structure[at].value.(object)
			structure[at].value = append(object{
				{"apiVersion", object{{"const", "inference.networking.x-k8s.io/v1alpha1"}}},
				{"kind", object{{"const", root.name}}},
			}, properties...)
			at = slices.IndexFunc(structure, func(m member) bool { return m.key == "required" })
			structure[at].value = append([]string{"apiVersion", "kind"}, structure[at].value.([]string)...)
		case "PluginSpec":
			ours := object{{"properties", object{{"type", object{{"const", "semantic-router"}}}}}}
			defs[i].value = append(structure,
				member{"if", ours},
				member{"then", object{{"properties", object{{"parameters", refer("Router")}}}, {"required", []string{"parameters"}}}})
		}
	}
	return defs
}

func current(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not current (%v): run go test ./config/schema -update", path, err)
	}
}
