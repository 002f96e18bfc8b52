package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer is upstream's BertNormalizer, one rune at a time.
type normalizer struct {
	clean     bool // drop control characters
	chinese   bool // ideographs are words
	strip     bool // drop accents
	lowercase bool
}

// An asciiRule says what becomes of an ASCII character.
type asciiRule struct {
	class class
	lower byte
}

// A class is what the pre-tokenizer does with a normalized rune.
type class uint8

const (
	inWord      class = iota
	dropped           // leaves nothing behind
	space             // ends a word
	punctuation       // is a word of its own
)

// asciiRules tells the rules for all ASCII characters.
func (n normalizer) asciiRules() (rules [128]asciiRule) {
	for i := range rules {
		r := n.lower(rune(i))
		rules[i] = asciiRule{class: classOf(r), lower: byte(r)}
		if n.clean {
			switch {
			case isControl(rune(i)):
				rules[i].class = dropped
			case unicode.IsSpace(rune(i)):
				rules[i].class = space
			}
		}
	}
	return rules
}

// decomposition returns the canonical decomposition of a rune that is given
// as UTF-8, or nil where it has none. Marks stay in the order in which they
// come: reordering could only move two spacing marks past each other.
func decomposition(encoded string, r rune, jamo *[9]byte) []byte {
	const (
		base, end  = 0xAC00, 0xD7A4 // Hangul syllables, Unicode 3.12
		leads      = 0x1100
		vowels     = 0x1161
		trails     = 0x11A7
		vowelCount = 21
		trailCount = 28
	)
	if r < base || r >= end {
		return norm.NFD.PropertiesString(encoded).Decomposition()
	}
	s := r - base
	out := utf8.AppendRune(jamo[:0], leads+s/(vowelCount*trailCount))
	out = utf8.AppendRune(out, vowels+s/trailCount%vowelCount)
	if t := s % trailCount; t != 0 {
		out = utf8.AppendRune(out, trails+t)
	}
	return out
}

// lower maps one rune to one. The one rune whose lower case is two, U+0130, is
// the caller's to see to.
func (n normalizer) lower(r rune) rune {
	if !n.lowercase {
		return r
	}
	return unicode.ToLower(r)
}

// classOf is upstream's BertPreTokenizer.
func classOf(r rune) class {
	switch {
	case isPunctuation(r):
		return punctuation
	case unicode.IsSpace(r):
		return space
	default:
		return inWord
	}
}

// isControl tells what clean_text drops.
func isControl(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	case utf8.RuneError:
		return true
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co) && !unicode.Is(newFormats, r)
}

// isMark tells what strip_accents drops.
func isMark(r rune) bool {
	return unicode.Is(unicode.Mn, r) && !unicode.Is(newMarks, r) || r == 0x1734
}

func isPunctuation(r rune) bool {
	if r < utf8.RuneSelf { // all of ASCII that prints, symbols too
		return r > ' ' && r < 0x7F && !isAlphanumeric(byte(r))
	}
	return unicode.IsPunct(r) && !unicode.Is(newPunctuation, r) || r == 0x166D || r == 0x111C9
}

func isAlphanumeric(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}

// isChinese tells the ideographs that handle_chinese_chars makes words of. The
// block that begins at U+2B920 is upstream's; Unicode's begins at U+2B820.
func isChinese(r rune) bool {
	switch {
	case r < 0x3400:
		return false
	case r <= 0x4DBF, r >= 0x4E00 && r <= 0x9FFF, r >= 0xF900 && r <= 0xFAFF:
		return true
	case r < 0x20000:
		return false
	}
	return r <= 0x2A6DF || r >= 0x2A700 && r <= 0x2B81F || r >= 0x2B920 && r <= 0x2CEAF || r >= 0x2F800 && r <= 0x2FA1F
}
