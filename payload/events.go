package payload

import "bytes"

// events goes over a stream of server-sent events that comes in parts, cut
// anywhere, and hands their data to a finder. It follows
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

// usageMark is in the data of every event that has usage.
var usageMark = []byte(`usage"`)

// write takes the next part of the stream.
func (e *events) write(part []byte, f *finder) {
	for len(part) > 0 {
		c := part[0]
		if e.afterCR {
			e.afterCR = false
			if c == '\n' {
				part = part[1:]
				continue
			}
		}
		switch {
		case c == '\n' || c == '\r':
			e.endLine(c, f)
			part = part[1:]
		case e.field == len(dataField):
			line := part[:lineLen(part)]
			part = part[len(line):]
			// Most events of a stream are whole in one part and have no usage:
			// a search tells so faster than the finder.
			if e.data || !endsEvent(part) || bytes.Contains(line, usageMark) {
				f.write(line)
			}
			e.data = true
		case e.field == notData:
			part = part[lineLen(part):]
		case c == dataField[e.field]:
			e.field++
			part = part[1:]
		default:
			e.field = notData
		}
	}
}

// endLine takes the first byte of a line's end.
func (e *events) endLine(c byte, f *finder) {
	if e.field == 0 && e.data {
		f.reset()
		e.data = false
	}
	e.field = 0
	e.afterCR = c == '\r'
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
