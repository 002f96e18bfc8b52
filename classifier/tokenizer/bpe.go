package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// bpe joins neighbouring symbols of a word, the pair that was learnt first
// before all others, until no pair is left that was learnt (Sennrich 2016).
type bpe struct {
	vocab   map[string]int32
	merges  map[pair]merge
	whole   map[string]int32 // words that are known to become one token
	symbols [utf8.RuneSelf]int32
	runes   map[rune]int32 // tokens of one rune
	bytes   *[256]int32    // ids of <0x00> to <0xFF>, or nil
	unknown int32          // noID: unknown runes are dropped
	fuse    bool           // unknown neighbours are one
	// alphabet has the symbol of each byte where symbols are bytes and not
	// runes.
	alphabet *[256]int32
	breaks   map[rune]struct{} // runes after which a word may be cut before wordMark
}

// A pair is two ids.
type pair uint64

func pairOf(left, right int32) pair { return pair(left)<<32 | pair(right) }

// A merge is the place of a pair in the list of merges, and what it becomes.
type merge struct{ rank, id int32 }

// A symbol is a part of a word, in a list that goes both ways.
type symbol struct {
	id         int32 // noID once it is a part of the symbol before it
	prev, next int32 // noID at the ends
}

type bpeFile struct {
	Dropout      *float64         `json:"dropout"`
	Unknown      *string          `json:"unk_token"`
	Prefix       string           `json:"continuing_subword_prefix"`
	Suffix       string           `json:"end_of_word_suffix"`
	Fuse         bool             `json:"fuse_unk"`
	ByteFallback bool             `json:"byte_fallback"`
	IgnoreMerges bool             `json:"ignore_merges"`
	Vocab        map[string]int32 `json:"vocab"`
	Merges       []mergeFile      `json:"merges"`
}

// A mergeFile is written as "left right" or as ["left", "right"].
type mergeFile struct{ left, right string }

func (m *mergeFile) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		var parts []string
		if err := json.Unmarshal(data, &parts); err != nil {
			return err
		}
		if len(parts) != 2 {
			return fmt.Errorf("the merge %s has %d parts, not two", data, len(parts))
		}
		m.left, m.right = parts[0], parts[1]
		return nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	var ok bool
	if m.left, m.right, ok = strings.Cut(text, " "); !ok || strings.Contains(m.right, " ") {
		return fmt.Errorf("the merge %q is not two tokens with a space between them", text)
	}
	return nil
}

func loadBPE(data json.RawMessage, t *Tokenizer) (model, error) {
	var f bpeFile
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	m := &bpe{vocab: f.Vocab, unknown: noID, fuse: f.Fuse, merges: make(map[pair]merge, len(f.Merges)), runes: make(map[rune]int32)}
	if err := errors.Join(f.check(), t.takeVocab(f.Vocab)); err != nil {
		return nil, err
	}
	if f.Unknown != nil {
		m.unknown = f.Vocab[*f.Unknown]
	}
	if f.ByteFallback {
		m.bytes = byteTokens(f.Vocab)
	}
	if err := m.loadMerges(f.Merges); err != nil {
		return nil, err
	}
	m.loadSymbols()
	byteLevel := t.bytesOfText()
	if byteLevel {
		m.alphabet = new([256]int32)
		for b, r := range byteAlphabet {
			m.alphabet[b] = m.symbolOf(r)
		}
	} else if !f.IgnoreMerges { // which is about words as upstream sees them
		m.loadBreaks(f.Merges)
	}
	m.loadWhole(f.IgnoreMerges, byteLevel)
	return m, nil
}

// check names everything in the file that is not supported.
func (f *bpeFile) check() error {
	var errs []error
	if f.Dropout != nil && *f.Dropout != 0 {
		errs = append(errs, fmt.Errorf("dropout is %v: only 0 is supported", *f.Dropout))
	}
	if f.Prefix != "" {
		errs = append(errs, fmt.Errorf("continuing_subword_prefix %q is not supported with BPE", f.Prefix))
	}
	if f.Suffix != "" {
		errs = append(errs, fmt.Errorf("end_of_word_suffix %q is not supported", f.Suffix))
	}
	if f.Unknown != nil {
		if _, ok := f.Vocab[*f.Unknown]; !ok {
			errs = append(errs, fmt.Errorf("unk_token %q is not in the vocab", *f.Unknown))
		}
	}
	return errors.Join(errs...)
}

