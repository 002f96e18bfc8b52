package payload

import (
	"bytes"
	"fmt"
)

// readConversation passes the value of messages, prompt or input, and notes
// where it is and which text in it is to be classified, if it is this API's
// conversation.
func (r *Request) readConversation(s *scanner, k key) {
	if !conversationKeys(r.API).has(k) {
		s.skip()
		return
	}
	c := s.peek()
	if c == 'n' && k != keyMessages {
		s.skip()
		return
	}
	if r.conversation != (span{}) {
		s.refuse(keyNames[k], "input and messages must not both be given: model servers disagree about which one counts")
		return
	}
	from := s.pos
	s.at.list = k
	switch {
	case c == '[' && (k == keyMessages || r.API == Responses):
		for more := s.open(']'); more; more = s.next(']') {
			s.at.item++
			r.readMessage(s)
		}
	case c == '[' || c == '"' && k != keyMessages:
		var t texts
		s.content(&s.at.item, &t)
		r.text, r.textSize = span{from, s.pos}, t.size
	case k == keyMessages:
		s.skip()
		s.refuse("messages", "messages must be an array of objects")
	default:
		s.skip()
		s.refuse(keyNames[k], keyNames[k]+" must be a string or an array")
	}
	s.at = place{}
	r.conversation = span{from, s.pos}
}

func conversationKeys(api API) keySet {
	switch api {
	case ChatCompletions, Messages:
		return 1 << keyMessages
	case Completions:
		return 1 << keyPrompt
	case Responses:
		return 1 << keyInput
	case Embeddings:
		return 1<<keyInput | 1<<keyMessages
	default:
		return 0
	}
}

// readMessage passes one message of a chat, or one input item of Responses,
// and keeps its text if it is the last so far that counts: the user's, or
// anybody's while the user has said nothing.
func (r *Request) readMessage(s *scanner) {
	if s.peek() != '{' {
		s.skip()
		s.refuse(s.at.param(keyUnknown), fmt.Sprintf("the elements of %s must be objects", keyNames[s.at.list]))
		return
	}
	user, message := false, true
	var t texts
	var at span
	o := object{matter: messageKeys}
	for more := s.open('}'); more; more = s.next('}') {
		switch s.key(&o) {
		case keyRole:
			user = string(s.symbol(keyRole)) == "user"
		case keyType:
			if r.API != Responses {
				s.skip() // means nothing in a chat message
			} else if kind := s.symbol(keyType); kind != nil {
				message = string(kind) == "message"
			}
		case keyContent:
			s.peek()
			at.from = s.pos
			s.messageContent(&t)
			at.to = s.pos
		default:
			s.skip()
		}
	}
	if message && t.size > 0 && (user || !r.fromUser) {
		r.text, r.textSize, r.fromUser = at, t.size, user
	}
}

// messageContent passes the content of a message: a string, an array or null.
func (s *scanner) messageContent(t *texts) {
	switch s.peek() {
	case 'n':
		s.skip()
	case '"', '[':
		s.content(&s.at.part, t)
		s.at.part = 0
	default:
		s.skip()
		s.refuse(s.at.param(keyContent), "content must be a string, an array or null")
	}
}

// texts takes the texts of one content that are not empty.
type texts struct {
	size  int              // sum of their raw bytes, and one more for each join
	visit func(raw []byte) // called with each, without quotes, its escapes as they are; may be nil
}

func (t *texts) add(raw []byte) {
	if len(raw) == 0 {
		return
	}
	if t.size > 0 {
		t.size++
	}
	t.size += len(raw)
	if t.visit != nil {
		t.visit(raw)
	}
}

// content passes a string, or an array of strings and content parts. Numbers
// and arrays in the array are tokens and no text. index counts the elements.
func (s *scanner) content(index *int, t *texts) {
	if s.peek() == '"' {
		t.add(s.str())
		return
	}
	for more := s.open(']'); more; more = s.next(']') {
		*index++
		switch c := s.peek(); c {
		case '"':
			t.add(s.str())
		case '{':
			t.add(s.part())
		case 't', 'f', 'n':
			s.skip()
			s.refuse(s.at.param(keyUnknown), "this must be a text or a content part")
		default:
			s.skip()
		}
	}
}

// part passes a content part and returns its text, raw. Which member of the
// part that is depends on its type, and the type may come last. The types with
// text are those that vLLM knows (vllm/entrypoints/chat_utils.py); images,
// audio, documents, tool calls and tool results have none.
func (s *scanner) part() []byte {
	var kind, text, refusal, thinking []byte
	notText := false
	o := object{matter: partKeys}
	for more := s.open('}'); more; more = s.next('}') {
		switch s.key(&o) {
		case keyType:
			kind = s.symbol(keyType)
		case keyText:
			notText = s.peek() != '"' && s.peek() != 'n'
			text = s.maybeText()
		case keyRefusal:
			refusal = s.maybeText()
		case keyThinking:
			thinking = s.maybeText()
		default:
			s.skip()
		}
	}
	switch string(kind) {
	case "text", "input_text", "output_text":
		if notText {
			s.refuse(s.at.param(keyText), "text must be a string or null")
		}
		return text
	case "refusal":
		return refusal
	case "thinking":
		return thinking
	default:
		return nil
	}
}

// maybeText passes a value and returns the inside of it if it is a string.
func (s *scanner) maybeText() []byte {
	if s.peek() == '"' {
		return s.str()
	}
	s.skip()
	return nil
}

// longestSymbol is more than the roles and types that we know are long.
const longestSymbol = 16

// symbol passes the value of a key that must be a string or null, and returns
// it decoded and cut to longestSymbol bytes; null is nil. The next call may
// overwrite it.
func (s *scanner) symbol(k key) []byte {
	switch s.peek() {
	case '"':
		raw := s.str()
		if bytes.IndexByte(raw, '\\') < 0 {
			return raw
		}
		decoded, _ := appendText(s.decoded[:0], raw, longestSymbol)
		return decoded
	case 'n':
		s.skip()
		return nil
	default:
		s.skip()
		s.refuse(s.at.param(k), keyNames[k]+" must be a string or null")
		return nil
	}
}
