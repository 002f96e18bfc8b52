package tokenizer

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// How many bytes of text EncodeEnds reads from either end for each token that
// it wants from there. English has about four and a half.
const (
	headBytesPerToken = 64
	tailBytesPerToken = 16
)

// Encode appends the ids of text to dst: the post-processor's special tokens,
// and between them the text's first tokens, so many that no more than
// maxTokens are appended in all. The special tokens come even where maxTokens
// is too small for them. Special tokens written out in the text ("[SEP]")
// count as such, as they do upstream. The time grows with all of text.
func (t *Tokenizer) Encode(dst []int64, text string, maxTokens int) []int64 {
	dst = append(dst, t.prefix...)
	dst = t.appendText(dst, text, t.room(maxTokens), true)
	return append(dst, t.suffix...)
}

// EncodeEnds is Encode for a text that may be too long: instead of its first
// tokens it then takes three quarters from its head and one quarter from its
// tail, where a question about a long paste tends to stand. Too long is also
// what has more than 64 bytes for each of maxTokens; the time does not depend
// on how much longer it is.
func (t *Tokenizer) EncodeEnds(dst []int64, text string, maxTokens int) []int64 {
	dst = append(dst, t.prefix...)
	start, room := len(dst), t.room(maxTokens)
	head := runes(text, 0, room*headBytesPerToken)
	dst = t.appendText(dst, head, room+1, true)
	if len(dst)-start > room || len(head) < len(text) {
		tail := room / 4
		dst = t.appendTail(dst[:min(len(dst), start+room-tail)], text, tail)
	}
	return append(dst, t.suffix...)
}

// room is how many tokens of text fit beside the special ones.
func (t *Tokenizer) room(maxTokens int) int {
	return max(0, maxTokens-len(t.prefix)-len(t.suffix))
}

// appendTail appends the last n tokens of text, or fewer where its end is made
// of very long words.
func (t *Tokenizer) appendTail(dst []int64, text string, n int) []int64 {
	end := runes(text, len(text)-n*tailBytesPerToken, len(text))
	if i := strings.IndexByte(end, ' '); i >= 0 && len(end) < len(text) { // half a word tells nothing
		end = end[i:]
	}
	start := len(dst)
	dst = t.appendText(dst, end, math.MaxInt32, len(end) == len(text))
	extra := max(0, len(dst)-start-n)
	return slices.Delete(dst, start, start+extra)
}

// runes is text[from:to] within its bounds, without the runes that this would
// cut in two. At most three bytes are not enough to begin or to end one.
func runes(text string, from, to int) string {
	from, to = max(0, from), min(len(text), to)
	for n := 0; n < 3 && 0 < from && from < to && !utf8.RuneStart(text[from]); n++ {
		from++
	}
	for n := 0; n < 3 && from < to && to < len(text) && !utf8.RuneStart(text[to]); n++ {
		to--
	}
	return text[from:to]
}

// A piece is a part of the text on its way to become a word.
type piece struct {
	text  []byte
	first bool // it begins where the whole text begins
}

