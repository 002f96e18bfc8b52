package tokenizer

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A bertNormalizer is upstream's BertNormalizer, one rune at a time.
type bertNormalizer struct {
	clean     bool // drop control characters
	chinese   bool // ideographs are words
	strip     bool // drop accents
	lowercase bool
	ascii     [utf8.RuneSelf]byte // what becomes of ASCII; NUL: nothing
}

// withASCII fills the table for ASCII.
func (n bertNormalizer) withASCII() bertNormalizer {
	for i := range n.ascii {
		r := rune(i)
		switch {
		case n.clean && isControl(r):
			n.ascii[i] = 0
		case n.clean && unicode.IsSpace(r):
			n.ascii[i] = ' '
		case n.lowercase:
			n.ascii[i] = byte(unicode.ToLower(r))
		default:
			n.ascii[i] = byte(r)
		}
	}
	return n
}

func (n *bertNormalizer) normalize(s *scratch) {
	out := s.spare[:0]
	for text := s.text; len(text) > 0; {
		size := 1
		if b := text[0]; b >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRune(text)
			out = n.append(out, r, text[:size])
		} else if c := n.ascii[b]; c != 0 || !n.clean {
			out = append(out, c)
		}
		if len(out) == 0 {
			s.first = false
		}
		text = text[size:]
	}
	s.write(out)
}

// append appends what becomes of a rune beyond ASCII, which comes as UTF-8, too.
func (n *bertNormalizer) append(out []byte, r rune, encoded []byte) []byte {
	if n.clean {
		if isControl(r) {
			return out
		}
		if unicode.IsSpace(r) {
			return append(out, ' ')
		}
	}
	alone := n.chinese && isChinese(r)
	if alone {
		out = append(out, ' ')
	}
	var jamo [9]byte
	if d := n.decompose(encoded, r, &jamo); d != nil {
		for len(d) > 0 {
			part, size := utf8.DecodeRune(d)
			out = n.appendPart(out, part)
			d = d[size:]
		}
	} else {
		out = n.appendPart(out, r)
	}
	if alone {
		out = append(out, ' ')
	}
	return out
}

func (n *bertNormalizer) decompose(encoded []byte, r rune, jamo *[9]byte) []byte {
	if !n.strip {
		return nil
	}
	return decomposition(norm.NFD, encoded, r, jamo)
}

// appendPart takes a rune of a decomposition.
func (n *bertNormalizer) appendPart(out []byte, r rune) []byte {
	switch {
	case n.strip && isMark(r):
		return out
	case n.lowercase:
		return appendLower(out, r)
	default:
		return utf8.AppendRune(out, r)
	}
}

// bertPreTokenizer is upstream's BertPreTokenizer: white space ends a word,
// and punctuation is a word of its own.
type bertPreTokenizer struct{}

func (bertPreTokenizer) split(s *scratch, p piece) {
	from := 0
	for i := 0; i < len(p.text); {
		if isAlphanumeric(p.text[i]) {
			i++
			continue
		}
		r, size := utf8.DecodeRune(p.text[i:])
		alone := isPunctuation(r)
		if alone || unicode.IsSpace(r) {
			s.add(p, from, i)
			from = i + size
		}
		if alone {
			s.add(p, i, i+size)
		}
		i += size
	}
	s.add(p, from, len(p.text))
}

// decomposition returns the decomposition of a rune that is given as UTF-8 by
// NFD or NFKD, or nil where it has none. It leaves the order of marks to the
// caller; where marks are dropped, it does not matter, since reordering could
// only move two spacing marks past each other.
func decomposition(form norm.Form, encoded []byte, r rune, jamo *[9]byte) []byte {
	const (
		base, end  = 0xAC00, 0xD7A4 // Hangul syllables, Unicode 3.12
		leads      = 0x1100
		vowels     = 0x1161
		trails     = 0x11A7
		vowelCount = 21
		trailCount = 28
	)
	if r < base || r >= end {
		return form.Properties(encoded).Decomposition()
	}
	s := r - base
	out := utf8.AppendRune(jamo[:0], leads+s/(vowelCount*trailCount))
	out = utf8.AppendRune(out, vowels+s/trailCount%vowelCount)
	if t := s % trailCount; t != 0 {
		out = utf8.AppendRune(out, trails+t)
	}
	return out
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
