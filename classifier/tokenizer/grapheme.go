package tokenizer

import (
	"unicode"
	"unicode/utf8"
)

// A breakClass is a rune's Grapheme_Cluster_Break property (UAX #29), as far
// as it matters for graphemes that a rule of [precompiled] can match.
type breakClass uint8

const (
	breakOther breakClass = iota
	breakCR
	breakLF
	breakControl
	breakExtend
	breakJoiner
	breakSpacingMark
	breakPrepend
	breakRegional
	breakPictograph
	breakL
	breakV
	breakT
	breakLV
	breakLVT
)

// grapheme is the length of the first extended grapheme cluster of text, by
// the rules GB3 to GB13 without GB9c: conjuncts are too long for any rule, and
// so are their parts.
func grapheme(text []byte) int {
	r, n := utf8.DecodeRune(text)
	last := breakClassOf(r)
	pictograph := last == breakPictograph // and nothing but Extend after it
	regional := 0
	if last == breakRegional {
		regional = 1
	}
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		c := breakClassOf(r)
		joined := last == breakJoiner && pictograph && c == breakPictograph ||
			last == breakRegional && c == breakRegional && regional%2 == 1
		if !joined && !joins(last, c) {
			break
		}
		switch c {
		case breakPictograph:
			pictograph = true
		case breakExtend, breakJoiner:
			pictograph = pictograph && last != breakJoiner
		default:
			pictograph = false
		}
		if c == breakRegional {
			regional++
		}
		last = c
		n += size
	}
	return n
}

// joins tells the rules that need to know two runes only.
func joins(a, b breakClass) bool {
	switch a {
	case breakCR:
		return b == breakLF
	case breakLF, breakControl:
		return false
	}
	switch b {
	case breakCR, breakLF, breakControl:
		return false
	case breakExtend, breakJoiner, breakSpacingMark:
		return true
	case breakL, breakLV, breakLVT:
		return a == breakL || a == breakPrepend
	case breakV:
		return a == breakL || a == breakV || a == breakLV || a == breakPrepend
	case breakT:
		return a == breakV || a == breakT || a == breakLV || a == breakLVT || a == breakPrepend
	}
	return a == breakPrepend
}

func breakClassOf(r rune) breakClass {
	switch {
	case r == '\r':
		return breakCR
	case r == '\n':
		return breakLF
	case r >= ' ' && r < 0x7F:
		return breakOther
	case r == 0x200D:
		return breakJoiner
	case r >= 0x1F1E6 && r <= 0x1F1FF:
		return breakRegional
	case r >= 0x1F3FB && r <= 0x1F3FF, r == 0x200C, r >= 0xE0020 && r <= 0xE007F, unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Grapheme_Extend, addedExtends):
		return breakExtend
	case unicode.Is(prepends, r):
		return breakPrepend
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp), r >= 0xE0000 && r <= 0xE0FFF, r >= 0xFFF0 && r <= 0xFFF8, r == 0x2065:
		return breakControl
	case r == 0xE33, r == 0xEB3, unicode.Is(unicode.Mc, r) && !unicode.Is(notSpacing, r):
		return breakSpacingMark
	case unicode.Is(pictographs, r):
		return breakPictograph
	}
	return hangulClass(r)
}

func hangulClass(r rune) breakClass {
	switch {
	case r >= 0x1100 && r <= 0x115F, r >= 0xA960 && r <= 0xA97C:
		return breakL
	case r >= 0x1160 && r <= 0x11A7, r >= 0xD7B0 && r <= 0xD7C6:
		return breakV
	case r >= 0x11A8 && r <= 0x11FF, r >= 0xD7CB && r <= 0xD7FB:
		return breakT
	case r >= 0xAC00 && r <= 0xD7A3 && (r-0xAC00)%28 == 0:
		return breakLV
	case r >= 0xAC00 && r <= 0xD7A3:
		return breakLVT
	}
	return breakOther
}

// addedExtends are marks of Unicode 16 and 17, which upstream knows.
var addedExtends = &unicode.RangeTable{
	R16: []unicode.Range16{{0x897, 0x897, 1}, {0x1ACF, 0x1ADD, 1}, {0x1AE0, 0x1AEB, 1}},
	R32: []unicode.Range32{
		{0x10D69, 0x10D6D, 1}, {0x10EFA, 0x10EFC, 1}, {0x113B8, 0x113C0, 1}, {0x113C2, 0x113C2, 1}, {0x113C5, 0x113C5, 1},
		{0x113C7, 0x113CA, 1}, {0x113CC, 0x113D0, 1}, {0x113D2, 0x113D2, 1}, {0x113E1, 0x113E2, 1}, {0x11B60, 0x11B67, 1},
		{0x11F5A, 0x11F5A, 1}, {0x1611E, 0x1612F, 1}, {0x1E5EE, 0x1E5EF, 1}, {0x1E6E3, 0x1E6E3, 1}, {0x1E6E6, 0x1E6E6, 1},
		{0x1E6EE, 0x1E6EF, 1}, {0x1E6F5, 0x1E6F5, 1},
	},
}

