package scheduling

import (
	"cmp"
	"slices"
	"unicode"
	"unicode/utf8"
)

// A lexicon finds all words of all conditions in one pass over a text: a trie
// that is entered where a word may begin. Words stand alone: Go is not in
// "Google". Where a word itself begins or ends with something other than a
// letter, digit or underscore ("C++"), that side needs no border.
type lexicon struct {
	ids   map[string]int // of words, until sort
	words []word
	nodes []trieNode // the first is the root
	// root is the node after a first byte, 0 for none, and inside whether a
	// word with that byte may begin inside a longer one.
	root   [256]int32
	inside [256]bool
}

type word struct {
	text               string
	bordered, borderly bool // needs a border before, after
}

// A trieNode has an edge for each byte that may come next.
type trieNode struct {
	edges []edge // sorted
	word  int32  // that ends here, -1 for none
}

type edge struct {
	on byte
	to int32
}

func newLexicon() *lexicon { return &lexicon{ids: map[string]int{}, nodes: []trieNode{{word: -1}}} }

func (l *lexicon) size() int { return len(l.words) }

// add returns the number of a word, which is not empty.
func (l *lexicon) add(text string) int {
	if id, ok := l.ids[text]; ok {
		return id
	}
	first, _ := utf8.DecodeRuneInString(text)
	last, _ := utf8.DecodeLastRuneInString(text)
	id := len(l.words)
	l.ids[text] = id
	l.words = append(l.words, word{text: text, bordered: inWord(first), borderly: inWord(last)})
	return id
}

// sort builds the trie of all words.
func (l *lexicon) sort() {
	for id, w := range l.words {
		at := int32(0)
		for i := range len(w.text) {
			at = l.next(at, w.text[i])
		}
		l.nodes[at].word = int32(id)
		l.inside[w.text[0]] = l.inside[w.text[0]] || !w.bordered
	}
	for i := range l.nodes {
		slices.SortFunc(l.nodes[i].edges, func(a, b edge) int { return cmp.Compare(a.on, b.on) })
	}
	for _, e := range l.nodes[0].edges {
		l.root[e.on] = e.to
	}
	l.ids = nil
}

// next is the node after a byte, which is made if it is not there.
func (l *lexicon) next(at int32, b byte) int32 {
	for _, e := range l.nodes[at].edges {
		if e.on == b {
			return e.to
		}
	}
	to := int32(len(l.nodes))
	l.nodes = append(l.nodes, trieNode{word: -1})
	l.nodes[at].edges = append(l.nodes[at].edges, edge{on: b, to: to})
	return to
}

// count counts how often each word stands in a text, as far as a uint16 goes.
func (l *lexicon) count(text []byte, counts []uint16) {
	joined := false // to a word before
	for i := 0; i < len(text); {
		b := text[i]
		if at := l.root[b]; at != 0 && (!joined || l.inside[b]) {
			l.match(text, i, at, joined, counts)
		}
		if b < utf8.RuneSelf {
			joined = asciiInWord[b]
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		joined = inWord(r)
		i += size
	}
}

// match counts the words that begin at start, of whose first byte node is.
func (l *lexicon) match(text []byte, start int, at int32, joined bool, counts []uint16) {
	for i := start + 1; ; i++ {
		n := &l.nodes[at]
		if n.word >= 0 && !(joined && l.words[n.word].bordered) && !(l.words[n.word].borderly && beginsInWord(text[i:])) {
			counts[n.word] += uint16(1 &^ (counts[n.word] >> 15)) // stays at 32,768
		}
		if i == len(text) {
			return
		}
		if at = n.after(text[i]); at == 0 {
			return
		}
	}
}

// after is the node after a byte, 0 for none.
func (n *trieNode) after(b byte) int32 {
	for _, e := range n.edges {
		if e.on >= b {
			if e.on == b {
				return e.to
			}
			break
		}
	}
	return 0
}

func beginsInWord(text []byte) bool {
	if len(text) == 0 {
		return false
	}
	if text[0] < utf8.RuneSelf {
		return asciiInWord[text[0]]
	}
	r, _ := utf8.DecodeRune(text)
	return inWord(r)
}

var asciiInWord = func() (table [utf8.RuneSelf]bool) {
	for r := range rune(utf8.RuneSelf) {
		table[r] = inWord(r)
	}
	return table
}()

// spaceless are the scripts that are written without spaces, where every place
// is a border.
var spaceless = []*unicode.RangeTable{
	unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar,
}

// inWord says whether a rune is part of words. The decoder's error rune, which
// also stands for the ends of the text, is not; nor are letters of scripts that
// are written without spaces.
func inWord(r rune) bool {
	if r == utf8.RuneError || unicode.In(r, spaceless...) {
		return false
	}
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}
