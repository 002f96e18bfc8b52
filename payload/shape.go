package payload

// A Shape says what a request is made of, without any of its text.
type Shape struct {
	Messages    int // messages of a chat, or input items that are messages; a lone prompt or input is one
	UserTurns   int // messages of the user's that are not just tool results
	Tools       int // tools that the model may call
	ToolResults int // results of their calls
	Images      int // image parts, also those in tool results

	// TextBytes is the size of all texts that the model reads, in UTF-8: of
	// messages of every role, tool results, and the system prompt. A lone
	// surrogate counts as two bytes.
	TextBytes int
	// ToolBytes is the size of the JSON of tool definitions and tool calls.
	ToolBytes int
}

// readTools passes the value of tools or functions.
func (r *Request) readTools(s *scanner, k key) {
	if s.peek() != '[' {
		s.skip()
		return
	}
	from := s.pos
	for more := s.open(']'); more; more = s.next(']') {
		s.skip()
		s.shape.Tools++
	}
	s.shape.ToolBytes += s.pos - from
	if k == keyTools {
		r.tools = span{from, s.pos}
	}
}

// A sizedText is the inside of a string, its escapes as they are, and how many
// bytes of UTF-8 it means.
type sizedText struct {
	raw  []byte
	size int
}

// sized passes the string at pos.
func (s *scanner) sized() sizedText {
	before := s.surplus
	raw := s.str()
	return sizedText{raw, len(raw) - (s.surplus - before)}
}

// counted passes the string at pos, counts it as text and returns its inside.
func (s *scanner) counted() []byte {
	t := s.sized()
	s.shape.TextBytes += t.size
	return t.raw
}

// measure passes any value, and counts the text and the images in it: of a
// string, or of an array of content parts. What has another form has none; it
// is not for us to judge.
func (s *scanner) measure() {
	switch s.peek() {
	case '"':
		s.counted()
	case '[':
		for more := s.open(']'); more; more = s.next(']') {
			switch s.peek() {
			case '"':
				s.counted()
			case '{':
				s.measurePart()
			default:
				s.skip()
			}
		}
	default:
		s.skip()
	}
}

func (s *scanner) measurePart() {
	for more := s.open('}'); more; more = s.next('}') {
		name := s.name()
		if s.peek() != '"' {
			s.skip()
			continue
		}
		value := s.sized()
		switch string(name) {
		case "text":
			s.shape.TextBytes += value.size
		case "type":
			if isImage(value.raw) {
				s.shape.Images++
			}
		}
	}
}

// isImage tells the types of image parts: those of the APIs, and vLLM's own
// (vllm/entrypoints/chat_utils.py).
func isImage(kind []byte) bool {
	switch string(kind) {
	case "image_url", "input_image", "image", "image_pil", "image_embeds":
		return true
	default:
		return false
	}
}
