package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"
)

// An addedToken is found in the text itself, ahead of the model. It counts
// whatever the model would make of its text.
type addedToken struct {
	ID         int32  `json:"-"`
	FileID     int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"` // not next to a letter or digit
	LStrip     bool   `json:"lstrip"`      // eats the white space before it
	RStrip     bool   `json:"rstrip"`      // and after it
	Normalized bool   `json:"normalized"`  // is looked for in the normalized text
	Special    bool   `json:"special"`
}

// addedTokens finds those that are looked for at the same stage.
type addedTokens struct {
	tokens []addedToken
	starts [256]bool
	keys   trie // values are indices of tokens
}

func newAddedTokens(tokens []addedToken) *addedTokens {
	a := &addedTokens{tokens: tokens}
	entries := make([]keyValue, 0, len(tokens))
	for i, token := range tokens {
		if token.Content == "" { // a normalizer may leave nothing of it
			continue
		}
		entries = append(entries, keyValue{key: token.Content, value: int32(i)})
		a.starts[token.Content[0]] = true
	}
	// Where two have the same text, upstream takes the one it read first, and
	// it reads special ones first.
	slices.SortStableFunc(entries, func(x, y keyValue) int {
		if tokens[x.value].Special != tokens[y.value].Special {
			if tokens[x.value].Special {
				return 1
			}
			return -1
		}
		return cmp.Compare(y.value, x.value)
	})
	a.keys = newTrie(entries)
	return a
}

// A match is where an added token stands, with the white space that it eats.
type match struct {
	from, to int
	id       int64
}

// next finds the first added token at or after scan. Text before done is
// spoken for. The answer's second value is where to go on scanning; where there
// is no further token, the third is false.
func (a *addedTokens) next(text []byte, scan, done int) (match, int, bool) {
	if len(a.tokens) == 0 {
		return match{}, len(text), false
	}
	for scan < len(text) {
		if !a.starts[text[scan]] {
			scan++
			continue
		}
		index, size := a.keys.longest(text[scan:])
		if size == 0 {
			scan++
			continue
		}
		token := &a.tokens[index]
		m := match{from: scan, to: scan + size, id: int64(token.ID)}
		scan = m.to
		if token.SingleWord && (endsWithWord(text[:m.from]) || startsWithWord(text[m.to:])) {
			continue
		}
		if token.LStrip {
			m.from = max(done, trimSpaceEnd(text, min(done, m.from), m.from))
		}
		if token.RStrip {
			m.to += leadingSpace(text[m.to:])
		}
		return m, scan, true
	}
	return match{}, len(text), false
}

// trimSpaceEnd is to, moved left over white space, but not beyond from.
func trimSpaceEnd(text []byte, from, to int) int {
	for to > from {
		r, size := utf8.DecodeLastRune(text[from:to])
		if !unicode.IsSpace(r) {
			break
		}
		to -= size
	}
	return to
}

// leadingSpace is how many bytes of white space text begins with.
func leadingSpace(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if !unicode.IsSpace(r) {
			break
		}
		n += size
	}
	return n
}

func endsWithWord(text []byte) bool {
	r, _ := utf8.DecodeLastRune(text)
	return len(text) > 0 && isWordRune(r)
}

func startsWithWord(text []byte) bool {
	r, _ := utf8.DecodeRune(text)
	return len(text) > 0 && isWordRune(r)
}

// isWordRune is \w of UTS #18.
func isWordRune(r rune) bool {
	return isLetter(r) || unicode.In(r, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control, addedNumbers, addedExtends)
}

// loadAdded sorts the added tokens by the stage at which they are looked for.
func (t *Tokenizer) loadAdded(tokens []addedToken) error {
	var errs []error
	var verbatim, normalized []addedToken
	for _, a := range tokens {
		id, inVocab := t.model.id(a.Content)
		switch {
		case a.Content == "":
			errs = append(errs, fmt.Errorf("added token %d is empty", a.FileID))
			continue
		case a.FileID < 0 || a.FileID >= math.MaxInt32:
			errs = append(errs, fmt.Errorf("added token %q has the id %d, which is not a token id", a.Content, a.FileID))
			continue
		case inVocab && int64(id) != a.FileID:
			errs = append(errs, fmt.Errorf("added token %q has the id %d, but %d in the vocab", a.Content, a.FileID, id))
			continue
		}
		a.ID = int32(a.FileID)
		t.size = max(t.size, a.FileID+1)
		if a.Content == "[PAD]" || a.Content == "<pad>" {
			t.pad = a.FileID
		}
		if a.Normalized {
			a.Content = t.normalized(a.Content)
			normalized = append(normalized, a)
		} else {
			verbatim = append(verbatim, a)
		}
	}
	t.verbatim, t.added = newAddedTokens(verbatim), newAddedTokens(normalized)
	return errors.Join(errs...)
}

// normalized is what the normalizer makes of a text.
func (t *Tokenizer) normalized(text string) string {
	s := scratches.Get().(*scratch)
	defer s.free()
	s.text = append(s.text[:0], text...)
	t.normalize(s)
	return string(s.text)
}
