package payload

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/http"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may nest. Model servers give up
// somewhere above it (CPython's json at its recursion limit of about 1000).
const maxDepth = 512

// A scanner goes over a JSON text once and validates it as RFC 8259 has it.
//
// Its methods pass one thing each and leave pos behind it. After a fault pos
// is at the end of the data, so that every loop over members or elements ends
// by itself; the first fault is in err.
type scanner struct {
	data  []byte
	pos   int
	depth int                   // arrays and objects open now
	kinds [maxDepth / 64]uint64 // for skip: bit set where the open thing is an object
	err   *Error

	at      place               // the object being read, for error texts
	shape   Shape               // what was counted so far
	surplus int                 // bytes by which the escapes so far are longer than what they mean
	decoded [longestSymbol]byte // what symbol returns, if it had escapes
}

// fail notes that the data is not JSON: at pos something else was wanted.
func (s *scanner) fail(wanted string) {
	if s.pos >= len(s.data) {
		wanted += ", not its end"
	}
	s.refuse("", fmt.Sprintf("the request body is not valid JSON: at byte %d it must have %s", min(s.pos, len(s.data)), wanted))
}

// refuse notes a fault of the request, unless there is one already.
func (s *scanner) refuse(param, message string) {
	if s.err == nil {
		s.err = &Error{Status: http.StatusBadRequest, Param: param, Message: message}
	}
	s.pos = len(s.data)
}

// peek passes white space and returns the byte behind it, 0 at the end. (A NUL
// in the data is as wrong there as the end is.)
func (s *scanner) peek() byte {
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		if c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c
		}
		s.pos++
	}
	return 0
}

// open passes the opening bracket at pos. It reports whether there is a first
// element; if not, it passes the closing bracket too.
func (s *scanner) open(closing byte) bool {
	if s.depth == maxDepth {
		s.refuse("", fmt.Sprintf("the request body nests deeper than %d levels", maxDepth))
		return false
	}
	s.pos++
	if s.peek() == closing {
		s.pos++
		return false
	}
	s.depth++
	return true
}

// next passes what follows an element. It reports whether that is a comma; if
// not, it is the closing bracket.
func (s *scanner) next(closing byte) bool {
	switch s.peek() {
	case ',':
		s.pos++
		return true
	case closing:
		s.pos++
		s.depth--
	default:
		s.fail("a comma or " + string(rune(closing)))
	}
	return false
}

// end makes sure that nothing but white space is left.
func (s *scanner) end() {
	if s.err == nil && (s.peek() != 0 || s.pos < len(s.data)) {
		s.fail("nothing more")
	}
}

// name passes the name of an object's member and the colon behind it.
func (s *scanner) name() []byte {
	if s.peek() != '"' {
		s.fail("a key in quotes")
		return nil
	}
	raw := s.str()
	if s.peek() != ':' {
		s.fail("a colon")
		return nil
	}
	s.pos++
	return raw
}

// skip passes one value of any kind. It does not recurse: what is open is
// noted in kinds, a bit for each level.
func (s *scanner) skip() {
	outside := s.depth
	for {
		switch c := s.peek(); c {
		case '"':
			s.str()
		case '{':
			if s.open('}') {
				s.kinds[(s.depth-1)/64] |= 1 << ((s.depth - 1) % 64)
				s.name()
				continue
			}
		case '[':
			if s.open(']') {
				s.kinds[(s.depth-1)/64] &^= 1 << ((s.depth - 1) % 64)
				continue
			}
		case 't':
			s.literal("true")
		case 'f':
			s.literal("false")
		case 'n':
			s.literal("null")
		default:
			s.number()
		}
		for {
			if s.err != nil || s.depth == outside {
				return
			}
			if s.kinds[(s.depth-1)/64]&(1<<((s.depth-1)%64)) == 0 {
				if s.next(']') {
					break
				}
			} else if s.next('}') {
				s.name()
				break
			}
		}
	}
}

func (s *scanner) literal(word string) {
	if len(s.data)-s.pos < len(word) || string(s.data[s.pos:s.pos+len(word)]) != word {
		s.fail("a value")
		return
	}
	s.pos += len(word)
}

// number passes a number. What follows it is for the caller to judge.
func (s *scanner) number() {
	d, i := s.data, s.pos
	if i < len(d) && d[i] == '-' {
		i++
	}
	switch {
	case i < len(d) && d[i] == '0':
		i++
	case i < len(d) && '1' <= d[i] && d[i] <= '9':
		i = passDigits(d, i)
	default:
		s.fail("a value")
		return
	}
	if i < len(d) && d[i] == '.' {
		i++
		if i = passDigits(d, i); d[i-1] == '.' {
			s.pos = i
			s.fail("a digit")
			return
		}
	}
	if i < len(d) && d[i]|0x20 == 'e' {
		i++
		if i < len(d) && (d[i] == '+' || d[i] == '-') {
			i++
		}
		first := i
		if i = passDigits(d, i); i == first {
			s.pos = i
			s.fail("a digit")
			return
		}
	}
	s.pos = i
}

