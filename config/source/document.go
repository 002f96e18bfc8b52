package source

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yamltree "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// A Fault is something wrong at a place of a file.
type Fault struct {
	File string `json:"file"`
	// Line and Column count from 1; 0 where nothing of the file is at fault.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Key is the path of the key, below what the fault's finder looked at; ""
	// for the whole.
	Key     string `json:"key,omitempty"`
	Message string `json:"message"`
}

// Error is "file:line:column: key: message".
func (f *Fault) Error() string {
	text := f.Message
	if f.Key != "" {
		text = f.Key + ": " + text
	}
	if f.Line == 0 {
		return f.File + ": " + text
	}
	return fmt.Sprintf("%s:%d:%d: %s", f.File, f.Line, f.Column, text)
}

// A Document is a YAML file (or JSON, which is YAML) and what is wrong with it.
// It is for one goroutine.
type Document struct {
	name   string
	root   *yamltree.Node // nil when the file holds nothing
	faults []*Fault
	broken []brokenKey // what Check found, so that nothing is said twice about it

	seen    map[visit]bool
	dropped map[*yamltree.Node]bool   // keys and list entries that JSON leaves out
	renamed map[*yamltree.Node]string // keys that JSON writes as they were meant
}

// brokenKey is a key, below a base, whose value is not as it was written.
type brokenKey struct{ base, key string }

// Parse reads a file. name is what faults call it. The error is a *Fault, of
// the syntax: a file that has one has no Document.
func Parse(name string, data []byte) (*Document, error) {
	d := &Document{
		name:    name,
		seen:    map[visit]bool{},
		dropped: map[*yamltree.Node]bool{},
		renamed: map[*yamltree.Node]string{},
	}
	// Kubernetes' reader is the one that counts; it also refuses aliases that
	// grow without end, so that the tree below can be walked.
	if _, err := yaml.YAMLToJSON(data); err != nil {
		return nil, d.syntax(data, err)
	}
	decoder := yamltree.NewDecoder(bytes.NewReader(data))
	var first, second yamltree.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return d, nil
	case err != nil:
		return nil, d.syntax(data, err)
	}
	if len(first.Content) > 0 {
		d.root = first.Content[0]
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, &Fault{File: name, Line: second.Line, Column: second.Column, Message: "a second YAML document; only one is read: put it into a file of its own"}
	} else if !errors.Is(err, io.EOF) {
		return nil, d.syntax(data, err)
	}
	return d, nil
}

// Read decodes a file whose whole is of one type. The error has every fault:
// those of Check, and those of decode, which gets the file as JSON without the
// ones that Check found.
func Read[T any, JSON ~[]byte](name string, data []byte, decode func(JSON) (*T, error)) (*T, error) {
	d, err := Parse(name, data)
	if err != nil {
		return nil, err
	}
	d.Check("", reflect.TypeFor[T]())
	v, err := decode(JSON(d.JSON("")))
	d.Add("", err)
	return v, d.Err()
}

var yamlError = regexp.MustCompile(`(?s)yaml: (?:line (\d+): )?(.*)`)

// syntax makes a Fault of a YAML reader's error, which tells the line at most.
func (d *Document) syntax(data []byte, err error) *Fault {
	f := &Fault{File: d.name, Message: "not YAML: " + err.Error()}
	parts := yamlError.FindStringSubmatch(err.Error())
	if parts == nil {
		return f
	}
	f.Message = "not YAML: " + parts[2]
	line, _ := strconv.Atoi(parts[1])
	if lines := strings.Split(string(data), "\n"); line > 0 && line <= len(lines) {
		text := lines[line-1]
		f.Line, f.Column = line, 1+len(text)-len(strings.TrimLeft(text, " \t"))
	}
	return f
}

// Faults returns what was found until now, in the order of the file.
func (d *Document) Faults() []*Fault {
	sorted := slices.Clone(d.faults)
	slices.SortStableFunc(sorted, func(a, b *Fault) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return sorted
}

// Err joins the faults; nil when there are none.
func (d *Document) Err() error {
	var errs []error
	for _, f := range d.Faults() {
		errs = append(errs, f)
	}
	return errors.Join(errs...)
}

// Add takes over what others found: each error of a join, with the path of a
// key before its text ("rules[0].name: missing") or by a method Key() string.
// The paths are below the key base, "" for the whole file. What concerns a key
// that Check found broken is left out, as it follows from that.
func (d *Document) Add(base string, err error) {
	for _, leaf := range leaves(err) {
		key, message := d.split(base, leaf)
		if message = hint(message); !d.follows(base, key, message) {
			d.report(base, key, message)
		}
	}
}

// report records a fault of a key, or of what comes nearest above it.
func (d *Document) report(base, key, message string) {
	path := join(base, key)
	if path == "" {
		d.reportAt(nil, key, message)
		return
	}
	at, _ := d.find(path)
	d.reportAt(at.mark(), key, message)
}

// reportAt records a fault, once.
func (d *Document) reportAt(node *yamltree.Node, key, message string) {
	f := &Fault{File: d.name, Key: key, Message: message}
	if node != nil {
		f.Line, f.Column = node.Line, node.Column
	}
	if !slices.ContainsFunc(d.faults, func(known *Fault) bool { return *known == *f }) {
		d.faults = append(d.faults, f)
	}
}

// follows says whether a fault is about something that Check found broken: the
// key, what is below it, or an emptiness above it.
func (d *Document) follows(base, key, message string) bool {
	empty := strings.HasPrefix(message, "empty") || strings.HasPrefix(message, "missing")
	return slices.ContainsFunc(d.broken, func(b brokenKey) bool {
		return b.base == base && (below(key, b.key) || empty && below(b.key, key))
	})
}

// below says whether a path is another one or leads on from it.
func below(path, other string) bool {
	rest, ok := strings.CutPrefix(path, other)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// leaves returns the parts of joined errors. Only what errors.Join made is
// taken apart: other errors with several causes say something of their own.
func leaves(err error) []error {
	if err == nil {
		return nil
	}
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var parts []error
	var texts []string
	for _, part := range several.Unwrap() {
		texts = append(texts, part.Error())
		parts = append(parts, leaves(part)...)
	}
	if strings.Join(texts, "\n") != err.Error() {
		return []error{err}
	}
	return parts
}
