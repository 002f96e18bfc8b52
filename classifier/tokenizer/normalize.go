package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A normalizer is a step that rewrites the text of a scratch.
type normalizer interface {
	normalize(s *scratch)
}

// loadNormalizers reads the normalizer, of which a Sequence is several, or the
// faults in all of them.
func loadNormalizers(data json.RawMessage) ([]normalizer, error) {
	return loadSequence("normalizer", "normalizers", data, loadNormalizer)
}

func loadNormalizer(kind string, data json.RawMessage) (normalizer, error) {
	switch kind {
	case "NFC":
		return form{norm.NFC}, nil
	case "NFD":
		return form{norm.NFD}, nil
	case "NFKC":
		return form{norm.NFKC}, nil
	case "NFKD":
		return form{norm.NFKD}, nil
	case "Lowercase":
		return lowercase{}, nil
	case "StripAccents":
		return stripAccents{}, nil
	case "Strip":
		var f struct {
			Left  bool `json:"strip_left"`
			Right bool `json:"strip_right"`
		}
		err := json.Unmarshal(data, &f)
		return strip{left: f.Left, right: f.Right}, err
	case "Prepend":
		var f struct {
			Prepend string `json:"prepend"`
		}
		err := json.Unmarshal(data, &f)
		return prepend(f.Prepend), err
	case "Replace":
		return loadReplace(data)
	case "Precompiled":
		return loadPrecompiled(data)
	case "BertNormalizer":
		return loadBertNormalizer(data)
	default:
		return nil, errKind
	}
}

func loadBertNormalizer(data json.RawMessage) (normalizer, error) {
	var f struct {
		CleanText    bool  `json:"clean_text"`
		ChineseChars bool  `json:"handle_chinese_chars"`
		StripAccents *bool `json:"strip_accents"`
		Lowercase    bool  `json:"lowercase"`
	}
	err := json.Unmarshal(data, &f)
	n := bertNormalizer{
		clean:     f.CleanText,
		chinese:   f.ChineseChars,
		strip:     f.Lowercase, // where strip_accents is null
		lowercase: f.Lowercase,
	}
	if f.StripAccents != nil {
		n.strip = *f.StripAccents
	}
	n = n.withASCII()
	return &n, err
}

// lowercase maps every rune on its own: a final sigma is like any other.
type lowercase struct{}

func (lowercase) normalize(s *scratch) {
	out := s.spare[:0]
	for text := s.text; len(text) > 0; {
		r, size := utf8.DecodeRune(text)
		out = appendLower(out, r)
		text = text[size:]
	}
	s.write(out)
}

func appendLower(out []byte, r rune) []byte {
	if r == 'İ' { // the one rune whose lower case is two
		return append(out, "i\u0307"...)
	}
	return utf8.AppendRune(out, lower(r))
}

// stripAccents drops marks, also spacing and enclosing ones. It decomposes
// nothing.
type stripAccents struct{}

func (stripAccents) normalize(s *scratch) {
	out := s.spare[:0]
	for text := s.text; len(text) > 0; {
		r, size := utf8.DecodeRune(text)
		if !isAnyMark(r) {
			out = append(out, text[:size]...)
		} else if len(out) == 0 {
			s.first = false
		}
		text = text[size:]
	}
	s.write(out)
}

// strip drops white space from the ends of the text.
type strip struct{ left, right bool }

func (n strip) normalize(s *scratch) {
	from, to := 0, len(s.text)
	if n.left {
		from = leadingSpace(s.text)
		s.first = s.first && from == 0
	}
	if n.right {
		to = trimSpaceEnd(s.text, from, to)
	}
	s.write(append(s.spare[:0], s.text[from:to]...))
}

// prepend is put before a text, but for an empty one.
type prepend string

func (n prepend) normalize(s *scratch) {
	if len(s.text) > 0 {
		s.write(append(append(s.spare[:0], n...), s.text...))
	}
}

// replaceText puts with in the place of each old.
type replaceText struct{ old, with []byte }

func (n replaceText) normalize(s *scratch) {
	out, from := s.spare[:0], 0
	for from < len(s.text) {
		i := indexFrom(s.text, n.old, from)
		out = append(out, s.text[from:i]...)
		if i == len(s.text) {
			break
		}
		s.replaced(i, n.old, n.with)
		out = append(out, n.with...)
		from = i + len(n.old)
	}
	s.write(out)
}

// replaced notes that old was replaced. To upstream, what comes instead of more
// than one character stands where the last of them stood.
func (s *scratch) replaced(at int, old, with []byte) {
	if at == 0 && (len(with) == 0 || utf8.RuneCount(old) > 1) {
		s.first = false
	}
}

