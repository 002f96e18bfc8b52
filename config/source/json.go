package source

import (
	"encoding/json"
	"fmt"

	yamltree "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"
)

// JSON returns what stands at a key, "" for the whole file. What Check found
// broken is left out, null in lists so that the others keep their place, and
// misspelt keys are written as they were meant: so that reading it finds other
// faults than these. It is nil where the file has no such key.
func (d *Document) JSON(key string) json.RawMessage {
	at, rest := d.find(key)
	if rest != "" || at.value == nil {
		return nil
	}
	return d.appendJSON(nil, at.value)
}

func (d *Document) appendJSON(out []byte, node *yamltree.Node) []byte {
	if d.dropped[node] {
		return append(out, "null"...)
	}
	switch node = target(node); node.Kind {
	case yamltree.MappingNode:
		out = append(out, '{')
		written := map[string]bool{}
		for _, e := range entries(node) {
			name := d.nameOf(e.key)
			if d.dropped[e.key] || written[name] {
				continue
			}
			if len(written) > 0 {
				out = append(out, ',')
			}
			written[name] = true
			out = append(append(out, quote(name)...), ':')
			out = d.appendJSON(out, e.value)
		}
		return append(out, '}')
	case yamltree.SequenceNode:
		out = append(out, '[')
		for i, entry := range node.Content {
			if i > 0 {
				out = append(out, ',')
			}
			out = d.appendJSON(out, entry)
		}
		return append(out, ']')
	}
	return append(out, scalar(node)...)
}

// scalar reads a plain value as Kubernetes' reader does, which follows YAML 1.1:
// on is true there.
func scalar(node *yamltree.Node) []byte {
	const quoted = yamltree.DoubleQuotedStyle | yamltree.SingleQuotedStyle | yamltree.LiteralStyle | yamltree.FoldedStyle
	if node.Style&quoted == 0 {
		if out, err := yaml.YAMLToJSON([]byte(node.Value)); err == nil && json.Valid(out) && out[0] != '{' && out[0] != '[' {
			return out[:len(out):len(out)]
		}
	}
	return quote(node.Value)
}

func quote(text string) []byte {
	out, _ := json.Marshal(text) // of a string: cannot fail
	return out
}

// keyText is a key as JSON has it.
func keyText(key *yamltree.Node) string {
	var value any
	if json.Unmarshal(scalar(key), &value) != nil {
		return key.Value
	}
	if text, ok := value.(string); ok {
		return text
	}
	return fmt.Sprint(value)
}
