package tokenizer

import (
	"slices"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A combining is a rune with its canonical combining class.
type combining struct {
	r     rune
	class uint8
}

// orderMarks puts each run of marks into canonical order.
func orderMarks(runes []combining) {
	for from := 0; from < len(runes); {
		to := from
		for to < len(runes) && runes[to].class != 0 {
			to++
		}
		slices.SortStableFunc(runes[from:to], func(a, b combining) int { return int(a.class) - int(b.class) })
		from = to + 1
	}
}

// composed joins each starter with the marks after it that none between them
// blocks. It works in place.
func composed(runes []combining) []combining {
	out := runes[:0]
	starter := -1
	for _, c := range runes {
		if starter >= 0 {
			last := out[len(out)-1]
			blocked := len(out)-1 > starter && (last.class >= c.class || last.class == 0)
			if !blocked {
				if r, ok := composePair(out[starter].r, c.r); ok {
					out[starter].r = r
					continue
				}
			}
		}
		if c.class == 0 {
			starter = len(out)
		}
		out = append(out, c)
	}
	return out
}

// composePair is the rune that two runes make, if there is one.
func composePair(a, b rune) (rune, bool) {
	if unicode.In(a, notNormalized, newClasses) || unicode.In(b, notNormalized, newClasses) {
		return 0, false
	}
	var pair, joined [16]byte
	out := norm.NFC.Append(joined[:0], utf8.AppendRune(utf8.AppendRune(pair[:0], a), b)...)
	r, size := utf8.DecodeRune(out)
	return r, size == len(out)
}
