package payload

import (
	"bytes"
	"slices"
)

// between separates the system prompt from the client's.
const between = "\n\n"

func (ed *editor) setSystemPrompt(p *SystemPrompt) {
	if p.Text == "" || ed.err != nil {
		return
	}
	if k := systemKey(ed.request.API); k != keyUnknown {
		f := ed.field(keyNames[k])
		if value := ed.value(f); value == nil || !p.Prepend {
			f.set = appendQuoted(nil, p.Text)
		} else if s, ok := ed.prepend(value, p.Text, k); ok {
			ed.change(f, s)
		}
	}
	switch {
	case !p.Prepend:
		ed.replaceMessages(p.Text)
	case ed.request.API == ChatCompletions:
		ed.prependMessage(p.Text)
	}
}

// replaceMessages removes the system's messages from the conversation. If that
// is a chat, it gets a new one.
func (ed *editor) replaceMessages(text string) {
	r := ed.request
	chat := r.API == ChatCompletions
	if r.lastSystem == 0 {
		if chat {
			ed.addMessage(text, ed.hasMessages())
		}
		return
	}
	if whole := (span{r.conversation.from + 1, r.lastSystem}); chat && bytes.Equal(whole.of(r.body), systemMessage(text)) {
		return // it is ours
	}
	s, more := ed.messages()
	c := cutter{editor: ed}
	for ; more; more = s.next(']') {
		s.peek()
		from := s.pos
		system, _ := s.systemMessage(r.API)
		c.pass(span{from, s.pos}, system)
		if from > r.lastSystem {
			break
		}
	}
	c.end()
	if chat {
		ed.addMessage(text, c.kept != (span{}))
	}
}

// prependMessage puts the text into the system's first message of a chat.
func (ed *editor) prependMessage(text string) {
	r := ed.request
	if r.lastSystem == 0 {
		ed.addMessage(text, ed.hasMessages())
		return
	}
	s, more := ed.messages()
	for ; more; more = s.next(']') {
		s.peek()
		from := s.pos
		system, content := s.systemMessage(r.API)
		if !system {
			continue
		}
		if content == (span{}) {
			added := append(pair("content", appendQuoted(nil, text)), ',')
			ed.splices = append(ed.splices, splice{span{from + 1, from + 1}, added})
		} else if value := content.of(r.body); string(value) == "null" {
			ed.splices = append(ed.splices, splice{content, appendQuoted(nil, text)})
		} else if sp, ok := ed.prepend(value, text, keyContent); ok {
			sp.from += content.from
			sp.to += content.from
			ed.splices = append(ed.splices, sp)
		}
		return
	}
}

// messages begins to read the conversation again. It reports whether that has
// a first message.
func (ed *editor) messages() (s *scanner, more bool) {
	s = &scanner{data: ed.request.body, pos: ed.request.conversation.from}
	return s, s.open(']')
}

func (ed *editor) hasMessages() bool { return ed.request.Shape.Messages > 0 }

// systemMessage passes a message that was found good before. It reports whether
// the message is the system's, and where its content is, if there is any.
func (s *scanner) systemMessage(api API) (system bool, content span) {
	who, what := otherRole, messageItem
	o := object{matter: messageKeys(api)}
	for more := s.open('}'); more; more = s.next('}') {
		switch s.key(&o) {
		case keyRole:
			who = roleOf(s.symbol(keyRole))
		case keyType:
			if api != Responses {
				s.skip()
			} else if kind := s.symbol(keyType); kind != nil {
				what = itemOf(kind)
			}
		case keyContent:
			content = s.value()
		default:
			s.skip()
		}
	}
	return who == systemRole && what == messageItem, content
}

// addMessage makes the text the first message of a chat, before others or not.
// A chat without messages stays as it is.
func (ed *editor) addMessage(text string, others bool) {
	r := ed.request
	if r.conversation == (span{}) {
		return
	}
	message := systemMessage(text)
	if others {
		message = append(message, ',')
	}
	at := r.conversation.from + 1
	ed.splices = append(ed.splices, splice{span{at, at}, message})
}

func systemMessage(text string) []byte {
	return slices.Concat([]byte(`{"role":"system",`), pair("content", appendQuoted(nil, text)), []byte("}"))
}

// prepend puts the text before the one in a content, which is a string or an
// array of parts. It reports whether that is needed. The positions in the
// splice count from the beginning of the content.
func (ed *editor) prepend(content []byte, text string, k key) (s splice, needed bool) {
	switch content[0] {
	case '"':
		return prependString(content[1:len(content)-1], text)
	case '[':
		s, needed, err := prependPart(content, text, k)
		if err != nil && ed.err == nil {
			ed.err = err
		}
		return s, needed
	default:
		ed.refuse(keyNames[k], keyNames[k]+" must be a string, an array or null")
		return splice{}, false
	}
}

func prependString(raw []byte, text string) (s splice, needed bool) {
	begins, whole := appendText(make([]byte, 0, len(text)+len(between)), raw, len(text)+len(between))
	if whole && string(begins) == text || string(begins) == text+between {
		return splice{}, false
	}
	if len(raw) > 0 {
		text += between
	}
	quoted := appendQuoted(nil, text)
	return splice{span{1, 1}, quoted[1 : len(quoted)-1]}, true
}

func prependPart(parts []byte, text string, k key) (sp splice, needed bool, err *Error) {
	added := slices.Concat([]byte(`{"type":"text",`), pair("text", appendQuoted(nil, text)), []byte("}"))
	s := scanner{data: parts, at: place{list: k, item: 1}}
	if s.open(']') {
		added = append(added, ',')
		var first []byte
		switch s.peek() {
		case '"':
			first = s.str()
		case '{':
			first = s.part()
		}
		decoded, whole := appendText(nil, first, len(text))
		if s.err != nil || whole && string(decoded) == text {
			return splice{}, false, s.err
		}
	}
	return splice{span{1, 1}, added}, true, nil
}