func passDigits(d []byte, i int) int {
	for i < len(d) && '0' <= d[i] && d[i] <= '9' {
		i++
	}
	return i
}

// str passes the string that begins at pos, and returns what is between its
// quotes, escapes as they are.
func (s *scanner) str() []byte {
	d, from := s.data, s.pos+1
	for i := from; ; {
		i = passPlain(d, i)
		if i == len(d) {
			s.pos = i
			s.fail("a closing quote")
			return nil
		}
		switch c := d[i]; {
		case c == '"':
			s.pos = i + 1
			return d[from:i]
		case c == '\\':
			n := escapeLen(d[i:])
			if n == 0 {
				s.pos = i
				s.fail("an escape that JSON knows")
				return nil
			}
			s.surplus += n - unescapedLen(d[i:])
			i += n
		case c < ' ':
			s.pos = i
			s.fail("control characters escaped")
			return nil
		default:
			n := runesLen(d[i:])
			if n == 0 {
				s.pos = i
				s.fail("valid UTF-8")
				return nil
			}
			i += n
		}
	}
}

const (
	ones  uint64 = 0x0101010101010101
	highs uint64 = 0x80 * ones
)

// special sets the high bit of the first byte of x, in little-endian order,
// that a string cannot simply hold: a control character, a quote, a backslash,
// or anything beyond ASCII. Bits above that one mean nothing, as the
// subtractions may borrow from there.
//
// Flipping a bit puts the quote at 0x20, next to the control characters, which
// stay below it, and what was at 0x20 behind it: one subtraction finds both.
func special(x uint64) uint64 {
	return (x | ((x ^ ('"'-' ')*ones) - (' '+1)*ones) | ((x ^ '\\'*ones) - ones)) & highs
}

// passPlain returns the position of the first special byte from i on, or
// len(d).
func passPlain(d []byte, i int) int {
	for i+8 <= len(d) {
		if m := special(binary.LittleEndian.Uint64(d[i:])); m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
		for i+32 <= len(d) {
			p := d[i : i+32 : i+32]
			m0, m1 := special(binary.LittleEndian.Uint64(p)), special(binary.LittleEndian.Uint64(p[8:]))
			m2, m3 := special(binary.LittleEndian.Uint64(p[16:])), special(binary.LittleEndian.Uint64(p[24:]))
			if m0|m1|m2|m3 == 0 {
				i += 32
				continue
			}
			switch {
			case m0 != 0:
				return i + bits.TrailingZeros64(m0)/8
			case m1 != 0:
				return i + 8 + bits.TrailingZeros64(m1)/8
			case m2 != 0:
				return i + 16 + bits.TrailingZeros64(m2)/8
			default:
				return i + 24 + bits.TrailingZeros64(m3)/8
			}
		}
	}
	for i < len(d) && ' ' <= d[i] && d[i] < utf8.RuneSelf && d[i] != '"' && d[i] != '\\' {
		i++
	}
	return i
}

// escapeLen returns the length of the escape that d begins with, 0 if JSON has
// no such escape. Each half of a surrogate pair is one.
func escapeLen(d []byte) int {
	if len(d) < 2 {
		return 0
	}
	switch d[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(d) >= 6 && isHex(d[2]) && isHex(d[3]) && isHex(d[4]) && isHex(d[5]) {
			return 6
		}
	}
	return 0
}

// unescapedLen returns how many bytes of UTF-8 the valid escape means that d
// begins with. Each half of a surrogate pair means two of the pair's four.
func unescapedLen(d []byte) int {
	if d[1] != 'u' {
		return 1
	}
	switch r := hexRune(d); {
	case r < 0x80:
		return 1
	case r < 0x800, utf16.IsSurrogate(r):
		return 2
	default:
		return 3
	}
}

// runesLen returns the length of the run of non-ASCII characters that d begins
// with, 0 if the first of them is not valid UTF-8. The common three-byte ones
// are taken without a call.
func runesLen(d []byte) int {
	i := 0
	for i < len(d) && d[i] >= utf8.RuneSelf {
		if i+3 <= len(d) && 0xE1 <= d[i] && d[i] <= 0xEC && d[i+1]&0xC0 == 0x80 && d[i+2]&0xC0 == 0x80 {
			i += 3
			continue
		}
		r, n := utf8.DecodeRune(d[i:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		i += n
	}
	return i
}
