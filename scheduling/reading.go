package scheduling

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds on what is compared word by word, whatever the caller gives.
const (
	maxTokens = 4096 // words of a prompt
	maxLetter = 64   // letters of a word; longer ones are compared to none
)

// A reading is a prompt as keywords read it, with folded letters or without.
// What it holds is made when a leaf first asks for it.
type reading struct {
	text    []byte
	ready   bool
	counts  []uint16 // by number of word in the lexicon
	counted bool
	tokens  []token
	split   bool
	groups  [maxArity + 1]groupList // by arity
}

// A token is a word of a prompt, or a letter of a script without spaces.
type token struct {
	text    []byte
	letters int
	mask    uint64 // which letters it has; several share a bit
}

func (r *reading) reset() {
	if r.counted {
		clear(r.counts)
	}
	clear(r.tokens)
	r.text, r.tokens = r.text[:0], r.tokens[:0]
	r.ready, r.counted, r.split = false, false, false
	for i := range r.groups {
		r.groups[i].ready = false
	}
}

// read returns the prompt in one of both readings.
func (e *evaluation) read(which int) *reading {
	r := &e.text[which]
	if !r.ready {
		r.ready = true
		if which == folded {
			r.text = appendLower(r.text, e.signals.Text)
		} else {
			r.text = append(r.text, e.signals.Text...)
		}
	}
	return r
}

// count returns how often each word of all conditions stands in the prompt.
func (e *evaluation) count(which int) []uint16 {
	r := e.read(which)
	if !r.counted {
		r.counted = true
		e.plan.words[which].count(r.text, r.counts)
	}
	return r.counts
}

// split returns the words of the prompt.
func (e *evaluation) split(which int) []token {
	r := e.read(which)
	if !r.split {
		r.split = true
		r.tokens = appendTokens(r.tokens, r.text)
	}
	return r.tokens
}

// appendLower folds letters as strings.ToLower does.
func appendLower(to []byte, text string) []byte {
	for i := 0; i < len(text); {
		b := text[i]
		if b < utf8.RuneSelf {
			if 'A' <= b && b <= 'Z' {
				b += 'a' - 'A'
			}
			to = append(to, b)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		to = utf8.AppendRune(to, unicode.ToLower(r))
		i += size
	}
	return to
}

// appendTokens splits a text into words.
func appendTokens(to []token, text []byte) []token {
	start := -1
	var current token
	end := func(at int) {
		if start >= 0 {
			current.text = text[start:at]
			to = append(to, current)
			start = -1
		}
	}
	for i := 0; i < len(text) && len(to) < maxTokens; {
		r, size := utf8.DecodeRune(text[i:])
		word := inWord(r)
		if !word || start < 0 {
			end(i)
			current = token{}
		}
		if word || r != utf8.RuneError && unicode.IsLetter(r) {
			if start < 0 {
				start = i
			}
			current.letters++
			current.mask |= 1 << (r % 64)
		}
		i += size
		if !word {
			end(i)
		}
	}
	end(len(text))
	return to
}

// tokensOf splits one word or phrase of a condition.
func tokensOf(phrase string) []token { return appendTokens(nil, []byte(strings.TrimSpace(phrase))) }