func (m *bpe) loadMerges(merges []mergeFile) error {
	for rank, f := range merges {
		left, ok := m.vocab[f.left]
		right, ok2 := m.vocab[f.right]
		id, ok3 := m.vocab[f.left+f.right]
		if !ok || !ok2 || !ok3 {
			return fmt.Errorf("merge %d, of %q and %q: one of them or what they make is not in the vocab", rank, f.left, f.right)
		}
		m.merges[pairOf(left, right)] = merge{rank: int32(rank), id: id}
	}
	return nil
}

// loadSymbols finds the tokens of one rune.
func (m *bpe) loadSymbols() {
	for i := range m.symbols {
		m.symbols[i] = noID
	}
	for token, id := range m.vocab {
		r, size := utf8.DecodeRuneInString(token)
		switch {
		case size == 0 || size != len(token):
		case r < utf8.RuneSelf:
			m.symbols[r] = id
		default:
			m.runes[r] = id
		}
	}
}

// symbolOf is the id of a rune, or noID.
func (m *bpe) symbolOf(r rune) int32 {
	if r < utf8.RuneSelf {
		return m.symbols[r]
	}
	if id, ok := m.runes[r]; ok {
		return id
	}
	return noID
}

// loadWhole finds words of which the answer is known: with ignoreMerges, all
// tokens are such words; else those which merging makes of their text. They
// only save time where texts are cut into words.
func (m *bpe) loadWhole(ignoreMerges, byteLevel bool) {
	if !ignoreMerges && !byteLevel && m.breaks == nil {
		return
	}
	whole := make(map[string]int32, len(m.vocab))
	s := new(scratch)
	var ids []int64
	var text []byte
	for token, id := range m.vocab {
		text = append(text[:0], token...)
		if byteLevel {
			var ok bool
			if text, ok = appendBytes(text[:0], token); !ok {
				continue
			}
		}
		if !ignoreMerges {
			ids = m.merge(ids[:0], s, text)
			if len(ids) != 1 || ids[0] != int64(id) {
				continue
			}
		}
		whole[string(text)] = id
	}
	m.whole = whole
}

func (m *bpe) id(token string) (int32, bool) {
	id, ok := m.vocab[token]
	return id, ok
}

func (m *bpe) appendWord(dst []int64, s *scratch, word []byte, full int) []int64 {
	for len(word) > 0 && len(dst) < full {
		n := m.breakAfter(word)
		dst = m.appendPart(dst, s, word[:n])
		word = word[n:]
	}
	return dst
}

func (m *bpe) appendPart(dst []int64, s *scratch, word []byte) []int64 {
	if id, ok := m.whole[string(word)]; ok {
		return append(dst, int64(id))
	}
	return m.merge(dst, s, word)
}

// wordMark stands for a space in SentencePiece models.
const wordMark = '▁'

// loadBreaks finds runes after which no token goes on with a wordMark. Between
// the two nothing can be merged, so a text can be cut there, which makes words
// of one that upstream merges as a whole. Only runes that are tokens count:
// the others may be one with an unknown neighbour.
func (m *bpe) loadBreaks(merges []mergeFile) {
	if m.symbolOf(wordMark) == noID {
		return
	}
	m.breaks = make(map[rune]struct{}, len(m.runes)+len(m.symbols))
	for r := range m.runes {
		m.breaks[r] = struct{}{}
	}
	for r, id := range m.symbols {
		if id != noID {
			m.breaks[rune(r)] = struct{}{}
		}
	}
	for _, f := range merges {
		if strings.HasPrefix(f.right, string(wordMark)) {
			r, _ := utf8.DecodeLastRuneInString(f.left)
			delete(m.breaks, r)
		}
	}
}

