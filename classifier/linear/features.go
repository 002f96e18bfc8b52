package linear

import (
	"unicode"
	"unicode/utf8"
)

// A text counts with its head and its tail, where it is longer than both.
const (
	headBytes = 12 << 10
	tailBytes = 4 << 10
)

const (
	shortest, longest = 3, 5   // bytes of a part of a word
	maxWord           = 64     // bytes of a word that are read
	pairSeed          = 0x9E37 // tells pairs of words from words
)

// An Extractor finds the features of texts. It is not for concurrent use.
type Extractor struct {
	hit  []uint64 // a bit for each bucket
	list []uint32 // the buckets that are hit
	word []byte   // between two spaces
}

// NewExtractor returns an Extractor for so many buckets.
func NewExtractor(buckets int) *Extractor {
	return &Extractor{hit: make([]uint64, (buckets+63)/64), list: make([]uint32, 0, 4096), word: make([]byte, 0, maxWord+8)}
}

// Features returns the buckets that text hits, each once, in the order in
// which they come. They are valid until the next call.
func (x *Extractor) Features(text string, buckets int) []uint32 {
	for _, b := range x.list {
		x.hit[b/64] = 0
	}
	x.list = x.list[:0]
	if len(text) <= headBytes+tailBytes {
		x.read(text, buckets)
	} else {
		x.read(text[:headBytes], buckets)
		x.read(text[len(text)-tailBytes:], buckets)
	}
	return x.list
}

// read cuts text into words: runs of letters and digits in lower case, and
// every other rune that is no space.
func (x *Extractor) read(text string, buckets int) {
	var before uint32 // hash of the word before
	x.word = append(x.word[:0], ' ')
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf && ('a' <= r && r <= 'z'):
			x.add(r)
		case r < utf8.RuneSelf && ('A' <= r && r <= 'Z'):
			x.add(r + 'a' - 'A')
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.IsMark(r):
			x.add(unicode.ToLower(r))
		default:
			before = x.endWord(before, buckets)
			if !unicode.IsSpace(r) && !unicode.IsControl(r) {
				x.add(r)
				before = x.endWord(before, buckets)
			}
		}
	}
	x.endWord(before, buckets)
}

func (x *Extractor) add(r rune) {
	if len(x.word) < maxWord {
		x.word = utf8.AppendRune(x.word, r)
	}
}

// endWord adds the features of the word, if there is one, and returns the hash
// of the last word.
func (x *Extractor) endWord(before uint32, buckets int) uint32 {
	if len(x.word) == 1 {
		return before
	}
	x.word = append(x.word, ' ')
	whole := hash(fnvOffset, x.word)
	x.hitBucket(whole, buckets)
	x.hitBucket(before*fnvPrime^whole+pairSeed, buckets)
	if len(x.word) > shortest { // one byte between spaces is the word again
		x.parts(whole, buckets)
	}
	x.word = x.word[:1]
	return whole
}

func (x *Extractor) parts(whole uint32, buckets int) {
	for i := range x.word {
		h := uint32(fnvOffset)
		for n, b := range x.word[i:min(len(x.word), i+longest)] {
			h = (h ^ uint32(b)) * fnvPrime
			if n+1 >= shortest && h != whole {
				x.hitBucket(h, buckets)
			}
		}
	}
}

func (x *Extractor) hitBucket(h uint32, buckets int) {
	b := uint32(uint64(mix(h)) * uint64(buckets) >> 32)
	if x.hit[b/64]&(1<<(b%64)) == 0 {
		x.hit[b/64] |= 1 << (b % 64)
		x.list = append(x.list, b)
	}
}

// FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
const (
	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

func hash(h uint32, word []byte) uint32 {
	for _, b := range word {
		h = (h ^ uint32(b)) * fnvPrime
	}
	return h
}

// mix spreads a hash over all its bits: the finalizer of MurmurHash3.
func mix(h uint32) uint32 {
	h ^= h >> 16
	h *= 0x85EBCA6B
	h ^= h >> 13
	h *= 0xC2B2AE35
	return h ^ h>>16
}
