package payload

import (
	"encoding/binary"
	"math/bits"
)

// A finder goes over a JSON object that comes in parts, cut anywhere, and hands
// out the object that is its member "usage", or that of its member named by
// wrapper. It looks at structure only: what stands in strings or deeper inside
// is not taken for usage. An object behind the first is a new one.
//
// It validates nothing. Names must be written without escapes.
type finder struct {
	wrapper string              // member of the outer object to look into as well, if not empty
	found   func(object []byte) // called with each; must not keep it

	depth int // arrays and objects open now
	path  int // how many of them, from outside, may hold usage: none, the object, or also the wrapper

	inString bool
	escaped  bool    // in a string, behind a backslash
	inName   bool    // the string is a name in the innermost object of the path
	name     [9]byte // that name, cut to one more than the longest that matters
	nameLen  int
	member   member // what came of it

	capturing bool
	usage     []byte // the object so far, if it does not exceed maxUsage
}

// A member says which member of the path's innermost object is being read.
type member uint8

const (
	nameComes member = iota // its name is next
	otherMember
	usageMember
	wrapperMember
)

// reset forgets an object that broke off.
func (f *finder) reset() {
	*f = finder{wrapper: f.wrapper, found: f.found, usage: f.usage[:0]}
}

// write takes the next part.
func (f *finder) write(part []byte) {
	from := 0 // where the captured bytes of this part begin
	for i := 0; i < len(part); i++ {
		if f.inString {
			if i = f.passString(part, i); i == len(part) {
				break
			}
			continue
		}
		switch c := part[i]; c {
		case '"':
			f.inString = true
			f.inName = !f.capturing && f.path > 0 && f.depth == f.path && f.member == nameComes
			f.nameLen = 0
		case '{', '[':
			if f.begin(c) {
				from = i
			}
		case '}', ']':
			if f.depth == 0 {
				continue
			}
			f.depth--
			f.path = min(f.path, f.depth)
			if f.capturing && f.depth == f.path {
				f.capture(part[from : i+1])
				f.capturing = false
				if len(f.usage) > 0 {
					f.found(f.usage)
				}
			}
		case ',':
			if f.depth == f.path {
				f.member = nameComes
			}
		}
	}
	if f.capturing {
		f.capture(part[from:])
	}
}

// begin opens an array or object, and reports whether it is the usage.
func (f *finder) begin(bracket byte) bool {
	inPath := f.depth == f.path
	f.depth++
	if !inPath || f.capturing || bracket != '{' {
		return false
	}
	switch {
	case f.depth == 1, f.member == wrapperMember:
		f.path = f.depth
		f.member = nameComes
	case f.member == usageMember:
		f.capturing = true
		f.usage = f.usage[:0]
		return true
	}
	return false
}

// passString goes on in a string at i, and returns the position of its closing
// quote or the end of the part.
func (f *finder) passString(part []byte, i int) int {
	from := i
	if f.escaped {
		f.escaped = false
		i++
	}
	for {
		i = passUnquoted(part, i)
		if i >= len(part) {
			i = len(part)
			break
		}
		if part[i] == '"' {
			f.inString = false
			break
		}
		if i+1 == len(part) {
			f.escaped = true
			i++
			break
		}
		i += 2
	}
	if f.inName {
		f.nameLen += copy(f.name[f.nameLen:], part[from:i])
		if !f.inString {
			f.member = f.memberNamed(f.name[:f.nameLen])
		}
	}
	return i
}

func (f *finder) memberNamed(name []byte) member {
	switch {
	case string(name) == "usage":
		return usageMember
	case f.depth == 1 && f.wrapper != "" && string(name) == f.wrapper:
		return wrapperMember
	default:
		return otherMember
	}
}

// capture keeps some more of the usage object; nothing of one that is too long.
func (f *finder) capture(more []byte) {
	if len(f.usage)+len(more) > maxUsage {
		f.usage = f.usage[:0]
		f.capturing = false
		return
	}
	f.usage = append(f.usage, more...)
}

// passUnquoted returns the position of the first quote or backslash from i on,
// or at least len(d).
func passUnquoted(d []byte, i int) int {
	for i+8 <= len(d) {
		x := binary.LittleEndian.Uint64(d[i:])
		quote, backslash := x^'"'*ones, x^'\\'*ones
		if m := ((quote-ones)&^quote | (backslash-ones)&^backslash) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8
		}
		i += 8
	}
	for i < len(d) && d[i] != '"' && d[i] != '\\' {
		i++
	}
	return i
}
