package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// A preTokenizer is a step that cuts pieces of text into smaller ones.
type preTokenizer interface {
	// split appends what becomes of a piece to the scratch's next.
	split(s *scratch, p piece)
}

// add appends the part of a piece to next, unless it is empty.
func (s *scratch) add(p piece, from, to int) {
	if from < to {
		s.next = append(s.next, piece{text: p.text[from:to], first: p.first && from == 0})
	}
}

// loadPreTokenizers reads the pre-tokenizer, of which a Sequence is several.
func loadPreTokenizers(data json.RawMessage) ([]preTokenizer, error) {
	steps, err := loadSequence("pre_tokenizer", "pretokenizers", data, loadPreTokenizer)
	for i, step := range steps {
		if _, ok := step.(byteLevel); ok && i < len(steps)-1 {
			return nil, errors.Join(err, errors.New("pre_tokenizer ByteLevel must be the last of its Sequence"))
		}
	}
	return steps, err
}

func loadPreTokenizer(kind string, data json.RawMessage) (preTokenizer, error) {
	switch kind {
	case "BertPreTokenizer":
		return bertPreTokenizer{}, nil
	case "WhitespaceSplit":
		return whitespaceSplit{}, nil
	case "ByteLevel":
		return loadByteLevel(data)
	case "Metaspace":
		return loadMetaspace(data)
	case "Split":
		return loadSplit(data)
	default:
		return nil, errKind
	}
}

// bytesOfText says that the model's symbols are bytes.
func (t *Tokenizer) bytesOfText() bool {
	if len(t.preTokenizers) == 0 {
		return false
	}
	_, ok := t.preTokenizers[len(t.preTokenizers)-1].(byteLevel)
	return ok
}

// cutsAtSpaces says that a step cuts ahead of every space between two ASCII
// letters, or drops it, whatever stands around them.
func cutsAtSpaces(step preTokenizer) bool {
	switch step := step.(type) {
	case bertPreTokenizer, whitespaceSplit:
		return true
	case byteLevel:
		return step.words
	case metaspace:
		return step.cut
	case split:
		_, ok := step.pattern.(words)
		return ok && step.behavior == "Isolated"
	}
	return false
}

// whitespaceSplit drops white space.
type whitespaceSplit struct{}

func (whitespaceSplit) split(s *scratch, p piece) {
	from := 0
	for i := 0; i < len(p.text); {
		r, size := utf8.DecodeRune(p.text[i:])
		if unicode.IsSpace(r) {
			s.add(p, from, i)
			from = i + size
		}
		i += size
	}
	s.add(p, from, len(p.text))
}

// byteLevel is GPT-2's pre-tokenizer. Upstream writes each byte as a rune that
// prints; here pieces keep their bytes, and [bpe] has the ids for those.
type byteLevel struct {
	prefixSpace bool
	words       bool // cut the text into words, too
}

func loadByteLevel(data json.RawMessage) (preTokenizer, error) {
	f := struct {
		PrefixSpace bool `json:"add_prefix_space"`
		UseRegex    bool `json:"use_regex"`
	}{UseRegex: true}
	err := json.Unmarshal(data, &f)
	return byteLevel{prefixSpace: f.PrefixSpace, words: f.UseRegex}, err
}

func (b byteLevel) split(s *scratch, p piece) {
	if b.prefixSpace && p.text[0] != ' ' {
		p.text = s.joined([]byte{' '}, p.text)
	}
	if b.words {
		gpt2Words.splitAll(s, p)
	} else {
		s.add(p, 0, len(p.text))
	}
}

// joined is a text in front of another one.
func (s *scratch) joined(prefix, text []byte) []byte {
	start := len(s.arena)
	s.arena = append(append(s.arena, prefix...), text...)
	return s.arena[start:]
}

// byteAlphabet is the rune that GPT-2 writes for each byte: itself where it
// prints, else the next one from U+0100 on.
var byteAlphabet = func() (alphabet [256]rune) {
	next := rune(0x100)
	for b := range alphabet {
		r := rune(b)
		if r < '!' || r > '~' && r < 0xA1 || r == 0xAD {
			r = next
			next++
		}
		alphabet[b] = r
	}
	return alphabet
}()

// appendBytes appends the bytes that a token of the byte alphabet stands for.
func appendBytes(dst []byte, token string) ([]byte, bool) {
	for _, r := range token {
		b, ok := byteOf[r]
		if !ok {
			return dst, false
		}
		dst = append(dst, b)
	}
	return dst, true
}

var byteOf = func() map[rune]byte {
	bytes := make(map[rune]byte, len(byteAlphabet))
	for b, r := range byteAlphabet {
		bytes[r] = byte(b)
	}
	return bytes
}()

// metaspace is SentencePiece's: a mark stands for each space, and in front of
// the text where prepend says so; a word begins at each mark.
type metaspace struct {
	mark    []byte
	prepend string // always, first, never
	cut     bool
}

func loadMetaspace(data json.RawMessage) (preTokenizer, error) {
	f := struct {
		Replacement string `json:"replacement"`
		Scheme      string `json:"prepend_scheme"`
		PrefixSpace *bool  `json:"add_prefix_space"` // what older files have in place of it
		Split       bool   `json:"split"`
	}{Split: true}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.Scheme == "" {
		f.Scheme = "always"
		if f.PrefixSpace != nil && !*f.PrefixSpace {
			f.Scheme = "never"
		}
	}
	switch f.Scheme {
	case "always", "first", "never":
	default:
		return nil, fmt.Errorf("prepend_scheme %q is none of always, first, never", f.Scheme)
	}
	if utf8.RuneCountInString(f.Replacement) != 1 {
		return nil, fmt.Errorf("replacement %q is not one character", f.Replacement)
	}
	return metaspace{mark: []byte(f.Replacement), prepend: f.Scheme, cut: f.Split}, nil
}

func (m metaspace) split(s *scratch, p piece) {
	start := len(s.arena)
	marked := p.text[0] == ' ' || hasPrefix(p.text, m.mark)
	if !marked && (m.prepend == "always" || m.prepend == "first" && p.first) {
		s.arena = append(s.arena, m.mark...)
	}
	for from := 0; from < len(p.text); {
		space := indexFrom(p.text, []byte{' '}, from)
		s.arena = append(s.arena, p.text[from:space]...)
		if space < len(p.text) {
			s.arena = append(s.arena, m.mark...)
		}
		from = space + 1
	}
	p.text = s.arena[start:]
	if !m.cut {
		s.add(p, 0, len(p.text))
		return
	}
	for from := 0; from < len(p.text); {
		to := indexFrom(p.text, m.mark, min(from+1, len(p.text)))
		s.add(p, from, to)
		from = to
	}
}

func hasPrefix(text, prefix []byte) bool {
	return len(text) >= len(prefix) && string(text[:len(prefix)]) == string(prefix)
}
