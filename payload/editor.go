package payload

import (
	"bytes"
	"cmp"
	"net/http"
	"slices"
)

// An editor notes what is to be changed in the body of a request. The fields at
// the top of the body that are to be looked at are named first, and found in
// one pass.
type editor struct {
	request *Request
	fields  []field
	splices []splice
	err     *Error
}

// A field is a member of the request.
type field struct {
	name  string
	at    span   // where the client's value is
	block bool   // the client's is removed
	set   []byte // what takes its place, if not nil
}

// A splice puts text in the place of a span, which may be empty.
type splice struct {
	span
	text []byte
}

// refuse notes a fault of the request, unless there is one already.
func (ed *editor) refuse(param, message string) {
	if ed.err == nil {
		ed.err = &Error{Status: http.StatusBadRequest, Param: param, Message: message}
	}
}

// add returns the field with the name, and makes it if there is none. It may
// move the others.
func (ed *editor) add(name string) *field {
	if f := ed.field(name); f != nil {
		return f
	}
	ed.fields = append(ed.fields, field{name: name})
	return &ed.fields[len(ed.fields)-1]
}

// field returns the field with the name, or nil.
func (ed *editor) field(name string) *field {
	for i := range ed.fields {
		if ed.fields[i].name == name {
			return &ed.fields[i]
		}
	}
	return nil
}

// value returns the value that the field has so far, nil if it is null or
// absent.
func (ed *editor) value(f *field) []byte {
	value := f.set
	if value == nil && !f.block {
		value = f.at.of(ed.request.body)
	}
	if len(value) == 0 || string(value) == "null" {
		return nil
	}
	return value
}

// read finds the fields in the body, and removes those that are blocked.
func (ed *editor) read() {
	r := ed.request
	known := [2]span{r.conversation, r.tools}
	s := scanner{data: r.body}
	s.peek()
	c := cutter{editor: ed}
	for more := s.open('}'); more; more = s.next('}') {
		s.peek()
		from := s.pos
		f := ed.fieldOf(s.name())
		at := s.valueOr(known[:])
		block := false
		if f != nil {
			if f.at != (span{}) {
				ed.refuse(f.name, twice(f.name))
			}
			f.at, block = at, f.block
		}
		c.pass(span{from, s.pos}, block)
	}
	c.end()
}

// fieldOf returns the field that has the raw name, or nil.
func (ed *editor) fieldOf(raw []byte) *field {
	for i := range ed.fields {
		f := &ed.fields[i]
		same, exact := sameKey(raw, f.name)
		if !same {
			continue
		}
		if !exact {
			ed.refuse(f.name, otherSpelling(f.name))
		}
		return f
	}
	return nil
}

// change notes a splice in the value of a field, with positions that count from
// the beginning of that value.
func (ed *editor) change(f *field, s splice) {
	if f.set != nil {
		f.set = slices.Concat(f.set[:s.from], s.text, f.set[s.to:])
		return
	}
	s.from += f.at.from
	s.to += f.at.from
	ed.splices = append(ed.splices, s)
}

// manyParts is how many parts a body may have before it is worth a copy.
const manyParts = 64

// parts returns the body with the splices, the fields that were set, and the
// model. Fields that were not there come behind the model, since it is there
// always.
func (ed *editor) parts(model string) [][]byte {
	r := ed.request
	var more []byte
	for _, f := range ed.fields {
		switch {
		case f.set == nil:
		case f.block || f.at == (span{}):
			more = append(append(more, ','), pair(f.name, f.set)...)
		default:
			ed.splices = append(ed.splices, splice{f.at, f.set})
		}
	}
	if more != nil {
		ed.splices = append(ed.splices, splice{span{r.model.to, r.model.to}, more})
	}
	if model != r.Model {
		ed.splices = append(ed.splices, splice{r.model, appendQuoted(nil, model)})
	}
	slices.SortStableFunc(ed.splices, func(a, b splice) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to))
	})
	parts := make([][]byte, 0, 2*len(ed.splices)+1)
	add := func(part []byte) {
		if len(part) > 0 {
			parts = append(parts, part)
		}
	}
	pos := 0
	for _, s := range ed.splices {
		add(span{pos, s.from}.of(r.body))
		add(s.text)
		pos = s.to
	}
	add(span{pos, len(r.body)}.of(r.body))
	if len(parts) > manyParts {
		return [][]byte{bytes.Join(parts, nil)}
	}
	return parts
}

// A cutter removes elements of an array or members of an object, with the comma
// that goes with each.
type cutter struct {
	editor *editor
	kept   span // the last that stays
	run    span // those behind it that go
}

// pass takes the next element.
func (c *cutter) pass(at span, remove bool) {
	switch {
	case !remove:
		if c.run != (span{}) {
			c.cut(c.run.from, at.from)
		}
		c.kept, c.run = at, span{}
	case c.run == (span{}):
		c.run = at
	default:
		c.run.to = at.to
	}
}

// end makes sure that no comma is left behind the last.
func (c *cutter) end() {
	switch {
	case c.run == (span{}):
	case c.kept == (span{}):
		c.cut(c.run.from, c.run.to)
	default:
		c.cut(c.kept.to, c.run.to)
	}
}

func (c *cutter) cut(from, to int) {
	c.editor.splices = append(c.editor.splices, splice{span: span{from, to}})
}
