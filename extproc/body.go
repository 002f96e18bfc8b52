package extproc

import "errors"

var (
	errTooLarge   = errors.New("request body over the limit")
	errBufferFull = errors.New("request buffer budget used up")
)

// growth bounds what a client gets reserved by announcing a length: at most
// this many times what it has sent.
const growth = 4

// A body gathers the messages of a request body. A body of one message is that
// message's bytes, not a copy; further messages are appended to a buffer that
// grows towards the announced length, in one step for ordinary sizes.
type body struct {
	bytes    []byte
	reserved int64 // of the budget
	messages int   // that it came in, empty ones included
}

// add takes in one message. announced is the content-length, unknownLength
// when there is none. It returns errTooLarge or errBufferFull.
func (b *body) add(part []byte, announced, limit int64, from *budget) error {
	b.messages++
	if len(part) == 0 {
		return nil
	}
	size := int64(len(b.bytes) + len(part))
	if size > limit {
		return errTooLarge
	}
	if len(b.bytes) == 0 {
		if !from.reserve(size) {
			return errBufferFull
		}
		b.bytes, b.reserved = part[:len(part):len(part)], size
		return nil
	}
	if size > int64(cap(b.bytes)) && !b.grow(size, capacityFor(size, announced, limit), from) {
		return errBufferFull
	}
	b.bytes = append(b.bytes, part...)
	return nil
}

// capacityFor is the room to make for a body that has come to size bytes.
func capacityFor(size, announced, limit int64) int64 {
	if announced >= size {
		return min(announced, growth*size)
	}
	return min(2*size, limit)
}

// grow moves the bytes to a buffer of the wanted capacity, or of what is
// needed where the budget has no more; false when it has not even that.
func (b *body) grow(needed, wanted int64, from *budget) bool {
	if !from.reserve(wanted - b.reserved) {
		if wanted = needed; !from.reserve(wanted - b.reserved) {
			return false
		}
	}
	grown := make([]byte, len(b.bytes), wanted)
	copy(grown, b.bytes)
	b.bytes, b.reserved = grown, wanted
	return true
}

// free forgets the bytes and gives the budget back. It may be called again.
func (b *body) free(to *budget) {
	to.release(b.reserved)
	b.bytes, b.reserved = nil, 0
}