// prepends have Grapheme_Cluster_Break Prepend.
var prepends = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x600, 0x605, 1}, {0x6DD, 0x6DD, 1}, {0x70F, 0x70F, 1}, {0x890, 0x891, 1}, {0x8E2, 0x8E2, 1}, {0xD4E, 0xD4E, 1},
	},
	R32: []unicode.Range32{
		{0x110BD, 0x110BD, 1}, {0x110CD, 0x110CD, 1}, {0x111C2, 0x111C3, 1}, {0x1193F, 0x1193F, 1}, {0x11941, 0x11941, 1},
		{0x11A3A, 0x11A3A, 1}, {0x11A84, 0x11A89, 1}, {0x11D46, 0x11D46, 1}, {0x11F02, 0x11F02, 1},
	},
}

// notSpacing are spacing marks that nevertheless begin a grapheme.
var notSpacing = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x102B, 0x102C, 1}, {0x1038, 0x1038, 1}, {0x1062, 0x1064, 1}, {0x1067, 0x106D, 1}, {0x1083, 0x1083, 1},
		{0x1087, 0x108C, 1}, {0x108F, 0x108F, 1}, {0x109A, 0x109C, 1}, {0x1A61, 0x1A61, 1}, {0x1A63, 0x1A64, 1},
		{0xAA7B, 0xAA7B, 1}, {0xAA7D, 0xAA7D, 1},
	},
	R32: []unicode.Range32{{0x11720, 0x11721, 1}},
}

// pictographs are Extended_Pictographic: in the BMP those of few enough bytes
// to matter, elsewhere the blocks of emoji.
var pictographs = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0xA9, 0xA9, 1}, {0xAE, 0xAE, 1}, {0x203C, 0x203C, 1}, {0x2049, 0x2049, 1}, {0x2122, 0x2122, 1}, {0x2139, 0x2139, 1},
		{0x2194, 0x2199, 1}, {0x21A9, 0x21AA, 1}, {0x231A, 0x231B, 1}, {0x2328, 0x2328, 1}, {0x2388, 0x2388, 1},
		{0x23CF, 0x23CF, 1}, {0x23E9, 0x23F3, 1}, {0x23F8, 0x23FA, 1}, {0x24C2, 0x24C2, 1}, {0x25AA, 0x25AB, 1},
		{0x25B6, 0x25B6, 1}, {0x25C0, 0x25C0, 1}, {0x25FB, 0x25FE, 1}, {0x2600, 0x2605, 1}, {0x2607, 0x2612, 1},
		{0x2614, 0x2685, 1}, {0x2690, 0x2705, 1}, {0x2708, 0x2712, 1}, {0x2714, 0x2714, 1}, {0x2716, 0x2716, 1},
		{0x271D, 0x271D, 1}, {0x2721, 0x2721, 1}, {0x2728, 0x2728, 1}, {0x2733, 0x2734, 1}, {0x2744, 0x2744, 1},
		{0x2747, 0x2747, 1}, {0x274C, 0x274C, 1}, {0x274E, 0x274E, 1}, {0x2753, 0x2755, 1}, {0x2757, 0x2757, 1},
		{0x2763, 0x2767, 1}, {0x2795, 0x2797, 1}, {0x27A1, 0x27A1, 1}, {0x27B0, 0x27B0, 1}, {0x27BF, 0x27BF, 1},
		{0x2934, 0x2935, 1}, {0x2B05, 0x2B07, 1}, {0x2B1B, 0x2B1C, 1}, {0x2B50, 0x2B50, 1}, {0x2B55, 0x2B55, 1},
		{0x3030, 0x3030, 1}, {0x303D, 0x303D, 1}, {0x3297, 0x3297, 1}, {0x3299, 0x3299, 1},
	},
	R32: []unicode.Range32{
		{0x1F000, 0x1F0FF, 1}, {0x1F10D, 0x1F10F, 1}, {0x1F12F, 0x1F12F, 1}, {0x1F16C, 0x1F171, 1}, {0x1F17E, 0x1F17F, 1},
		{0x1F18E, 0x1F18E, 1}, {0x1F191, 0x1F19A, 1}, {0x1F1AD, 0x1F1E5, 1}, {0x1F201, 0x1F20F, 1}, {0x1F21A, 0x1F21A, 1},
		{0x1F22F, 0x1F22F, 1}, {0x1F232, 0x1F23A, 1}, {0x1F23C, 0x1F23F, 1}, {0x1F249, 0x1F3FA, 1}, {0x1F400, 0x1F53D, 1},
		{0x1F546, 0x1F64F, 1}, {0x1F680, 0x1F6FF, 1}, {0x1F774, 0x1F77F, 1}, {0x1F7D5, 0x1F7FF, 1}, {0x1F80C, 0x1F80F, 1},
		{0x1F848, 0x1F84F, 1}, {0x1F85A, 0x1F85F, 1}, {0x1F888, 0x1F88F, 1}, {0x1F8AE, 0x1F8FF, 1}, {0x1F90C, 0x1F93A, 1},
		{0x1F93C, 0x1F945, 1}, {0x1F947, 0x1FAFF, 1}, {0x1FC00, 0x1FFFD, 1},
	},
}
