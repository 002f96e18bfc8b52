package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxWordLimit bounds max_input_chars_per_word, on which the time for one
// word depends.
const maxWordLimit = 1000

// wordPiece cuts a word into the longest tokens that the vocabulary has, from
// the left. A word with a part that it has not is unknown as a whole.
type wordPiece struct {
	words   map[string]int32 // tokens that begin a word
	inner   map[string]int32 // tokens that go on with one, without prefix
	longest int              // bytes of the longest token
	unknown int32
	maxWord int // runes; a longer word is unknown
}

func loadWordPiece(data json.RawMessage, t *Tokenizer) (model, error) {
	var f struct {
		Unknown string           `json:"unk_token"`
		Prefix  string           `json:"continuing_subword_prefix"`
		MaxWord int              `json:"max_input_chars_per_word"`
		Vocab   map[string]int32 `json:"vocab"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if f.MaxWord < 1 || f.MaxWord > maxWordLimit {
		return nil, fmt.Errorf("max_input_chars_per_word is %d, not within 1 to %d", f.MaxWord, maxWordLimit)
	}
	if err := t.takeVocab(f.Vocab); err != nil {
		return nil, err
	}
	unknown, ok := f.Vocab[f.Unknown]
	if !ok {
		return nil, fmt.Errorf("unk_token %q is not in the vocab", f.Unknown)
	}
	m := &wordPiece{words: f.Vocab, inner: make(map[string]int32, len(f.Vocab)/4), unknown: unknown, maxWord: f.MaxWord}
	for token, id := range f.Vocab {
		if rest, ok := strings.CutPrefix(token, f.Prefix); ok && rest != "" {
			m.inner[rest] = id
		}
		m.longest = max(m.longest, len(token))
	}
	return m, nil
}

func (m *wordPiece) id(token string) (int32, bool) {
	id, ok := m.words[token]
	return id, ok
}

func (m *wordPiece) appendWord(dst []int64, _ *scratch, word []byte, _ int) []int64 {
	if len(word) > m.maxWord && utf8.RuneCount(word) > m.maxWord {
		return append(dst, int64(m.unknown))
	}
	start, vocab := len(dst), m.words
	for rest := word; len(rest) > 0; vocab = m.inner {
		id, size := m.longestToken(vocab, rest)
		if size == 0 {
			return append(dst[:start], int64(m.unknown))
		}
		dst = append(dst, int64(id))
		rest = rest[size:]
	}
	return dst
}

// longestToken finds the longest prefix of rest in vocab; size 0 means none.
func (m *wordPiece) longestToken(vocab map[string]int32, rest []byte) (id int32, size int) {
	for size = min(len(rest), m.longest); size > 0; size-- {
		if size < len(rest) && !utf8.RuneStart(rest[size]) {
			continue
		}
		if id, ok := vocab[string(rest[:size])]; ok {
			return id, size
		}
	}
	return 0, 0
}
