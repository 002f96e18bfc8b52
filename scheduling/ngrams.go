package scheduling

import (
	"slices"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"
)

// maxArity is the most letters in a group.
const maxArity = 6

// ngrams finds words that share many groups of letters with a word of the
// prompt. A word is padded with blanks on both sides, so that its ends count;
// share is that of the groups of both among all groups of either, and
// similarity is 1 - (1 - share)², which is 1 for equal words and favours those
// that have something in common. A phrase is as similar as its words on
// average.
type ngrams struct {
	which     int
	arity     int
	threshold float64
	phrases   [][][]uint64 // sorted groups of each word
}

func (m *ngrams) add(phrase string) int {
	var words [][]uint64
	for _, w := range tokensOf(phrase) {
		words = append(words, appendGroups(nil, w.text, m.arity))
	}
	m.phrases = append(m.phrases, words)
	return len(m.phrases) - 1
}

func (m *ngrams) cost() int { return compare }

func (m *ngrams) has(e *evaluation, phrase int) bool {
	words, text := m.phrases[phrase], e.groups(m.which, m.arity)
	for start := 0; start+len(words) <= text.len(); start++ {
		sum := 0.0
		for i, w := range words {
			sum += similarity(w, text.at(start+i))
		}
		if sum >= m.threshold*float64(len(words)) {
			return true
		}
	}
	return false
}

// groupList is the groups of each word of a prompt, one after the other.
type groupList struct {
	all   []uint64
	ends  []int
	ready bool
}

func (l *groupList) len() int { return len(l.ends) }

func (l *groupList) at(i int) []uint64 {
	if i == 0 {
		return l.all[:l.ends[0]]
	}
	return l.all[l.ends[i-1]:l.ends[i]]
}

// groups returns the letter groups of the words of the prompt.
func (e *evaluation) groups(which, arity int) *groupList {
	l := &e.text[which].groups[arity]
	if !l.ready {
		l.ready = true
		l.all, l.ends = l.all[:0], l.ends[:0]
		for _, t := range e.split(which) {
			if t.letters <= maxLetter {
				l.all = appendGroups(l.all, t.text, arity)
			}
			l.ends = append(l.ends, len(l.all))
		}
	}
	return l
}

// appendGroups appends the sorted hashes of a word's groups of letters.
func appendGroups(to []uint64, word []byte, arity int) []uint64 {
	var buffer [2*maxArity + maxLetter*utf8.UTFMax]byte
	padded := append(buffer[:0], "      "[:arity-1]...)
	padded = append(padded, word...)
	padded = append(padded, "      "[:arity-1]...)
	from := len(to)
	start, end := 0, 0
	for range arity {
		end += width(padded[end:])
	}
	for {
		to = append(to, xxhash.Sum64(padded[start:end]))
		if end == len(padded) {
			break
		}
		start += width(padded[start:])
		end += width(padded[end:])
	}
	slices.Sort(to[from:])
	return to
}

// width is the length of the first letter.
func width(text []byte) int {
	_, size := utf8.DecodeRune(text)
	return size
}

// similarity compares sorted groups.
func similarity(a, b []uint64) float64 {
	common := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch {
		case a[i] == b[j]:
			common++
			i++
			j++
		case a[i] < b[j]:
			i++
		default:
			j++
		}
	}
	differing := 1 - float64(common)/float64(len(a)+len(b)-common)
	return 1 - differing*differing
}