// breakAfter finds the first place where the word can be cut.
func (m *bpe) breakAfter(word []byte) int {
	if m.breaks == nil {
		return len(word)
	}
	mark := []byte(string(wordMark))
	for i := min(1, len(word)); i < len(word); i++ {
		i = indexFrom(word, mark, i)
		if i == len(word) {
			break
		}
		r, _ := utf8.DecodeLastRune(word[:i])
		if _, ok := m.breaks[r]; ok {
			return i
		}
	}
	return len(word)
}

// merge is the algorithm itself. Its time is that of sorting: a merge changes
// a list in place and a queue says which is next.
func (m *bpe) merge(dst []int64, s *scratch, word []byte) []int64 {
	s.symbols, s.queue = s.symbols[:0], s.queue[:0]
	if m.alphabet != nil {
		m.byteSymbols(s, word)
	} else {
		m.runeSymbols(s, word)
	}
	symbols := s.symbols
	for i := range symbols {
		symbols[i].prev, symbols[i].next = int32(i)-1, int32(i)+1
	}
	if len(symbols) == 0 {
		return dst
	}
	symbols[len(symbols)-1].next = noID
	for i := range len(symbols) - 1 {
		m.offer(s, int32(i))
	}
	for len(s.queue) > 0 {
		c := s.queue.pop()
		left := &symbols[c.at]
		if left.id == noID || left.next == noID {
			continue
		}
		right := &symbols[left.next]
		if now, ok := m.merges[pairOf(left.id, right.id)]; !ok || now.id != c.id {
			continue // one of the two has changed since
		}
		left.id, left.next, right.id = c.id, right.next, noID
		if left.next != noID {
			symbols[left.next].prev = c.at
			m.offer(s, c.at)
		}
		if left.prev != noID {
			m.offer(s, left.prev)
		}
	}
	for _, x := range symbols {
		if x.id != noID {
			dst = append(dst, int64(x.id))
		}
	}
	return dst
}

// offer puts a symbol and the one after it into the queue, if they merge.
func (m *bpe) offer(s *scratch, at int32) {
	left := s.symbols[at]
	if to, ok := m.merges[pairOf(left.id, s.symbols[left.next].id)]; ok {
		s.queue.push(candidate{rank: to.rank, at: at, id: to.id})
	}
}

func (m *bpe) byteSymbols(s *scratch, word []byte) {
	var unknown bool
	for _, b := range word {
		unknown = m.addSymbol(s, m.alphabet[b], byteAlphabet[b], unknown)
	}
	m.endUnknown(s, unknown)
}

func (m *bpe) runeSymbols(s *scratch, word []byte) {
	var unknown bool
	for len(word) > 0 {
		r, size := utf8.DecodeRune(word)
		unknown = m.addSymbol(s, m.symbolOf(r), r, unknown)
		word = word[size:]
	}
	m.endUnknown(s, unknown)
}

// addSymbol adds a rune. unknown says that an unknown token waits to be added,
// as does the answer.
func (m *bpe) addSymbol(s *scratch, id int32, r rune, unknown bool) bool {
	if id != noID {
		m.endUnknown(s, unknown)
		s.symbols = append(s.symbols, symbol{id: id})
		return false
	}
	if m.addBytes(s, r) || m.unknown == noID {
		return unknown
	}
	if unknown && !m.fuse {
		m.endUnknown(s, true)
	}
	return true
}

func (m *bpe) endUnknown(s *scratch, unknown bool) {
	if unknown {
		s.symbols = append(s.symbols, symbol{id: m.unknown})
	}
}

// addBytes adds the tokens of a rune's bytes, if there are tokens for all.
func (m *bpe) addBytes(s *scratch, r rune) bool {
	if m.bytes == nil {
		return false
	}
	var encoded [utf8.UTFMax]byte
	n := utf8.EncodeRune(encoded[:], r)
	for _, b := range encoded[:n] {
		if m.bytes[b] == noID {
			return false
		}
	}
	for _, b := range encoded[:n] {
		s.symbols = append(s.symbols, symbol{id: m.bytes[b]})
	}
	return true
}
