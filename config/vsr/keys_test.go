package vsr

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The inputs of the golden tests have every key of the tables.
func TestInputsHaveEveryKey(t *testing.T) {
	for generation, table := range known().generations {
		data, err := os.ReadFile("testdata/generation" + string(rune('0'+generation)) + ".in.yaml")
		if err != nil {
			t.Fatal(err)
		}
		root, err := parse(data)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[*place]bool{}
		mark(root, table, seen)
		var missing []string
		visit(table, "", map[*place]bool{}, func(path string, p *place) {
			if p.verdict != "" && !seen[p] {
				missing = append(missing, path)
			}
		})
		if missing != nil {
			t.Errorf("generation%d.in.yaml has no %s", generation, strings.Join(missing, "\n"))
		}
		if count := len(seen); count < 60 {
			t.Errorf("only %d places of generation %d are seen", count, generation)
		}
	}
}

// mark notes the places that a document has values at.
func mark(n *node, at *place, seen map[*place]bool) {
	if at == nil {
		return
	}
	seen[at] = true
	for _, item := range n.items {
		if n.kind == list {
			mark(item, at, seen)
		} else {
			mark(item, at.below(item.key), seen)
		}
	}
}

func visit(p *place, path string, done map[*place]bool, found func(string, *place)) {
	if done[p] {
		return
	}
	done[p] = true
	found(path, p)
	for _, key := range p.names() {
		visit(p.keys[key], join(path, key), done, found)
	}
	if p.free != nil {
		visit(p.free, path+"{}", done, found)
	}
}

// Every key has one of the three verdicts, and those that are not handled say
// why.
func TestTables(t *testing.T) {
	generations := known().generations
	tables := append(generations[:], known().plugins)
	for _, table := range tables {
		visit(table, "", map[*place]bool{}, func(path string, p *place) {
			switch {
			case p.verdict == "" && len(p.keys) == 0 && p.free == nil:
				t.Errorf("%s has no verdict", path)
			case p.verdict != "" && !slices.Contains([]string{"handled", "ignored", "guard"}, p.verdict):
				t.Errorf("%s: verdict %q", path, p.verdict)
			case p.verdict != "" && p.verdict != "handled" && p.note == "":
				t.Errorf("%s: nobody says why it is %s", path, p.verdict)
			}
		})
	}
}

// A text is quoted unless YAML reads it as that text.
func FuzzText(f *testing.F) {
	for _, s := range []string{"yes", "a b", "a: b", "1e3", "", "x #y", "\u2028", "é", "\x7f", "~", "- a", "a-b/c.d@e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !regexp.MustCompile(`^[^\x{FFFD}]*$`).MatchString(s) {
			return // no YAML has such a text
		}
		var got map[string]string
		if err := unmarshalYAML([]byte("k: "+text(s)), &got); err != nil || got["k"] != s {
			t.Errorf("%q is written %s and read %q (%v)", s, text(s), got["k"], err)
		}
	})
}
