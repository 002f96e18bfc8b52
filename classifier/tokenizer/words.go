package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// words finds what one of the well-known patterns of byte-level tokenizers
// matches. They look ahead, which regexp cannot, and they cover all text:
// every match begins where the one before it ended.
type words struct {
	ignoreCase bool // of 's, 't, 're, 've, 'm, 'll, 'd
	modern     bool // cl100k and what came of it, not GPT-2
	digits     int  // that make a number at most; 0: as many as there are
}

var (
	gpt2Words   = words{}
	llama3Words = words{ignoreCase: true, modern: true, digits: 3}
	qwen2Words  = words{ignoreCase: true, modern: true, digits: 1}
)

// knownPatterns are recognised by their text.
var knownPatterns = map[string]words{
	`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`:                                          gpt2Words,
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`: llama3Words,
	`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`:      qwen2Words,
}

func (w words) find(text []byte, at int) (from, to int) {
	return at, at + w.next(text[at:])
}

// splitAll cuts a piece into words.
func (w words) splitAll(s *scratch, p piece) {
	for from := 0; from < len(p.text); {
		to := from + w.next(p.text[from:])
		s.add(p, from, to)
		from = to
	}
}

// A kind of rune, as the patterns tell them apart.
type runeKind uint8

const (
	other runeKind = iota
	letter
	number
	space
)

func kindOf(r rune) runeKind {
	switch {
	case r < utf8.RuneSelf:
		return asciiKinds[r]
	case isLetter(r):
		return letter
	case isNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	default:
		return other
	}
}

var asciiKinds = func() (kinds [utf8.RuneSelf]runeKind) {
	for r := range rune(len(kinds)) {
		switch {
		case unicode.IsLetter(r):
			kinds[r] = letter
		case unicode.IsNumber(r):
			kinds[r] = number
		case unicode.IsSpace(r):
			kinds[r] = space
		}
	}
	return kinds
}()

// next is the length of the first word of a text that is not empty.
func (w words) next(text []byte) int {
	if text[0] == '\'' {
		if n := w.contraction(text); n > 0 {
			return n
		}
	}
	r, size := utf8.DecodeRune(text)
	kind := kindOf(r)
	if kind == letter || kind == number && !w.modern {
		return run(text, size, kind, -1)
	}
	if kind == number {
		return run(text, size, number, w.digits-1)
	}
	after := other
	end := size == len(text)
	if !end {
		next, _ := utf8.DecodeRune(text[size:])
		after = kindOf(next)
	}
	switch {
	case end: // nothing to go on with
	case after == letter && (r == ' ' || w.modern && r != '\r' && r != '\n'):
		return run(text, size, letter, -1)
	case r != ' ':
	case after == number && !w.modern:
		return run(text, size, number, -1)
	case after == other:
		return w.symbols(text, size)
	}
	if kind == space {
		return w.spaces(text)
	}
	return w.symbols(text, size)
}

// run goes on from n over runes of a kind, at most limit of them; a limit
// below 0 is none.
func run(text []byte, n int, kind runeKind, limit int) int {
	for count := 0; n < len(text) && count != limit; count++ {
		r, size := utf8.DecodeRune(text[n:])
		if kindOf(r) != kind {
			break
		}
		n += size
	}
	return n
}

// symbols goes on over what is neither letter, number nor space, and over the
// line ends after it where the pattern is a modern one.
func (w words) symbols(text []byte, n int) int {
	n = run(text, n, other, -1)
	for w.modern && n < len(text) && (text[n] == '\r' || text[n] == '\n') {
		n++
	}
	return n
}

// spaces takes a run of white space: up to its last line end where the pattern
// is a modern one, else all but the last rune, which goes with the next word.
func (w words) spaces(text []byte) int {
	n, last, line := 0, 0, 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if kindOf(r) != space {
			break
		}
		last = n
		n += size
		if r == '\r' || r == '\n' {
			line = n
		}
	}
	switch {
	case w.modern && line > 0:
		return line
	case n == len(text) || last == 0:
		return n
	default:
		return last
	}
}

// contraction is the length of the end of a word such as "don't", at whose
// apostrophe the text begins, or 0.
func (w words) contraction(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	first := w.fold(text[1])
	switch first {
	case 's', 't', 'm', 'd':
		return 2
	}
	if w.ignoreCase && hasPrefix(text[1:], []byte("ſ")) { // folds to s
		return 1 + len("ſ")
	}
	if len(text) < 3 {
		return 0
	}
	switch second := w.fold(text[2]); {
	case first == 'r' && second == 'e', first == 'v' && second == 'e', first == 'l' && second == 'l':
		return 3
	}
	return 0
}

func (w words) fold(b byte) byte {
	if w.ignoreCase && 'A' <= b && b <= 'Z' {
		return b + 'a' - 'A'
	}
	return b
}
