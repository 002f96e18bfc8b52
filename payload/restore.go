package payload

import (
	"bytes"
	"slices"
)

// A ModelRestorer puts the name that the client gave its model back into a
// reply that passes by in parts, cut anywhere, where the model server tells the
// name that it was asked for. It does so in a JSON object, or in each event of a
// stream of server-sent events: in the member "model", and in those of
// "response" in events of Responses and of "message" in Anthropic's. Another
// name stays, and so does every other byte. It is not safe for concurrent use.
//
// It never fails, since a reply must not suffer from its being read: what it
// cannot understand passes as it is. It holds back nothing but the beginning of
// such a value at the end of a part, of at most the six bytes that JSON may take
// for each byte of the name.
//
// The length of the reply changes, so a content-length must not go out.
type ModelRestorer struct {
	format format
	events events
	walker walker

	served string // the name to look for
	asked  []byte // the client's, as JSON

	holding bool   // inside a value that may be the name
	held    []byte // what parts before this one had of it
	begins  int    // where it begins in this part, 0 if before

	part []byte // the part at hand
	done int    // how much of it is in out, or replaced
	out  []byte // what goes out in its place, so far
}

// NewModelRestorer returns a restorer for the reply to a request of the given
// API, given the reply's content-type and content-encoding, the name that the
// model server was asked for and the one that the client gave. A compressed
// reply, and one that is neither JSON nor an event stream, stays as it is.
func NewModelRestorer(api API, contentType, contentEncoding, served, asked string) *ModelRestorer {
	m := &ModelRestorer{format: formatOf(contentType, contentEncoding), served: served, asked: appendQuoted(nil, asked)}
	m.walker.target = "model"
	if m.format == asEvents {
		m.walker.wrapper = wrapperOf(api)
	}
	if served == asked {
		m.format = unread
	}
	return m
}

// Rewrite takes the next part of the reply, and returns what is to go out now:
// the part itself where nothing changes, else a new slice, which may be empty.
// It does not keep the part.
func (m *ModelRestorer) Rewrite(part []byte) []byte {
	if m.format == unread {
		return part
	}
	m.part = part
	if m.format == asJSON {
		m.walk(0, len(part))
	} else {
		m.walkEvents()
	}
	if m.holding {
		return m.holdBack()
	}
	if m.done == 0 && len(m.out) == 0 {
		m.part = nil
		return part
	}
	return m.flush(len(part))
}

// End returns what was held back, when the reply ends.
func (m *ModelRestorer) End() []byte {
	m.release()
	return m.flush(0)
}

// flush returns what goes out in place of the part up to the given position.
func (m *ModelRestorer) flush(to int) []byte {
	out := append(m.out, m.part[m.done:to]...)
	m.part, m.done, m.out = nil, 0, nil
	return out
}

var modelMark = []byte(`model"`)

func (m *ModelRestorer) walkEvents() {
	for pos := 0; pos < len(m.part); {
		n, what := m.events.next(m.part[pos:])
		from := pos
		pos += n
		switch what {
		case firstData:
			if !endsEvent(m.part[pos:]) || bytes.Contains(m.part[from:pos], modelMark) {
				m.walk(from, pos)
			}
		case moreData:
			m.walk(from, pos)
		case eventEnd:
			m.release()
			m.walker.reset()
		case framing:
			m.release() // a string goes over no line's end
		}
	}
}

// walk goes over a piece of JSON in the part.
func (m *ModelRestorer) walk(from, to int) {
	w := &m.walker
	for i := from; i < to; i++ {
		if w.inString {
			i = w.passString(m.part[:to], i)
			switch {
			case !m.holding:
			case i < to:
				m.decide(i + 1)
			case len(m.held)+to-m.begins > 6*len(m.served)+1:
				m.release()
			}
			continue
		}
		switch c := m.part[i]; c {
		case '"':
			if w.path > 0 && w.atTarget() {
				m.holding, m.begins = true, i
			}
			w.quote()
		case '{', '[':
			w.open(c)
		case '}', ']':
			w.close()
		case ',':
			w.comma()
		}
	}
}

// decide replaces the value that ends here if it is the name, else lets it go.
func (m *ModelRestorer) decide(end int) {
	value := m.part[m.begins:end]
	if len(m.held) > 0 {
		m.held = append(m.held, value...)
		value = m.held
	}
	if means(value[1:len(value)-1], m.served) {
		m.out = slices.Grow(m.out, len(m.part)+len(m.asked))
		m.out = append(append(m.out, m.part[m.done:m.begins]...), m.asked...)
		m.done, m.held = end, m.held[:0]
	} else if len(m.held) > 0 {
		m.out, m.done, m.held = append(m.out, m.held...), end, m.held[:0]
	}
	m.holding = false
}

// release lets a value go that is not the name, or that broke off.
func (m *ModelRestorer) release() {
	m.out, m.held = append(m.out, m.held...), m.held[:0]
	m.holding = false
}

// holdBack keeps the value at the end of the part, and returns what comes
// before it.
func (m *ModelRestorer) holdBack() []byte {
	m.held = append(m.held, m.part[m.begins:]...)
	out := m.flush(m.begins)
	m.begins = 0
	return out
}

// means reports whether the inside of a string, which need not be valid, is the
// text.
func means(raw []byte, text string) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] == '\\' {
			n := escapeLen(raw[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		}
	}
	decoded, whole := appendText(make([]byte, 0, len(text)), raw, len(text))
	return whole && string(decoded) == text
}
