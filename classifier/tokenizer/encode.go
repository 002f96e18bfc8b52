package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// How many bytes of text EncodeEnds reads from either end for each token that
// it wants from there. English has about four and a half.
const (
	headBytesPerToken = 64
	tailBytesPerToken = 16
)

// Encode appends the ids of text to dst: the template's special tokens, and
// between them the text's first tokens, so many that no more than maxTokens
// are appended in all. The special tokens come even where maxTokens is too
// small for them. Special tokens written out in the text ("[SEP]") count as
// such, as they do upstream.
func (t *Tokenizer) Encode(dst []int64, text string, maxTokens int) []int64 {
	dst = append(dst, t.prefix...)
	dst = t.appendText(dst, text, t.room(maxTokens))
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
	dst = t.appendText(dst, head, room+1)
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
	dst = t.appendText(dst, end, len(end))
	extra := max(0, len(dst)-start-n)
	return slices.Delete(dst, start, start+extra)
}

// runes is text[from:to] within its bounds, without the runes that this would
// cut in two.
func runes(text string, from, to int) string {
	from, to = max(0, from), min(len(text), to)
	for from < to && !utf8.RuneStart(text[from]) {
		from++
	}
	for to > from && to < len(text) && !utf8.RuneStart(text[to]) {
		to--
	}
	return text[from:to]
}

// appendText appends at most room tokens of text.
func (t *Tokenizer) appendText(dst []int64, text string, room int) []int64 {
	e := encoder{t: t, ids: dst, full: len(dst) + room, word: make([]byte, 0, 64)}
	for i := 0; i < len(text) && len(e.ids) < e.full; {
		b := text[i]
		if t.addedStart[b] {
			if a, ok := t.addedAt(text[i:]); ok {
				e.endWord()
				e.ids = append(e.ids, a.id)
				i += len(a.content)
				continue
			}
		}
		if b < utf8.RuneSelf {
			rule := t.ascii[b]
			e.put(rune(rule.lower), rule.class)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		e.read(r, text[i:i+size])
		i += size
	}
	e.endWord()
	return e.ids[:min(len(e.ids), e.full)]
}

func (t *Tokenizer) addedAt(text string) (addedToken, bool) {
	for _, a := range t.added {
		if strings.HasPrefix(text, a.content) {
			return a, true
		}
	}
	return addedToken{}, false
}

// An encoder collects words and cuts them into pieces.
type encoder struct {
	t     *Tokenizer
	ids   []int64
	full  int    // len(ids) at which to stop
	word  []byte // normalized; no longer than maxWord runes
	runes int    // in word, and those that were too many for it
}

// read normalizes a rune that is not ASCII.
func (e *encoder) read(r rune, encoded string) {
	n := e.t.normalizer
	if n.clean {
		if isControl(r) {
			return
		}
		if unicode.IsSpace(r) {
			e.endWord()
			return
		}
	}
	alone := n.chinese && isChinese(r)
	if alone {
		e.endWord()
	}
	var jamo [9]byte
	if d := e.decompose(r, encoded, &jamo); d != nil {
		for len(d) > 0 {
			part, size := utf8.DecodeRune(d)
			e.normalized(part)
			d = d[size:]
		}
	} else {
		e.normalized(r)
	}
	if alone {
		e.endWord()
	}
}

func (e *encoder) decompose(r rune, encoded string, jamo *[9]byte) []byte {
	if !e.t.normalizer.strip {
		return nil
	}
	return decomposition(encoded, r, jamo)
}

// normalized takes a rune of a decomposition.
func (e *encoder) normalized(r rune) {
	n := e.t.normalizer
	if n.strip && isMark(r) {
		return
	}
	if n.lowercase && r == 'İ' {
		e.put('i', inWord)
		e.put('\u0307', inWord)
		return
	}
	r = n.lower(r)
	e.put(r, classOf(r))
}

// put takes a rune that is ready to be a part of a word.
func (e *encoder) put(r rune, c class) {
	switch c {
	case dropped:
	case space:
		e.endWord()
	case punctuation:
		e.endWord()
		e.add(r)
		e.endWord()
	default:
		e.add(r)
	}
}

func (e *encoder) add(r rune) {
	e.runes++
	if e.runes <= e.t.maxWord {
		e.word = utf8.AppendRune(e.word, r)
	}
}

// endWord cuts the word into the longest pieces that the vocabulary has, from
// the left. A word with a part that it has not is unknown as a whole.
func (e *encoder) endWord() {
	if e.runes == 0 {
		return
	}
	before := len(e.ids)
	known := e.runes <= e.t.maxWord && e.cut()
	if !known {
		e.ids = append(e.ids[:before], e.t.unknown)
	}
	e.word, e.runes = e.word[:0], 0
}

// cut appends the pieces of the word and reports whether they cover it.
func (e *encoder) cut() bool {
	vocab := e.t.words
	for rest := e.word; len(rest) > 0; vocab = e.t.pieces {
		id, size := e.longestPiece(vocab, rest)
		if size == 0 {
			return false
		}
		e.ids = append(e.ids, id)
		rest = rest[size:]
	}
	return true
}

// longestPiece finds the longest prefix of rest in vocab; size 0 means none.
func (e *encoder) longestPiece(vocab map[string]int64, rest []byte) (id int64, size int) {
	for size = min(len(rest), e.t.longest); size > 0; size-- {
		if size < len(rest) && !utf8.RuneStart(rest[size]) {
			continue
		}
		if id, ok := vocab[string(rest[:size])]; ok {
			return id, size
		}
	}
	return 0, 0
}