// replacePattern puts with in the place of each match.
type replacePattern struct {
	old  *regexp.Regexp
	with []byte
}

func (n replacePattern) normalize(s *scratch) {
	out, from := s.spare[:0], 0
	for from < len(s.text) {
		found := n.old.FindIndex(s.text[from:])
		if found == nil {
			break
		}
		out = append(out, s.text[from:from+found[0]]...)
		s.replaced(from+found[0], s.text[from+found[0]:from+found[1]], n.with)
		out = append(out, n.with...)
		from += found[1]
	}
	s.write(append(out, s.text[from:]...))
}

// replaceSpaces is replacePattern for runs of spaces, the one that nearly all
// SentencePiece models have.
type replaceSpaces struct {
	atLeast int
	with    []byte
}

func (n replaceSpaces) normalize(s *scratch) {
	out := s.spare[:0]
	for text := s.text; len(text) > 0; {
		run := len(text) - len(bytes.TrimLeft(text, " "))
		if run > 0 && run >= n.atLeast {
			s.replaced(len(s.text)-len(text), text[:run], n.with)
			out = append(out, n.with...)
		} else {
			out = append(out, text[:run]...)
		}
		text = text[run:]
		word := indexFrom(text, []byte{' '}, 0)
		out = append(out, text[:word]...)
		text = text[word:]
	}
	s.write(out)
}

func loadReplace(data json.RawMessage) (normalizer, error) {
	var f struct {
		Pattern patternFile `json:"pattern"`
		Content string      `json:"content"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	with := []byte(f.Content)
	switch {
	case f.Pattern.String != nil && *f.Pattern.String != "":
		return replaceText{old: []byte(*f.Pattern.String), with: with}, nil
	case f.Pattern.Regex == nil:
		return nil, errors.New("the pattern is empty")
	}
	switch *f.Pattern.Regex {
	case " {2,}":
		return replaceSpaces{atLeast: 2, with: with}, nil
	case " +":
		return replaceSpaces{atLeast: 1, with: with}, nil
	}
	if bytes.ContainsAny(with, `$\`) {
		return nil, fmt.Errorf("content %q of a regex: references to groups are not supported", f.Content)
	}
	old, err := compile(*f.Pattern.Regex)
	return replacePattern{old: old, with: with}, err
}

// A form is one of Unicode's normalization forms, without the limit on the
// number of marks that [norm] has.
type form struct{ norm.Form }

func (f form) normalize(s *scratch) {
	n := f.QuickSpan(s.text)
	if n == len(s.text) {
		return
	}
	out := s.spare[:0]
	for text := s.text; ; n = f.QuickSpan(text) {
		out = append(out, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			break
		}
		size, plain := f.segment(text)
		if plain {
			out = f.Append(out, text[:size]...)
		} else {
			out = f.appendSlowly(out, text[:size])
		}
		text = text[size:]
	}
	s.write(out)
}

// maxPlainRunes is so few that [norm] puts no joiner between them.
const maxPlainRunes = 12

// segment measures the shortest start of text that what follows cannot change.
// plain says that [norm] does with it what upstream does.
func (f form) segment(text []byte) (size int, plain bool) {
	count := 0
	plain = true
	for size < len(text) {
		p := f.Properties(text[size:])
		if size > 0 && p.BoundaryBefore() {
			break
		}
		r, n := utf8.DecodeRune(text[size:])
		plain = plain && !unicode.Is(notNormalized, r) && !unicode.Is(newClasses, r)
		size += n
		count++
	}
	return size, plain && count <= maxPlainRunes
}

// appendSlowly is the algorithm of Unicode 3.11: decompose, order the marks,
// and compose again where the form says so.
func (f form) appendSlowly(out, segment []byte) []byte {
	decompose, compose := norm.NFD, f.Form == norm.NFC || f.Form == norm.NFKC
	if f.Form == norm.NFKC || f.Form == norm.NFKD {
		decompose = norm.NFKD
	}
	var runes []combining
	var jamo [9]byte
	for len(segment) > 0 {
		r, size := utf8.DecodeRune(segment)
		parts := segment[:size]
		if !unicode.Is(notNormalized, r) {
			if d := decomposition(decompose, parts, r, &jamo); d != nil {
				parts = d
			}
		}
		for len(parts) > 0 {
			part, n := utf8.DecodeRune(parts)
			c := combining{r: part, class: norm.NFD.Properties(parts).CCC()}
			if unicode.Is(newClasses, part) {
				c.class = 0
			}
			runes = append(runes, c)
			parts = parts[n:]
		}
		segment = segment[size:]
	}
	orderMarks(runes)
	if compose {
		runes = composed(runes)
	}
	for _, c := range runes {
		out = utf8.AppendRune(out, c.r)
	}
	return out
}
