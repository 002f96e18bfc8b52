package scheduling

import (
	"math/bits"
	"unicode/utf8"
)

// lettersPerError is how many letters a word needs for each typing error that
// is forgiven it; otherwise "go" would be in every prompt.
const lettersPerError = 3

// fuzzy finds words in spite of typing errors: each word of a phrase may be a
// Levenshtein distance away.
type fuzzy struct {
	which    int
	distance int
	phrases  [][]token
}

func (m *fuzzy) add(phrase string) int {
	m.phrases = append(m.phrases, tokensOf(phrase))
	return len(m.phrases) - 1
}

func (m *fuzzy) cost() int { return compare }

func (m *fuzzy) has(e *evaluation, phrase int) bool {
	words, text := m.phrases[phrase], e.split(m.which)
	for start := 0; start+len(words) <= len(text); start++ {
		for i := 0; m.near(words[i], text[start+i]); {
			if i++; i == len(words) {
				return true
			}
		}
	}
	return false
}

// near says whether two words are so few errors apart. What decides most pairs
// is that an error takes away at most one kind of letter.
func (m *fuzzy) near(word, other token) bool {
	most := min(m.distance, word.letters/lettersPerError)
	switch {
	case word.letters-other.letters > most || other.letters-word.letters > most,
		bits.OnesCount64(word.mask&^other.mask) > most || bits.OnesCount64(other.mask&^word.mask) > most:
		return false
	}
	return levenshtein(word.text, other.text, most)
}

// levenshtein says whether at most so many letters must be put in, taken out or
// changed to make one word of the other (Levenshtein, 1966). Words of more than
// maxLetter letters are only near themselves.
func levenshtein(a, b []byte, most int) bool {
	if most == 0 || len(a) > maxLetter*utf8.UTFMax || len(b) > maxLetter*utf8.UTFMax {
		return string(a) == string(b)
	}
	var buffers [2][maxLetter]rune
	s, sok := runes(a, buffers[0][:0])
	t, tok := runes(b, buffers[1][:0])
	if !sok || !tok {
		return string(a) == string(b)
	}
	var row [maxLetter + 1]int // distances from the letters of s so far to each beginning of t
	for j := range len(t) + 1 {
		row[j] = j
	}
	for i, r := range s {
		diagonal := row[0]
		row[0] = i + 1
		least := row[0]
		for j, other := range t {
			change := diagonal
			if r != other {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
			least = min(least, row[j+1])
		}
		if least > most {
			return false
		}
	}
	return row[len(t)] <= most
}

// runes decodes a word into a buffer, false when it does not fit.
func runes(word []byte, to []rune) ([]rune, bool) {
	for len(word) > 0 {
		r, size := utf8.DecodeRune(word)
		if len(to) == cap(to) {
			return nil, false
		}
		to = append(to, r)
		word = word[size:]
	}
	return to, true
}
