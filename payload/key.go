package payload

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A key is the name of an object's member that matters to us.
type key uint8

const (
	keyUnknown key = iota
	keyModel
	keyMessages
	keyPrompt
	keyInput
	keyStream
	keyCacheSalt
	keySystem
	keyInstructions
	keyType
	keyRole
	keyContent
	keyText
	keyRefusal
	keyThinking
	keyTools
	keyFunctions
	keyToolCalls
	keyOutput
)

var keyNames = [...]string{"", "model", "messages", "prompt", "input", "stream", "cache_salt", "system", "instructions",
	"type", "role", "content", "text", "refusal", "thinking", "tools", "functions", "tool_calls", "output"}

// longestKey is the length of "instructions".
const longestKey = 12

// The keys that matter in the request, in a message or input item, and in a
// content part.
const (
	requestKeys = keySet(1<<keyModel | 1<<keyMessages | 1<<keyPrompt | 1<<keyInput | 1<<keyStream | 1<<keyCacheSalt |
		1<<keySystem | 1<<keyInstructions | 1<<keyTools | 1<<keyFunctions)
	chatKeys = keySet(1<<keyType | 1<<keyRole | 1<<keyContent | 1<<keyToolCalls)
	itemKeys = keySet(1<<keyType | 1<<keyRole | 1<<keyContent | 1<<keyOutput)
	partKeys = keySet(1<<keyType | 1<<keyText | 1<<keyRefusal | 1<<keyThinking | 1<<keyContent)
)

func messageKeys(api API) keySet {
	if api == Responses {
		return itemKeys
	}
	return chatKeys
}

type keySet uint32

func (s keySet) has(k key) bool { return s&(1<<k) != 0 }

// An object is what one object's keys are checked against.
type object struct {
	matter keySet // keys to tell apart from the rest
	seen   keySet // those that were there
}

// key passes the next key of the object. It returns keyUnknown for one that
// does not matter, and refuses one that a model server might take for another.
func (s *scanner) key(o *object) key {
	k, exact := keyOf(s.name())
	switch {
	case !o.matter.has(k):
		return keyUnknown
	case !exact:
		s.refuse(s.at.param(k), otherSpelling(keyNames[k]))
	case o.seen.has(k):
		s.refuse(s.at.param(k), twice(keyNames[k]))
	}
	o.seen |= 1 << k
	return k
}

func otherSpelling(name string) string {
	return fmt.Sprintf("the key %q must be written exactly so: model servers disagree about other spellings", name)
}

func twice(name string) string {
	return fmt.Sprintf("the key %q must not appear twice in one object: model servers disagree about which one counts", name)
}

// sameKey reports whether some reader takes the raw name for the given one, and
// whether all readers do. It sees other spellings as keyOf does, for any name.
func sameKey(raw []byte, name string) (same, exact bool) {
	if string(raw) == name {
		return true, true
	}
	plain := true
	for _, c := range raw {
		plain = plain && c != '\\' && c < utf8.RuneSelf
	}
	if plain && len(raw) != len(name) {
		return false, false
	}
	var buf [64]byte
	// The Kelvin sign is three times as long as the letter that it folds to.
	text, whole := appendText(buf[:0], raw, 3*len(name)+1)
	if whole && string(text) == name {
		return true, true
	}
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text, whole = text[:i], true
	}
	return whole && strings.EqualFold(string(text), name), false
}

// keyOf returns the key that some reader takes the raw name for, and whether
// all readers do.
func keyOf(raw []byte) (k key, exact bool) {
	if k := keyNamed(raw); k != keyUnknown {
		return k, true
	}
	for _, c := range raw {
		if c == '\\' || c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return foldedKey(raw)
		}
	}
	return keyUnknown, true
}

// foldedKey decodes and folds the raw name as encoding/json does, and ends it
// at a NUL as a C string ends.
func foldedKey(raw []byte) (k key, exact bool) {
	var name [longestKey + 1]byte
	n := 0
	for exact = true; len(raw) > 0 && n < len(name); n++ {
		var r rune
		var size int
		if raw[0] == '\\' {
			r, size = unescape(raw)
		} else {
			r, size = utf8.DecodeRune(raw)
		}
		raw = raw[size:]
		switch {
		case r == 0:
			return keyNamed(name[:n]), false
		case 'A' <= r && r <= 'Z':
			r, exact = r|0x20, false
		case r == '\u017F': // long s
			r, exact = 's', false
		case r == '\u212A': // Kelvin sign
			r, exact = 'k', false
		case r >= utf8.RuneSelf:
			return keyUnknown, true
		}
		name[n] = byte(r)
	}
	return keyNamed(name[:n]), exact
}

func keyNamed(name []byte) key {
	switch string(name) {
	case "role":
		return keyRole
	case "content":
		return keyContent
	case "type":
		return keyType
	case "text":
		return keyText
	case "model":
		return keyModel
	case "messages":
		return keyMessages
	case "prompt":
		return keyPrompt
	case "input":
		return keyInput
	case "stream":
		return keyStream
	case "cache_salt":
		return keyCacheSalt
	case "system":
		return keySystem
	case "instructions":
		return keyInstructions
	case "refusal":
		return keyRefusal
	case "thinking":
		return keyThinking
	case "tools":
		return keyTools
	case "functions":
		return keyFunctions
	case "tool_calls":
		return keyToolCalls
	case "output":
		return keyOutput
	}
	return keyUnknown
}

// A place says which object of the request is being read. Its indexes count
// from 1, and 0 means that the place is further out.
type place struct {
	list key // messages, input or prompt
	item int // of the list
	part int // of the item's content
}

// param names the key k at this place, as in messages[0].content[2].text.
func (p place) param(k key) string {
	if p.item == 0 {
		return keyNames[k]
	}
	s := fmt.Sprintf("%s[%d]", keyNames[p.list], p.item-1)
	if p.part > 0 {
		s += fmt.Sprintf(".content[%d]", p.part-1)
	}
	if k != keyUnknown {
		s += "." + keyNames[k]
	}
	return s
}
