package vsr

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"semantic-epp/config/source"
)

// Outcome is what became of a key.
type Outcome string

const (
	// Taken: the picker does what vSR does.
	Taken Outcome = "taken"
	// Approximated: the picker does nearly that; the note says what differs.
	Approximated Outcome = "approximated"
	// Ignored: the key has no effect; the note says why.
	Ignored Outcome = "ignored"
	// Unknown: vSR of that generation knows no such key. It has no effect.
	Unknown Outcome = "unknown"
)

// An Entry says what became of one key. Keys that only hold other keys have no
// entry: theirs speak for them.
type Entry struct {
	// Key is its path in the input, such as categories[0].model_scores[1].score.
	Key string `json:"key"`
	// Line of the key in the input, from 1.
	Line    int     `json:"line"`
	Outcome Outcome `json:"outcome"`
	// Warn is whether requests are answered otherwise than by vSR, in a way that
	// an operator should know of before any is sent.
	Warn bool `json:"warn,omitempty"`
	// Note says how or why. It never holds a value that may be secret.
	Note string `json:"note"`
}

// WriteReport writes a report as a table, one key a line; warnings have a "!".
func WriteReport(w io.Writer, report []Entry) error {
	width := 0
	for _, e := range report {
		width = max(width, min(len(e.Key), 72))
	}
	for _, e := range report {
		mark := ' '
		if e.Warn {
			mark = '!'
		}
		if _, err := fmt.Fprintf(w, "%5d %c %-12s %-*s  %s\n", e.Line, mark, e.Outcome, width, e.Key, e.Note); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}

// A remark is what the converter says of a key, or of all keys below it.
type remark struct {
	outcome Outcome
	warn    bool
	note    string
}

// A journal collects remarks. A later remark on a key replaces an earlier one.
type journal struct {
	keys, subtrees map[*node]remark
}

func newJournal() *journal {
	return &journal{keys: map[*node]remark{}, subtrees: map[*node]remark{}}
}

func (j *journal) say(n *node, outcome Outcome, format string, args ...any) {
	if n != nil {
		j.keys[n] = remark{outcome: outcome, note: fmt.Sprintf(format, args...)}
	}
}

func (j *journal) warn(n *node, outcome Outcome, format string, args ...any) {
	if n != nil {
		j.keys[n] = remark{outcome: outcome, warn: true, note: fmt.Sprintf(format, args...)}
	}
}

// cover says the same of all keys of a value.
func (j *journal) cover(n *node, r remark) {
	if n != nil {
		j.subtrees[n] = r
	}
}

// report says of every key of the input what became of it.
func (j *journal) report(root, vsr *node, generation int) []Entry {
	r := &reporter{journal: j, generation: generation}
	if root != vsr {
		helm := &remark{outcome: Ignored, note: "a value of vSR's Helm chart, not of its configuration"}
		for _, item := range root.items {
			if item != vsr {
				r.walk(item, &place{}, helm)
			}
		}
	}
	r.walk(vsr, known().generations[generation], nil)
	slices.SortStableFunc(r.entries, func(a, b Entry) int { return cmp.Compare(a.Line, b.Line) })
	return r.entries
}

type reporter struct {
	*journal
	generation int
	entries    []Entry
}

// walk visits the keys of a value. at is where vSR reads it, over what was said
// of all keys around it.
func (r *reporter) walk(n *node, at *place, over *remark) {
	if over == nil {
		if whole, ok := r.subtrees[n]; ok {
			over = &whole
		}
	}
	if !holdsKeys(n) {
		r.entries = append(r.entries, r.entry(n, at, over))
		return
	}
	for _, item := range n.items {
		below := at
		if n.kind == object {
			below = at.below(item.key)
			if kind := n.get("type"); item.key == "configuration" && kind != nil {
				below = known().plugins.keys[kind.text]
			}
			if below == nil && over == nil {
				over := r.unknown(item, at)
				r.walk(item, &place{}, &over)
				continue
			}
			if below == nil {
				below = &place{}
			}
		}
		r.walk(item, below, over)
	}
}

// holdsKeys says whether a value only holds other keys.
func holdsKeys(n *node) bool {
	if n.kind == object {
		return len(n.items) > 0
	}
	return n.kind == list && slices.ContainsFunc(n.items, holdsKeys)
}

func (r *reporter) entry(n *node, at *place, over *remark) Entry {
	said, ok := r.keys[n]
	switch {
	case over != nil:
		said = *over
		over.warn = false // once is enough
	case ok:
	case n.null:
		said = remark{outcome: Taken, note: "no value: as if the key were not there"}
	case n.kind != scalar && len(n.items) == 0:
		said = remark{outcome: Taken, note: "empty: as if the key were not there"}
	case at.verdict == "ignored":
		said = remark{outcome: Ignored, note: at.note}
	case at.verdict == "guard":
		said = remark{outcome: Ignored, note: at.note, warn: guards(n)}
	default:
		said = remark{outcome: Ignored, note: "nothing in this file refers to it"}
	}
	return Entry{Key: n.path, Line: n.line, Outcome: said.outcome, Warn: said.warn, Note: said.note}
}

// guards says whether a key turns a check on that vSR would make.
func guards(n *node) bool {
	on, ok := n.truth()
	return ok && (strings.HasSuffix(n.key, "enabled") && on || n.key == "allow_by_default" && !on)
}

// unknown says why a key is not known, and which one may have been meant.
func (r *reporter) unknown(n *node, at *place) remark {
	note := fmt.Sprintf("vSR of generation %d knows no such key here", r.generation)
	for i, table := range known().generations {
		if at == known().generations[r.generation] && i != r.generation && table.keys[n.key] != nil {
			return remark{outcome: Unknown, warn: true, note: fmt.Sprintf("%s; it is one of generation %d", note, i)}
		}
	}
	if meant, ok := source.Nearest(n.key, at.names()); ok {
		return remark{outcome: Unknown, warn: true, note: note + "; did you mean " + meant + "?"}
	}
	return remark{outcome: Unknown, note: note}
}
