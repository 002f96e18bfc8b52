package schema

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed schema.json
var all []byte

// kinds are the files, and parts of files, that have a schema: their names and
// definitions.
var kinds = []struct{ name, definition string }{
	{"config", "EndpointPickerConfig"},
	{"router", "Router"},
	{"endpoints", "Endpoints"},
}

// Kinds are the names that For knows: "config" is a whole EndpointPickerConfig,
// "router" the parameters of semantic-router in it, "endpoints" the endpoints
// file.
func Kinds() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// For returns the schema of a kind of file as JSON text.
func For(kind string) ([]byte, error) {
	i := slices.IndexFunc(kinds, func(k struct{ name, definition string }) bool { return k.name == kind })
	if i < 0 {
		return nil, fmt.Errorf("no schema of %q; there are %s", kind, strings.Join(Kinds(), ", "))
	}
	root := func(definition string) []byte { return []byte(`"$ref": "#/$defs/` + definition + `",`) }
	return bytes.Replace(all, root(kinds[0].definition), root(kinds[i].definition), 1), nil
}
