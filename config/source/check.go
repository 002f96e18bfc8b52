package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	yamltree "go.yaml.in/yaml/v3"
)

// visit is a node that was compared with a type; nil for nodes of any shape.
// Aliases come back to the same node.
type visit struct {
	node *yamltree.Node
	as   reflect.Type
}

var unmarshaler = reflect.TypeFor[json.Unmarshaler]()

// Check compares what stands at the key base ("" is the whole file) with a Go
// type that has JSON tags: unknown keys, repeated keys, values of the wrong
// kind. A type with an UnmarshalJSON decides on its own short forms; where it is
// a struct, a mapping is its full form. Contents of json.RawMessage and of
// interfaces are only searched for repeated keys.
func (d *Document) Check(base string, as reflect.Type) {
	if at, rest := d.find(base); rest == "" {
		d.check(base, "", at, as)
	}
}

func (d *Document) check(base, key string, at place, as reflect.Type) {
	node := target(at.value)
	if node == nil || node.Tag == "!!null" {
		return
	}
	for as != nil && as.Kind() == reflect.Pointer {
		as = as.Elem()
	}
	if as == reflect.TypeFor[json.RawMessage]() || as != nil && as.Kind() == reflect.Interface {
		as = nil
	}
	if d.seen[visit{node, as}] {
		return
	}
	d.seen[visit{node, as}] = true
	d.repeated(key, node)
	custom := as != nil && reflect.PointerTo(as).Implements(unmarshaler)
	switch {
	case as == nil:
		d.checkChildren(base, key, node, nil, nil)
	case as.Kind() == reflect.Struct && node.Kind == yamltree.MappingNode && (!custom || fields(as) != nil):
		d.checkKeys(base, key, node, as)
	case custom:
		d.checkValue(base, key, at, as)
	case as.Kind() == reflect.Map && node.Kind == yamltree.MappingNode:
		d.checkChildren(base, key, node, as.Elem(), nil)
	case as.Kind() == reflect.Slice && node.Kind == yamltree.SequenceNode:
		d.checkChildren(base, key, node, nil, as.Elem())
	default:
		d.checkValue(base, key, at, as)
	}
}

// checkChildren goes on to the values of a mapping or the entries of a list.
func (d *Document) checkChildren(base, key string, node *yamltree.Node, value, entry reflect.Type) {
	for _, e := range entries(node) {
		d.check(base, join(key, keyText(e.key)), e, value)
	}
	if node.Kind == yamltree.SequenceNode {
		for i, child := range node.Content {
			d.check(base, fmt.Sprintf("%s[%d]", key, i), place{value: child}, entry)
		}
	}
}

// checkKeys compares the keys of a mapping with the fields of a struct.
func (d *Document) checkKeys(base, key string, node *yamltree.Node, as reflect.Type) {
	known := fields(as)
	names := make([]string, 0, len(known))
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	there := map[string]bool{}
	for _, e := range entries(node) {
		there[keyText(e.key)] = true
	}
	for _, e := range entries(node) {
		name := keyText(e.key)
		if field, ok := known[name]; ok {
			d.check(base, join(key, name), e, field)
			continue
		}
		meant, near := Nearest(name, names)
		message := "unknown key; known keys: " + strings.Join(names, ", ")
		if near {
			message = "unknown key; did you mean " + meant + "?"
		}
		d.reportAt(e.key, join(key, name), message)
		if !near || there[meant] {
			d.dropped[e.key] = true
			continue
		}
		// Go on as if it were written right: one slip, one fault.
		there[meant] = true
		d.renamed[e.key] = meant
		d.check(base, join(key, meant), e, known[meant])
	}
}

// repeated finds keys that stand twice in a mapping; the first one counts from
// there on.
func (d *Document) repeated(key string, node *yamltree.Node) {
	if node.Kind != yamltree.MappingNode {
		return
	}
	first := map[string]*yamltree.Node{}
	for i := 0; i < len(node.Content); i += 2 {
		k := node.Content[i]
		name := keyText(k)
		if before, ok := first[name]; !ok {
			first[name] = k
		} else if !d.dropped[k] {
			d.dropped[k] = true
			d.reportAt(k, join(key, name), fmt.Sprintf("the key stands twice; it is in line %d too", before.Line))
		}
	}
}

// checkValue lets the type itself read a value.
func (d *Document) checkValue(base, key string, at place, as reflect.Type) {
	data := d.appendJSON(nil, at.value)
	err := json.Unmarshal(data, reflect.New(as).Interface())
	if err == nil {
		return
	}
	message := err.Error()
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		message = fmt.Sprintf("must be %s, not %s", wanted(as), found(at.value, mismatch))
	}
	if word := asBoolean(at.value); word != "" && !strings.Contains(message, "quotes") {
		message += fmt.Sprintf("; YAML reads %s as true or false: put it into quotes", word)
	}
	d.report(base, key, message)
	d.broken = append(d.broken, brokenKey{base, key})
	d.dropped[at.value] = true
	if at.key != nil {
		d.dropped[at.key] = true
	}
}

// asBoolean returns a word, in a value or a list of values, that YAML 1.1 takes
// for true or false though nobody expects that: on, off, yes, no and the like.
func asBoolean(node *yamltree.Node) string {
	node = target(node)
	if node.Kind == yamltree.SequenceNode {
		for _, entry := range node.Content {
			if word := asBoolean(entry); word != "" {
				return word
			}
		}
	}
	if read := string(scalar(node)); node.Kind == yamltree.ScalarNode && (read == "true" || read == "false") && !strings.EqualFold(node.Value, read) {
		return node.Value
	}
	return ""
}

// wanted names what a type is written as.
func wanted(as reflect.Type) string {
	switch as.Kind() {
	case reflect.Struct, reflect.Map:
		return "a mapping of keys"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64, reflect.Float32:
		return "a number"
	}
	return "a whole number"
}

// found names what stands there instead.
func found(node *yamltree.Node, mismatch *json.UnmarshalTypeError) string {
	switch target(node).Kind {
	case yamltree.MappingNode:
		return "a mapping of keys"
	case yamltree.SequenceNode:
		return "a list"
	}
	switch kind, _, _ := strings.Cut(mismatch.Value, " "); kind {
	case "bool":
		return "true or false"
	case "string":
		return "a string"
	}
	return "this number"
}

// fields are the types of a struct's JSON keys, with those of embedded structs.
// They are nil for a struct that has none.
func fields(as reflect.Type) map[string]reflect.Type {
	var known map[string]reflect.Type
	for _, f := range reflect.VisibleFields(as) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" || !f.IsExported() || name == "-" {
			continue
		}
		if known == nil {
			known = map[string]reflect.Type{}
		}
		if name == "" {
			name = f.Name
		}
		known[name] = f.Type
	}
	return known
}
