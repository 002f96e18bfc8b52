package payload

import "math"

// Prompt returns the text to classify, in at most limit bytes:
//
//   - of a chat, the content of the user's last message; if that has no text,
//     of the last one of the user's that has; if none has, of the last message
//     of any role that has;
//   - of a completion or an embedding, the prompt or input.
//
// Several texts are joined by line breaks, as vLLM does it; empty ones are
// left out. Token numbers, images, tool calls and tool results have no text,
// and "" means that there is none.
//
// A text that is longer than the limit loses its middle: half of the limit
// holds the beginning, half of it the end, cut where characters begin, with a
// line break between them.
func (r *Request) Prompt(limit int) string {
	if limit <= 0 || r.textSize == 0 {
		return ""
	}
	text := make([]byte, 0, min(limit, r.textSize))
	whole := true
	r.eachText(func(raw []byte) {
		if whole {
			text, whole = join(text, raw, limit)
		}
	})
	if whole {
		return string(text)
	}
	half := (limit - 1) / 2
	text = append(prefix(text, half), '\n')
	return string(append(text, r.promptEnd(limit-1-half)...))
}

// promptEnd returns the last n bytes of the text, or a few less, so that it
// begins where a character does. The text must be longer than that.
//
// It decodes no more of the raw end than it must: mostly a little more than n
// bytes, at worst the six times n that \u0041 takes for one. What is decoded
// too much makes sure that the border of the window is not in the result, as it
// may split a character or a surrogate pair.
func (r *Request) promptEnd(n int) []byte {
	const margin = 8
	for window := n + n/4 + 8*margin; ; window *= 2 {
		end := r.decodeEnd(window)
		if len(end) >= n+margin || window >= r.textSize {
			return suffix(end, n)
		}
	}
}

// decodeEnd decodes the last window raw bytes of the prompt, or a few less. The
// first three bytes may be wrong.
func (r *Request) decodeEnd(window int) []byte {
	end := make([]byte, 0, min(window, r.textSize))
	at := 0 // raw bytes before the text at hand
	r.eachText(func(raw []byte) {
		before := r.textSize - window - at // raw bytes of it before the window
		at += len(raw) + 1
		if before >= len(raw) {
			return
		}
		if before > 0 {
			raw = raw[border(raw, before):]
		}
		end, _ = join(end, raw, math.MaxInt)
	})
	return end
}

// join decodes raw onto the text, behind a line break if it is not the first,
// and reports whether all of it went in.
func join(text, raw []byte, limit int) ([]byte, bool) {
	if len(text) == limit {
		return text, false
	}
	if len(text) > 0 {
		text = append(text, '\n')
	}
	return appendText(text, raw, limit)
}

// eachText calls visit with each raw text of the prompt that is not empty.
func (r *Request) eachText(visit func(raw []byte)) {
	text := r.text.of(r.body)
	if text[0] == '"' {
		visit(text[1 : len(text)-1])
		return
	}
	var index int
	s := scanner{data: text}
	s.content(&index, &texts{visit: visit})
}
