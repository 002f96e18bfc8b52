package payload

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// appendText decodes raw, the inside of a valid JSON string, onto dst, and
// stops before the character that would make dst longer than limit. It reports
// whether all of raw went in. A lone surrogate becomes U+FFFD.
func appendText(dst, raw []byte, limit int) ([]byte, bool) {
	for len(raw) > 0 {
		plain := bytes.IndexByte(raw, '\\')
		if plain < 0 {
			plain = len(raw)
		}
		if room := limit - len(dst); plain > room {
			return append(dst, prefix(raw[:plain], room)...), false
		}
		dst = append(dst, raw[:plain]...)
		if raw = raw[plain:]; len(raw) == 0 {
			break
		}
		r, n := unescape(raw)
		if len(dst)+utf8.RuneLen(r) > limit {
			return dst, false
		}
		dst = utf8.AppendRune(dst, r)
		raw = raw[n:]
	}
	return dst, true
}

// unescape decodes the valid escape that raw begins with, and returns its
// length too. A surrogate pair is decoded whole.
func unescape(raw []byte) (rune, int) {
	switch c := raw[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		r := hexRune(raw)
		if !utf16.IsSurrogate(r) {
			return r, 6
		}
		if len(raw) >= 12 && raw[6] == '\\' && raw[7] == 'u' {
			if r := utf16.DecodeRune(r, hexRune(raw[6:])); r != utf8.RuneError {
				return r, 12
			}
		}
		return utf8.RuneError, 6
	default:
		return rune(c), 2
	}
}

// hexRune returns the code unit of the \uXXXX that raw begins with.
func hexRune(raw []byte) rune {
	return rune(hexValue(raw[2]))<<12 | rune(hexValue(raw[3]))<<8 | rune(hexValue(raw[4]))<<4 | rune(hexValue(raw[5]))
}

// border returns the first position from i on that is not inside an escape of
// raw. It may be inside a character or between the escapes of a surrogate pair.
func border(raw []byte, i int) int {
	// An escape is at most six bytes long. The last backslash before i begins
	// one if the run of backslashes that it ends has an odd length; otherwise
	// it is itself the escaped character.
	if at := bytes.LastIndexByte(raw[max(0, i-5):i], '\\'); at >= 0 {
		at += max(0, i-5)
		run := at + 1 - len(bytes.TrimRight(raw[:at+1], `\`))
		if run%2 == 1 {
			length := 2
			if raw[at+1] == 'u' {
				length = 6
			}
			i = max(i, at+length)
		}
	}
	return i
}

// prefix returns as much of the valid UTF-8 text as n bytes hold.
func prefix(text []byte, n int) []byte {
	if n >= len(text) {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// suffix returns as much of the end of the valid UTF-8 text as n bytes hold.
func suffix(text []byte, n int) []byte {
	from := max(0, len(text)-n)
	for from < len(text) && !utf8.RuneStart(text[from]) {
		from++
	}
	return text[from:]
}

// appendQuoted appends text as a JSON string. What is not valid UTF-8 becomes
// U+FFFD.
func appendQuoted(dst []byte, text string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			dst = utf8.AppendRune(dst, r)
		}
	}
	return append(dst, '"')
}
