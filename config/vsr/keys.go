package vsr

import (
	"embed"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed keys/*.txt
var keyFiles embed.FS

// A place is a key of vSR's configuration: what becomes of it, and the keys
// below it.
type place struct {
	verdict string // "handled", "ignored", "guard", or "" for a place that only has keys
	note    string
	keys    map[string]*place
	free    *place // what stands under a key of the operator's own
}

// below returns the place of a key, nil when vSR knows no such key there. A
// place without keys of its own covers what stands below it.
func (p *place) below(key string) *place {
	switch known := p.keys[key]; {
	case known != nil:
		return known
	case p.free != nil:
		return p.free
	case len(p.keys) == 0:
		return p
	}
	return nil
}

// names are the keys below a place.
func (p *place) names() []string { return slices.Sorted(maps.Keys(p.keys)) }

// known returns the keys of the three generations and those of plugins.
var known = sync.OnceValue(func() (tables struct {
	generations [3]*place
	plugins     *place
}) {
	for i, name := range []string{"generation0", "generation1", "generation2"} {
		tables.generations[i] = readKeys(name)
	}
	tables.plugins = readKeys("plugins")
	return tables
})

// readKeys reads a table; generation0.txt says how it is written.
func readKeys(name string) *place {
	data, err := keyFiles.ReadFile("keys/" + name + ".txt")
	if err != nil {
		panic(err) // embedded, so it is there
	}
	root := &place{}
	verdict, note := "", ""
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if heading, ok := strings.CutPrefix(line, "= "); ok {
			verdict, note, _ = strings.Cut(heading, ": ")
			continue
		}
		path, keys, _ := strings.Cut(line, ":")
		at := root.way(path)
		for key := range strings.SplitSeq(keys, ",") {
			key = strings.TrimSpace(key)
			if same, ok := strings.CutSuffix(key, "^"); ok {
				at.child(same)
				at.keys[same] = at // conditions stand in conditions
				continue
			}
			leaf := at.way(key)
			leaf.verdict, leaf.note = verdict, note
		}
	}
	return root
}

// way returns the place at a path such as models[].pricing, making it.
func (p *place) way(path string) *place {
	if path == "" {
		return p
	}
	for step := range strings.SplitSeq(path, ".") {
		name, free := strings.CutSuffix(strings.TrimSuffix(step, "[]"), "{}")
		if name != "" {
			p = p.child(name)
		}
		if free {
			if p.free == nil {
				p.free = &place{}
			}
			p = p.free
		}
	}
	return p
}

func (p *place) child(name string) *place {
	if p.keys == nil {
		p.keys = map[string]*place{}
	}
	if p.keys[name] == nil {
		p.keys[name] = &place{}
	}
	return p.keys[name]
}
