package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"
)

// unknownPenalty is how much less likely than the least likely token an
// unknown rune is.
const unknownPenalty = 10

// unigram cuts a word where the sum of the tokens' log probabilities is the
// greatest (Kudo 2018), with upstream's additions for what no token has.
type unigram struct {
	ids          map[string]int32
	tokens       trie
	scores       []float64
	unknown      int32 // noID where there is none
	unknownScore float64
	bytes        *[256]int32 // ids of <0x00> to <0xFF>, or nil
}

// noID stands for a token that the vocabulary has not.
const noID = -1

// A pathNode is the best way to cut a word that ends at its place.
type pathNode struct {
	score float64
	from  int32 // where its last token begins; noID before there is a way
	id    int32
}

func loadUnigram(data json.RawMessage, t *Tokenizer) (model, error) {
	var f struct {
		Unknown      *int32               `json:"unk_id"`
		ByteFallback bool                 `json:"byte_fallback"`
		Vocab        [][2]json.RawMessage `json:"vocab"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	if len(f.Vocab) == 0 || len(f.Vocab) >= math.MaxInt32 {
		return nil, fmt.Errorf("vocab has %d entries", len(f.Vocab))
	}
	if f.Unknown == nil || *f.Unknown < 0 || int(*f.Unknown) >= len(f.Vocab) {
		return nil, errors.New("unk_id is not in the vocab: text with an unknown character could not be read")
	}
	m := &unigram{ids: make(map[string]int32, len(f.Vocab)), scores: make([]float64, len(f.Vocab)), unknown: *f.Unknown}
	entries := make([]keyValue, len(f.Vocab))
	for i, entry := range f.Vocab {
		if err := errors.Join(json.Unmarshal(orNull(entry[0]), &entries[i].key), json.Unmarshal(orNull(entry[1]), &m.scores[i])); err != nil {
			return nil, fmt.Errorf("vocab: entry %d: %w", i, err)
		}
		entries[i].value = int32(i)
		m.ids[entries[i].key] = int32(i)
	}
	if f.ByteFallback {
		m.bytes = byteTokens(m.ids)
	}
	m.unknownScore = slices.Min(m.scores) - unknownPenalty
	m.tokens = newTrie(entries)
	return m, t.take(int64(len(f.Vocab) - 1))
}

// byteTokens are the ids of <0x00> to <0xFF>, or noID.
func byteTokens(vocab map[string]int32) *[256]int32 {
	var ids [256]int32
	for b := range ids {
		id, ok := vocab[fmt.Sprintf("<0x%02X>", b)]
		if !ok {
			id = noID
		}
		ids[b] = id
	}
	return &ids
}

func (m *unigram) id(token string) (int32, bool) {
	id, ok := m.ids[token]
	return id, ok
}

func (m *unigram) appendWord(dst []int64, s *scratch, word []byte, _ int) []int64 {
	m.findPath(s, word)
	start := len(dst)
	for end := len(word); end > 0; {
		from, id := int(s.nodes[end].from), s.nodes[end].id
		if id == m.unknown {
			for from > 0 && s.nodes[from].id == m.unknown { // unknown neighbours are one
				from = int(s.nodes[from].from)
			}
			dst = m.appendUnknown(dst, word[from:end])
		} else {
			dst = append(dst, int64(id))
		}
		end = from
	}
	slices.Reverse(dst[start:])
	return dst
}

// findPath fills the nodes from left to right.
func (m *unigram) findPath(s *scratch, word []byte) {
	s.nodes = slices.Grow(s.nodes[:0], len(word)+1)[:len(word)+1]
	for i := range s.nodes {
		s.nodes[i].from = noID
	}
	s.nodes[0] = pathNode{}
	for at := 0; at < len(word); {
		_, size := utf8.DecodeRune(word[at:])
		score, single := s.nodes[at].score, false
		for end, node := at, int32(0); end < len(word); {
			if node = m.tokens.child(node, word[end]); node == 0 {
				break
			}
			end++
			if id := m.tokens.value[node]; id != noValue {
				s.nodes[end].offer(score+m.scores[id], at, id)
				single = single || end-at == size
			}
		}
		if !single {
			s.nodes[at+size].offer(score+m.unknownScore, at, m.unknown)
		}
		at += size
	}
}

// offer takes a way to the node if it is the first or better than the one that
// it has.
func (n *pathNode) offer(score float64, from int, id int32) {
	if n.from == noID || score > n.score {
		*n = pathNode{score: score, from: int32(from), id: id}
	}
}

// appendUnknown appends, last one first, what stands for a text that no token
// covers.
func (m *unigram) appendUnknown(dst []int64, text []byte) []int64 {
	if id, ok := m.ids[string(text)]; ok {
		return append(dst, int64(id))
	}
	if m.bytes == nil || slices.ContainsFunc(text, func(b byte) bool { return m.bytes[b] == noID }) {
		return append(dst, int64(m.unknown))
	}
	for _, b := range slices.Backward(text) {
		dst = append(dst, int64(m.bytes[b]))
	}
	return dst
}
