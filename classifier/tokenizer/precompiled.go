package tokenizer

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// precompiled is SentencePiece's normalizer: rules that replace one text by
// another, in a double-array trie (the one of darts-clone) and the texts that
// they put, each with a NUL at its end.
type precompiled struct {
	units []uint32
	texts []byte
}

func loadPrecompiled(data json.RawMessage) (normalizer, error) {
	var f struct {
		Charsmap []byte `json:"precompiled_charsmap"` // base64
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if len(f.Charsmap) < 4 {
		return nil, errors.New("precompiled_charsmap is empty")
	}
	size, rest := int(binary.LittleEndian.Uint32(f.Charsmap)), f.Charsmap[4:]
	if size == 0 || size%4 != 0 || size > len(rest) {
		return nil, fmt.Errorf("precompiled_charsmap has a trie of %d bytes in %d", size, len(rest))
	}
	p := &precompiled{units: make([]uint32, size/4), texts: rest[size:]}
	for i := range p.units {
		p.units[i] = binary.LittleEndian.Uint32(rest[4*i:])
	}
	if !utf8.Valid(p.texts) {
		return nil, errors.New("precompiled_charsmap has texts that are not UTF-8")
	}
	return p, nil
}

// maxRuleBytes is how long a grapheme may be that is looked up as a whole.
const maxRuleBytes = 5

// normalize replaces graphemes and, where they have no rule or are long, their
// runes. As upstream, it takes the shortest rule that a grapheme begins with
// and drops the rest of the grapheme.
func (p *precompiled) normalize(s *scratch) {
	out := s.spare[:0]
	for text := s.text; len(text) > 0; {
		if plain := p.plain(text); plain > 0 {
			out = append(out, text[:plain]...)
			text = text[plain:]
			continue
		}
		size := grapheme(text)
		with, ok := []byte(nil), false
		if size <= maxRuleBytes {
			with, ok = p.rule(text[:size])
		}
		if ok {
			out = append(out, with...)
		} else {
			out = p.appendRunes(out, text[:size])
		}
		text = text[size:]
	}
	s.write(out)
}

// plain is how many bytes at the start of text are printing ASCII for which no
// rule is.
func (p *precompiled) plain(text []byte) int {
	n := 0
	for n < len(text) && ' ' <= text[n] && text[n] <= '~' {
		if _, ok := p.rule(text[n : n+1]); ok {
			break
		}
		n++
	}
	if n < len(text) && n > 0 && text[n] >= utf8.RuneSelf {
		n-- // a mark may follow, with which the last one is a grapheme
	}
	return n
}

func (p *precompiled) appendRunes(out, text []byte) []byte {
	for len(text) > 0 {
		_, size := utf8.DecodeRune(text)
		if with, ok := p.rule(text[:size]); ok {
			out = append(out, with...)
		} else {
			out = append(out, text[:size]...)
		}
		text = text[size:]
	}
	return out
}

// rule finds the shortest rule with which text begins, and what it puts. The
// fields of a unit are those of darts-clone. NUL is no part of a key.
func (p *precompiled) rule(text []byte) ([]byte, bool) {
	at := offset(p.units[0])
	for _, b := range text {
		at ^= uint32(b)
		if b == 0 || at >= uint32(len(p.units)) {
			return nil, false
		}
		unit := p.units[at]
		if unit&(1<<31|0xFF) != uint32(b) {
			return nil, false
		}
		at ^= offset(unit)
		if unit>>8&1 == 1 {
			return p.text(at)
		}
	}
	return nil, false
}

func offset(unit uint32) uint32 {
	return unit >> 10 << (unit & (1 << 9) >> 6)
}

// text is what the rule at a leaf puts.
func (p *precompiled) text(leaf uint32) ([]byte, bool) {
	if leaf >= uint32(len(p.units)) {
		return nil, false
	}
	start := p.units[leaf] & (1<<31 - 1)
	if uint64(start) >= uint64(len(p.texts)) {
		return nil, true
	}
	text := p.texts[start:]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return text, true
}
