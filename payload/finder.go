package payload

import (
	"encoding/binary"
	"math/bits"
)

// A finder goes over a JSON object that comes in parts, cut anywhere, and hands
// out the object that is its member "usage", or that of the walker's wrapper.
type finder struct {
	walker
	found func(object []byte) // called with each; must not keep it

	capturing bool
	usage     []byte // the object so far, if it does not exceed maxUsage
}

// reset forgets an object that broke off.
func (f *finder) reset() {
	f.walker.reset()
	f.capturing = false
	f.usage = f.usage[:0]
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
			f.quote()
		case '{', '[':
			if c == '{' && f.path > 0 && f.atTarget() {
				from = i
				f.capturing = true
				f.usage = f.usage[:0]
			}
			f.open(c)
		case '}', ']':
			f.close()
			if f.capturing && f.depth == f.path {
				f.capture(part[from : i+1])
				f.capturing = false
				if len(f.usage) > 0 {
					f.found(f.usage)
				}
			}
		case ',':
			f.comma()
		}
	}
	if f.capturing {
		f.capture(part[from:])
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
