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
		s.shape.Messages, s.shape.UserTurns = 1, 1
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
	from, before := s.pos, s.shape
	who, what := otherRole, messageItem
	var t texts
	var at span
	o := object{matter: messageKeys(r.API)}
	for more := s.open('}'); more; more = s.next('}') {
		switch s.key(&o) {
		case keyRole:
			who = roleOf(s.symbol(keyRole))
		case keyType:
			if r.API != Responses {
				s.skip() // means nothing in a chat message
			} else if kind := s.symbol(keyType); kind != nil {
				what = itemOf(kind)
			}
		case keyContent:
			s.peek()
			at.from = s.pos
			s.messageContent(&t)
			at.to = s.pos
		case keyToolCalls:
			s.shape.ToolBytes += s.value().size()
		case keyOutput:
			s.measure()
		default:
			s.skip()
		}
	}
	switch what {
	case messageItem:
		r.countMessage(s, who, t.size > 0, before)
	case toolCallItem:
		s.shape.ToolBytes += s.pos - from
	case toolResultItem:
		s.shape.ToolResults++
	}
	user := who == userRole
	if what == messageItem && t.size > 0 && (user || !r.fromUser) {
		r.text, r.textSize, r.fromUser = at, t.size, user
	}
}

// countMessage notes the message that was passed just now: whose it is, whether
// it has text, and what was counted before it.
func (r *Request) countMessage(s *scanner, who role, text bool, before Shape) {
	s.shape.Messages++
	switch who {
	case userRole:
		// Anthropic's tool results come as messages of the user's.
		if s.shape.ToolResults == before.ToolResults || text {
			s.shape.UserTurns++
		}
	case toolRole:
		s.shape.ToolResults++
	case systemRole:
		r.lastSystem = s.pos
	}
}

// A role is who wrote a message, as far as that matters.
type role uint8

const (
	otherRole role = iota
	userRole
	systemRole // also OpenAI's newer name for it, developer
	toolRole   // also OpenAI's older name for it, function
)

func roleOf(name []byte) role {
	switch string(name) {
	case "user":
		return userRole
	case "system", "developer":
		return systemRole
	case "tool", "function":
		return toolRole
	default:
		return otherRole
	}
}

// An item is what an input item of Responses is, as far as that matters.
type item uint8

const (
	otherItem item = iota
	messageItem
	toolCallItem
	toolResultItem
)

func itemOf(kind []byte) item {
	switch {
	case string(kind) == "message":
		return messageItem
	case bytes.HasSuffix(kind, []byte("_call")):
		return toolCallItem
	case bytes.HasSuffix(kind, []byte("_call_output")):
		return toolResultItem
	default:
		return otherItem
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
		t.add(s.counted())
		return
	}
	for more := s.open(']'); more; more = s.next(']') {
		*index++
		switch c := s.peek(); c {
		case '"':
			t.add(s.counted())
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
	from := s.pos
	var kind []byte
	var text, refusal, thinking sizedText
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
		case keyContent:
			s.measure() // of a tool result
		default:
			s.skip()
		}
	}
	var told sizedText
	switch {
	case string(kind) == "text", string(kind) == "input_text", string(kind) == "output_text":
		if notText {
			s.refuse(s.at.param(keyText), "text must be a string or null")
		}
		told = text
	case string(kind) == "refusal":
		told = refusal
	case string(kind) == "thinking":
		told = thinking
	case isImage(kind):
		s.shape.Images++
	case bytes.HasSuffix(kind, []byte("tool_result")):
		s.shape.ToolResults++
	case bytes.HasSuffix(kind, []byte("tool_use")):
		s.shape.ToolBytes += s.pos - from
	}
	s.shape.TextBytes += told.size
	return told.raw
}

// maybeText passes a value and returns its text if it is a string.
func (s *scanner) maybeText() sizedText {
	if s.peek() == '"' {
		return s.sized()
	}
	s.skip()
	return sizedText{}
}

// longestSymbol is more than the roles and types that we know are long.
const longestSymbol = 48

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