// A scratch is what one call works with. Steps read text or pieces, write
// spare or next, and swap them. It is reused, so no call allocates for long.
type scratch struct {
	raw         []byte // the text, as valid UTF-8
	text, spare []byte // a part of it, normalized more and more
	first       bool   // text begins where the whole text begins
	pieces      []piece
	next        []piece
	arena       []byte // text of pieces that pre-tokenizers changed
	cuts        []cut

	symbols []symbol   // of a word, for BPE
	queue   mergeQueue // and what to merge in it
	nodes   []pathNode // of a word, for Unigram
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxKept bounds the memory that an unusually long text leaves behind.
const maxKept = 64 << 10

// free gives the scratch back, without references to the text.
func (s *scratch) free() {
	if cap(s.raw) > maxKept || cap(s.text) > maxKept || cap(s.spare) > maxKept || cap(s.arena) > maxKept {
		return
	}
	clear(s.pieces[:cap(s.pieces)])
	clear(s.next[:cap(s.next)])
	scratches.Put(s)
}

// write ends a step that wrote its result to spare.
func (s *scratch) write(out []byte) {
	s.text, s.spare = out, s.text
}

// appendText appends at most room tokens of text. first says that the text
// begins here, which some pre-tokenizers mark.
func (t *Tokenizer) appendText(dst []int64, text string, room int, first bool) []int64 {
	s := scratches.Get().(*scratch)
	defer s.free()
	s.raw = appendValid(s.raw[:0], text)
	full := len(dst) + room
	done, scan := 0, 0
	for len(dst) < full {
		m, next, ok := t.verbatim.next(s.raw, scan, done)
		if !ok {
			m.from = len(s.raw)
		}
		if done < m.from {
			s.first = first && done == 0
			dst = t.appendSection(dst, s, s.raw[done:m.from], full)
		}
		if !ok {
			break
		}
		dst = append(dst, m.id)
		done, scan = m.to, next
	}
	return dst[:min(len(dst), full)]
}

// appendSection appends the tokens of what stands between verbatim tokens.
func (t *Tokenizer) appendSection(dst []int64, s *scratch, text []byte, full int) []int64 {
	s.text = append(s.text[:0], text...)
	t.normalize(s)
	done, scan := 0, 0
	for len(dst) < full {
		m, next, ok := t.added.next(s.text, scan, done)
		if !ok {
			m.from = len(s.text)
		}
		if done < m.from {
			dst = t.appendWords(dst, s, piece{text: s.text[done:m.from], first: s.first && done == 0}, full)
		}
		if !ok {
			break
		}
		dst = append(dst, m.id)
		done, scan = m.to, next
	}
	return dst
}

// appendWords cuts normalized text into words and appends their tokens.
func (t *Tokenizer) appendWords(dst []int64, s *scratch, text piece, full int) []int64 {
	for len(text.text) > 0 && len(dst) < full {
		size := t.chunk(text.text)
		s.pieces, s.arena = append(s.pieces[:0], piece{text: text.text[:size], first: text.first}), s.arena[:0]
		text = piece{text: text.text[size:]}
		for _, step := range t.preTokenizers {
			s.next = s.next[:0]
			for _, p := range s.pieces {
				step.split(s, p)
			}
			s.pieces, s.next = s.next, s.pieces
		}
		for _, p := range s.pieces {
			if len(dst) >= full {
				break
			}
			dst = t.model.appendWord(dst, s, p.text, full)
		}
	}
	return dst
}

// chunkBytes is about how much text is cut into words before their tokens are
// counted.
const chunkBytes = 1 << 10

// chunk is how much of text can be cut into words for itself: where the
// pre-tokenizer allows it, up to a space between two letters.
func (t *Tokenizer) chunk(text []byte) int {
	if !t.cutsAtSpaces {
		return len(text)
	}
	for i := chunkBytes; i < len(text)-1; i++ {
		i = indexFrom(text, []byte{' '}, i)
		if i < len(text)-1 && isASCIILetter(text[i-1]) && isASCIILetter(text[i+1]) {
			return i
		}
	}
	return len(text)
}

func isASCIILetter(b byte) bool { return 'a' <= b|0x20 && b|0x20 <= 'z' }

func (t *Tokenizer) normalize(s *scratch) {
	for _, n := range t.normalizers {
		n.normalize(s)
	}
}

// appendValid appends text with U+FFFD for what is no UTF-8: one for each
// maximal subpart of a character (Unicode 3.9, table 3-8), as Python does.
func appendValid(dst []byte, text string) []byte {
	for len(text) > 0 {
		n := validPrefix(text)
		dst = append(dst, text[:n]...)
		if text = text[n:]; text != "" {
			dst = utf8.AppendRune(dst, utf8.RuneError)
			text = text[brokenPrefix(text):]
		}
	}
	return dst
}

func validPrefix(text string) int {
	if utf8.ValidString(text) {
		return len(text)
	}
	n := 0
	for {
		r, size := utf8.DecodeRuneInString(text[n:])
		if r == utf8.RuneError && size <= 1 {
			return n
		}
		n += size
	}
}

// brokenPrefix is the length of the maximal subpart at the start of text: the
// most bytes, and at least one, that some character begins with.
func brokenPrefix(text string) int {
	low, high, want := byte(0x80), byte(0xBF), 0
	switch lead := text[0]; {
	case lead >= 0xC2 && lead <= 0xDF:
		want = 1
	case lead >= 0xE0 && lead <= 0xEF:
		want = 2
		switch lead {
		case 0xE0:
			low = 0xA0
		case 0xED:
			high = 0x9F
		}
	case lead >= 0xF0 && lead <= 0xF4:
		want = 3
		switch lead {
		case 0xF0:
			low = 0x90
		case 0xF4:
			high = 0x8F
		}
	}
	n := 1
	for n <= want && n < len(text) && low <= text[n] && text[n] <= high {
		low, high = 0x80, 0xBF
		n++
	}
	return n
}

// indexFrom is bytes.Index from a position on, and the position it finds, or
// len(text) where there is none.
func indexFrom(text, part []byte, from int) int {
	if i := bytes.Index(text[from:], part); i >= 0 {
		return from + i
	}
	return len(text)
}
