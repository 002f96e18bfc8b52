package vsr

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	yamltree "go.yaml.in/yaml/v3"
)

// Bounds on an input, so that aliases cannot blow it up.
const (
	maxBytes = 4 << 20
	maxNodes = 50_000
	maxDepth = 64
)

type kind int

const (
	scalar kind = iota
	list
	object
)

// A node is a value of the input, with aliases and merges (<<) resolved. The
// methods of a nil node are those of a value that is not there.
type node struct {
	key   string // in its object; "" in a list
	path  string // from the top of the file, with indexes
	line  int    // of the key, else of the value; from 1
	kind  kind
	text  string // of a scalar
	null  bool
	items []*node // of a list, or the values of an object in order
}

// get returns the value at a way of keys, nil when it is not there or null.
func (n *node) get(keys ...string) *node {
	for _, key := range keys {
		if n == nil || n.kind != object {
			return nil
		}
		var next *node
		for _, item := range n.items {
			if item.key == key {
				next = item
			}
		}
		n = next
	}
	if n == nil || n.null {
		return nil
	}
	return n
}

// at is get with the keys joined by dots.
func (n *node) at(path string) *node { return n.get(strings.Split(path, ".")...) }

// has says whether a key stands there at all, null or not.
func (n *node) has(key string) bool {
	if n == nil || n.kind != object {
		return false
	}
	for _, item := range n.items {
		if item.key == key {
			return true
		}
	}
	return false
}

// values returns the entries of a list or of an object.
func (n *node) values() []*node {
	if n == nil {
		return nil
	}
	return n.items
}

// parse reads one YAML document.
func parse(data []byte) (*node, error) {
	if len(data) > maxBytes {
		return nil, fmt.Errorf("%d bytes; a configuration has at most %d", len(data), maxBytes)
	}
	decoder := yamltree.NewDecoder(bytes.NewReader(data))
	var document, more yamltree.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("empty")
	case err != nil:
		return nil, err
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document; split the file at its --- lines")
	}
	b := &builder{}
	root := b.build(&document, "", "", 0, 0)
	return root, errors.Join(b.faults...)
}

// builder turns the parser's tree into nodes, within bounds.
type builder struct {
	nodes  int
	faults []error
	full   bool // a bound is passed, nothing more is built
}

func (b *builder) fault(line int, path, format string, args ...any) {
	b.faults = append(b.faults, lineError(line, path, format, args...))
}

func lineError(line int, path, format string, args ...any) error {
	if path != "" {
		path += ": "
	}
	return fmt.Errorf("line %d: %s%s", line, path, fmt.Sprintf(format, args...))
}

func (b *builder) build(y *yamltree.Node, key, path string, line, depth int) *node {
	for y.Kind == yamltree.DocumentNode && len(y.Content) > 0 || y.Kind == yamltree.AliasNode && y.Alias != nil {
		if y.Kind == yamltree.AliasNode {
			y = y.Alias
		} else {
			y = y.Content[0]
		}
	}
	if line == 0 {
		line = y.Line
	}
	n := &node{key: key, path: path, line: line}
	b.nodes++
	if !b.full && (b.nodes > maxNodes || depth > maxDepth) {
		b.full = true
		b.fault(line, path, "more than %d values or deeper than %d; do aliases repeat themselves?", maxNodes, maxDepth)
	}
	if b.full {
		return n
	}
	switch y.Kind {
	case yamltree.MappingNode:
		n.kind = object
		b.object(n, y, depth)
	case yamltree.SequenceNode:
		n.kind = list
		for i, item := range y.Content {
			n.items = append(n.items, b.build(item, "", fmt.Sprintf("%s[%d]", path, i), 0, depth+1))
		}
	default:
		n.text, n.null = y.Value, y.ShortTag() == "!!null"
	}
	return n
}

// object reads the keys of a mapping: its own, then those it merges in and does
// not have itself.
func (b *builder) object(n *node, y *yamltree.Node, depth int) {
	var merged []*node
	seen := map[string]int{}
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.ShortTag() == "!!merge" {
			from := b.build(v, "", n.path, k.Line, depth+1)
			if from.kind == list {
				for _, one := range from.items {
					merged = append(merged, one.items...)
				}
			} else {
				merged = append(merged, from.items...)
			}
			continue
		}
		for k.Kind == yamltree.AliasNode && k.Alias != nil {
			k = k.Alias
		}
		path := join(n.path, k.Value)
		if k.Kind != yamltree.ScalarNode {
			b.fault(y.Content[i].Line, n.path, "a key must be plain text")
			continue
		}
		if first, twice := seen[k.Value]; twice {
			b.fault(k.Line, path, "stands twice, first in line %d; leave one out", first)
			continue
		}
		seen[k.Value] = k.Line
		n.items = append(n.items, b.build(v, k.Value, path, y.Content[i].Line, depth+1))
	}
	for _, m := range merged {
		if _, own := seen[m.key]; !own && m.key != "" {
			seen[m.key] = m.line
			n.items = append(n.items, m)
		}
	}
}

// join appends a key to a path; keys that would be misread are quoted.
func join(path, key string) string {
	if key == "" || strings.ContainsAny(key, ".[]\"\n\t ") {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// number reads a finite number.
func (n *node) number() (float64, bool) {
	if n == nil || n.kind != scalar {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(n.text), 64)
	return v, err == nil && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// truth reads a boolean, as YAML 1.1 writes it too.
func (n *node) truth() (value, ok bool) {
	if n == nil || n.kind != scalar {
		return false, false
	}
	switch strings.ToLower(n.text) {
	case "true", "yes", "on", "y":
		return true, true
	case "false", "no", "off", "n":
		return false, true
	}
	return false, false
}
