package tokenizer

import (
	"bytes"
	"cmp"
	"slices"
)

// noValue marks a node of a trie at which no key ends.
const noValue = -1

// A trie finds all keys with which a text begins, in one walk. Nodes are
// numbered level by level, so that the children of a node are neighbours.
type trie struct {
	label []byte  // the byte that leads to a node
	first []int32 // the first child of a node; the next node's is the end
	value []int32 // of the key that ends at a node, or noValue
}

// A keyValue is one entry of a trie.
type keyValue struct {
	key   string
	value int32
}

// newTrie sorts the entries. Of equal keys, the last one counts.
func newTrie(entries []keyValue) trie {
	slices.SortStableFunc(entries, func(a, b keyValue) int { return cmp.Compare(a.key, b.key) })
	type node struct{ from, to, depth int } // entries that go through it
	nodes := []node{{to: len(entries)}}
	t := trie{label: []byte{0}}
	for n := 0; n < len(nodes); n++ {
		at := nodes[n]
		value := int32(noValue)
		for at.from < at.to && len(entries[at.from].key) == at.depth {
			value = entries[at.from].value
			at.from++
		}
		t.value = append(t.value, value)
		t.first = append(t.first, int32(len(nodes)))
		for i := at.from; i < at.to; {
			b, from := entries[i].key[at.depth], i
			for i < at.to && entries[i].key[at.depth] == b {
				i++
			}
			nodes = append(nodes, node{from: from, to: i, depth: at.depth + 1})
			t.label = append(t.label, b)
		}
	}
	t.first = append(t.first, int32(len(nodes)))
	return t
}

// child follows one byte from a node; it is 0, the root, where none goes on.
func (t *trie) child(node int32, b byte) int32 {
	first := t.first[node]
	i := bytes.IndexByte(t.label[first:t.first[node+1]], b)
	if i < 0 {
		return 0
	}
	return first + int32(i)
}

// longest finds the longest key with which text begins; size 0 means none.
func (t *trie) longest(text []byte) (value int32, size int) {
	for i, node := 0, int32(0); i < len(text); i++ {
		if node = t.child(node, text[i]); node == 0 {
			break
		}
		if v := t.value[node]; v != noValue {
			value, size = v, i+1
		}
	}
	return value, size
}
