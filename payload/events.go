package payload

import "bytes"

// events goes over a stream of server-sent events that comes in parts, cut
// anywhere, and tells their data from the rest. It follows
// https://html.spec.whatwg.org/multipage/server-sent-events.html: lines end
// with LF, CRLF or CR, an empty line ends the event, and the data lines of one
// event belong together.
type events struct {
	field   int  // how many bytes of "data:" the line began with so far, or notData
	data    bool // the event has had data
	afterCR bool // a line feed that comes next belongs to the line before
}

const (
	dataField = "data:"
	notData   = -1
)

// A stretch is what some bytes of a stream are.
type stretch uint8

const (
	framing   stretch = iota // names of fields, other fields than data, ends of lines
	firstData                // data that is the first of its event
	moreData                 // data behind that
	eventEnd                 // the end of an event that had data
)

// next takes bytes of one kind from the beginning of the part, which must not
// be empty. It returns how many, and what they are.
func (e *events) next(part []byte) (n int, what stretch) {
	c := part[0]
	if e.afterCR {
		e.afterCR = false
		if c == '\n' {
			return 1, framing
		}
	}
	switch {
	case c == '\n' || c == '\r':
		return 1, e.endLine(c)
	case e.field == len(dataField):
		what = firstData
		if e.data {
			what = moreData
		}
		e.data = true
		return lineLen(part), what
	case e.field == 0 && bytes.HasPrefix(part, []byte(dataField)):
		e.field = len(dataField)
		return len(dataField), framing
	case e.field != notData && c == dataField[e.field]:
		e.field++
		return 1, framing
	default:
		e.field = notData
		return lineLen(part), framing
	}
}

// endLine takes the first byte of a line's end.
func (e *events) endLine(c byte) stretch {
	what := framing
	if e.field == 0 && e.data {
		e.data = false
		what = eventEnd
	}
	e.field = 0
	e.afterCR = c == '\r'
	return what
}

// endsEvent reports whether a line and the event with it end here.
func endsEvent(part []byte) bool {
	return bytes.HasPrefix(part, []byte("\n\n")) || bytes.HasPrefix(part, []byte("\r\n\r\n")) || bytes.HasPrefix(part, []byte("\r\r"))
}

// lineLen returns the length of the line that part begins with, without its
// end, or a length that is less. It looks at no more than a window, so that
// many short lines that end with CR do not each cost a search to the end.
func lineLen(part []byte) int {
	const window = 4096
	part = part[:min(len(part), window)]
	if i := bytes.IndexByte(part, '\n'); i >= 0 {
		part = part[:i]
	}
	if i := bytes.IndexByte(part, '\r'); i >= 0 {
		return i
	}
	return len(part)
}
