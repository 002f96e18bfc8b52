package source

import (
	"errors"
	"regexp"
	"strconv"
	"strings"

	yamltree "go.yaml.in/yaml/v3"
)

// place is where a path leads to: a value, and the key before it, if there is
// one.
type place struct{ key, value *yamltree.Node }

// mark is the node that an editor should show: the value where it is a plain
// one, else its key.
func (p place) mark() *yamltree.Node {
	if p.key != nil && (p.value == nil || p.value.Kind != yamltree.ScalarNode || p.value.Tag == "!!null") {
		return p.key
	}
	return p.value
}

// join puts a path below another one.
func join(base, key string) string {
	if base == "" || key == "" || key[0] == '[' {
		return base + key
	}
	return base + "." + key
}

// find follows a path such as rules[2].when.domain as far as the file goes, and
// returns what is left of it. Keys that hold dots or spaces are found too.
func (d *Document) find(path string) (at place, rest string) {
	at = place{value: d.root}
	for path != "" {
		next, rest := d.step(at.value, strings.TrimPrefix(path, "."))
		if next.value == nil {
			return at, path
		}
		at, path = next, rest
	}
	return at, ""
}

var index = regexp.MustCompile(`^\[(\d+|"(?:[^"\\]|\\.)*")\]`)

// step follows the first part of a path.
func (d *Document) step(node *yamltree.Node, path string) (next place, rest string) {
	node = target(node)
	if node == nil {
		return place{}, path
	}
	if in := index.FindString(path); in != "" {
		name := in[1 : len(in)-1]
		if n, err := strconv.Atoi(name); err == nil {
			if node.Kind == yamltree.SequenceNode && n < len(node.Content) {
				return place{value: node.Content[n]}, path[len(in):]
			}
			return place{}, path
		}
		name, _ = strconv.Unquote(name)
		for _, e := range entries(node) {
			if d.nameOf(e.key) == name {
				return e, path[len(in):]
			}
		}
		return place{}, path
	}
	longest := -1
	for _, e := range entries(node) {
		name := d.nameOf(e.key)
		rest, ok := strings.CutPrefix(path, name)
		if ok && len(name) > longest && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			next, longest = e, len(name)
		}
	}
	if longest < 0 {
		return place{}, path
	}
	return next, path[longest:]
}

// nameOf is what a key means.
func (d *Document) nameOf(key *yamltree.Node) string {
	if meant, ok := d.renamed[key]; ok {
		return meant
	}
	return keyText(key)
}

// target follows aliases.
func target(node *yamltree.Node) *yamltree.Node {
	for node != nil && node.Kind == yamltree.AliasNode {
		node = node.Alias
	}
	return node
}

// entries are the keys of a mapping with their values, those that "<<" merges
// last, as they count least.
func entries(node *yamltree.Node) []place {
	if node = target(node); node == nil || node.Kind != yamltree.MappingNode {
		return nil
	}
	var own, merged []place
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if key.Tag != "!!merge" {
			own = append(own, place{key, value})
			continue
		}
		sources := []*yamltree.Node{value}
		if list := target(value); list.Kind == yamltree.SequenceNode {
			sources = list.Content
		}
		for _, source := range sources {
			merged = append(merged, entries(source)...)
		}
	}
	return append(own, merged...)
}

var keyPath = regexp.MustCompile(`^((?:[a-z][A-Za-z0-9]*|\[\d+\])(?:\.[\w/-]+|\[[^\]\s]+\])*): `)

// split takes an error apart into the path of its key and its text. A key that
// the file has may hold anything; one that it lacks is told by its form.
func (d *Document) split(base string, err error) (key, message string) {
	text := err.Error()
	var keyed interface{ Key() string }
	if errors.As(err, &keyed) {
		return keyed.Key(), strings.TrimPrefix(text, keyed.Key()+": ")
	}
	for from := 0; ; {
		n := strings.Index(text[from:], ": ")
		if n < 0 {
			break
		}
		candidate := text[:from+n]
		if _, rest := d.find(join(base, candidate)); rest == "" {
			return candidate, text[from+n+2:]
		}
		from += n + 2
	}
	if parts := keyPath.FindStringSubmatch(text); parts != nil {
		return parts[1], text[len(parts[0]):]
	}
	return "", text
}
