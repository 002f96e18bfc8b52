package payload

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
)

// Edits says what is to be changed in a request. The zero value changes
// nothing.
//
// The parts apply in the order in which they stand here, each to what the ones
// before it left. A field that is null counts as absent, as clients write it
// for one that they did not set.
type Edits struct {
	// Block names fields that are removed. Those that make a request what it
	// is stay: model, messages, input, prompt, and Anthropic's max_tokens.
	Block []string
	// Defaults are fields for requests that do not have them. None of model,
	// messages, input and prompt is set.
	Defaults []Field
	// MaxTokens, if above 0, is the most that the request may ask for:
	// max_completion_tokens and max_tokens of a chat, max_tokens of a
	// completion or an Anthropic message, max_output_tokens of Responses. More
	// is lowered, and so is a negative number, which some servers take for no
	// limit. Where there is none, the first of these fields is set.
	MaxTokens int
	// MaxN, if above 0, is the most that n may be in a chat or a completion.
	MaxN int
	// Reasoning asks the model to think, or not to. Completions and embeddings
	// have no place for it.
	Reasoning Reasoning
	// SystemPrompt is given to the model. Completions and embeddings have no
	// place for it.
	SystemPrompt SystemPrompt
	// Model is the name that the model server is asked for, empty for the
	// client's.
	Model string
}

// A Field is a member of a JSON object.
type Field struct {
	Name  string
	Value json.RawMessage // valid JSON
}

// Reasoning is a field that asks for reasoning. Without a name there is none,
// nor for model, messages, input and prompt.
type Reasoning struct {
	// Field is what to set, such as enable_thinking to true, or
	// reasoning_effort to "high".
	Field Field
	// InTemplate puts the field into chat_template_kwargs, which vLLM and
	// SGLang hand to the model's chat template. Otherwise it is at the top of
	// the body, where an effort named reasoning_effort becomes what the API has
	// for it: reasoning.effort of Responses, output_config.effort of Anthropic,
	// of which "low" is the least.
	InTemplate bool
	// Keep leaves a value that the client set.
	Keep bool
}

// A SystemPrompt is instructions to the model. An empty one is none.
type SystemPrompt struct {
	Text string // valid UTF-8

	// Prepend puts the text before the client's, with an empty line between
	// them or as a content part of its own: in the first message with the role
	// system or developer of a chat, in instructions of Responses, in
	// Anthropic's system. Where it stands there already, nothing changes.
	//
	// Otherwise the text is all that is left: messages and input items with
	// the role system or developer are removed, wherever they stand, and it
	// becomes the first message of a chat, with the role system, or the whole
	// of instructions or system.
	Prepend bool
}

// TakesInstructions reports whether a request of the API has a place for a
// system prompt and a wish for reasoning.
func (a API) TakesInstructions() bool {
	return a == ChatCompletions || a == Responses || a == Messages
}

// Apply returns the body as the edits make it, in parts, most of which are
// slices of the body: every byte that is not meant stays as it is. A body of
// [Other] or [ModelList] stays whole.
//
// The error is an [*Error] with status 400: the request has a field twice, in
// another spelling, or of a wrong type, which an edit is about.
func (r *Request) Apply(e Edits) (parts [][]byte, err error) {
	if e.Model == "" {
		e.Model = r.Model
	}
	if r.model == (span{}) || e.onlyModel() {
		return r.WithModel(e.Model), nil
	}
	ed := editor{request: r}
	ed.name(&e)
	ed.read()
	for _, d := range e.Defaults {
		if f := ed.field(d.Name); f != nil && ed.value(f) == nil {
			f.set = d.Value
		}
	}
	if e.MaxTokens > 0 {
		ed.limitTokens(e.MaxTokens)
	}
	if e.MaxN > 0 && hasN(r.API) {
		ed.limit(ed.field("n"), e.MaxN)
	}
	if r.API.TakesInstructions() {
		ed.setReasoning(&e.Reasoning)
		ed.setSystemPrompt(&e.SystemPrompt)
	}
	if ed.err != nil {
		return nil, ed.err
	}
	return ed.parts(e.Model), nil
}

func (e *Edits) onlyModel() bool {
	return len(e.Block) == 0 && len(e.Defaults) == 0 && e.MaxTokens <= 0 && e.MaxN <= 0 &&
		!e.Reasoning.isSet() && e.SystemPrompt.Text == ""
}

// name notes the fields at the top of the body that the edits are about.
func (ed *editor) name(e *Edits) {
	api := ed.request.API
	for _, name := range e.Block {
		if !isEssential(name) && (name != "max_tokens" || api != Messages) {
			ed.add(name).block = true
		}
	}
	for _, d := range e.Defaults {
		if !isEssential(d.Name) {
			ed.add(d.Name)
		}
	}
	if e.MaxTokens > 0 {
		for _, name := range tokenFields(api) {
			ed.add(name)
		}
	}
	if e.MaxN > 0 && hasN(api) {
		ed.add("n")
	}
	if !api.TakesInstructions() {
		return
	}
	if e.Reasoning.isSet() {
		object, name := e.Reasoning.place(api)
		if object == "" {
			object = name
		}
		ed.add(object)
	}
	if k := systemKey(api); k != keyUnknown && e.SystemPrompt.Text != "" {
		ed.add(keyNames[k])
	}
}

// isEssential reports whether a request is nothing without the field.
func isEssential(name string) bool {
	switch name {
	case "model", "messages", "input", "prompt":
		return true
	default:
		return false
	}
}

func hasN(api API) bool { return api == ChatCompletions || api == Completions }

// tokenFields names the fields that limit a reply, beginning with the one to
// set where there is none.
func tokenFields(api API) []string {
	switch api {
	case ChatCompletions:
		return []string{"max_completion_tokens", "max_tokens"}
	case Completions, Messages:
		return []string{"max_tokens"}
	case Responses:
		return []string{"max_output_tokens"}
	default:
		return nil
	}
}

func (ed *editor) limitTokens(most int) {
	names := tokenFields(ed.request.API)
	limited := false
	for _, name := range names {
		limited = ed.limit(ed.field(name), most) || limited
	}
	if !limited && len(names) > 0 {
		ed.field(names[0]).set = strconv.AppendInt(nil, int64(most), 10)
	}
}

// limit lowers a number to the most that it may be, and reports whether there
// is one.
func (ed *editor) limit(f *field, most int) bool {
	value := ed.value(f)
	if value == nil {
		return false
	}
	// What is beyond float64 becomes an infinity, and that a limit.
	n, err := strconv.ParseFloat(string(value), 64)
	switch {
	case err != nil && !math.IsInf(n, 0), n != math.Trunc(n):
		ed.refuse(f.name, f.name+" must be a whole number or null")
	case n > float64(most), n < 0:
		f.set = strconv.AppendInt(nil, int64(most), 10)
	}
	return true
}

func (w *Reasoning) isSet() bool {
	return w.Field.Name != "" && !isEssential(w.Field.Name)
}

// place returns the object at the top of the body that the field stands in,
// empty for the body itself, and the field's name there.
func (w *Reasoning) place(api API) (object, name string) {
	switch {
	case w.InTemplate:
		return "chat_template_kwargs", w.Field.Name
	case w.Field.Name == "reasoning_effort" && api == Responses:
		return "reasoning", "effort"
	case w.Field.Name == "reasoning_effort" && api == Messages:
		return "output_config", "effort"
	default:
		return "", w.Field.Name
	}
}

func (ed *editor) setReasoning(w *Reasoning) {
	if !w.isSet() || ed.err != nil {
		return
	}
	object, name := w.place(ed.request.API)
	if object == "" {
		if f := ed.field(name); f != nil && !(w.Keep && ed.value(f) != nil) {
			f.set = w.Field.Value
		}
		return
	}
	m := Field{name, w.Field.Value}
	if object == "output_config" && string(m.Value) == `"minimal"` {
		m.Value = json.RawMessage(`"low"`) // Anthropic has no less
	}
	f := ed.field(object)
	switch value := ed.value(f); {
	case value == nil:
		f.set = slices.Concat([]byte("{"), pair(m.Name, m.Value), []byte("}"))
	case value[0] != '{':
		ed.refuse(object, object+" must be an object or null")
	default:
		ed.setMember(f, m, w.Keep)
	}
}

// setMember sets a member of the object that is the value of f, or leaves the
// value that the client set.
func (ed *editor) setMember(f *field, m Field, keep bool) {
	value := ed.value(f)
	s := scanner{data: value}
	var at span
	more := s.open('}')
	empty := !more
	for ; more; more = s.next('}') {
		same, exact := sameKey(s.name(), m.Name)
		here := s.value()
		switch {
		case !same:
		case !exact:
			ed.refuse(f.name+"."+m.Name, otherSpelling(m.Name))
		case at != (span{}):
			ed.refuse(f.name+"."+m.Name, twice(m.Name))
		default:
			at = here
		}
	}
	switch {
	case at == (span{}) && empty:
		ed.change(f, splice{span{1, 1}, pair(m.Name, m.Value)})
	case at == (span{}):
		ed.change(f, splice{span{1, 1}, append(pair(m.Name, m.Value), ',')})
	case !keep || string(at.of(value)) == "null":
		ed.change(f, splice{at, m.Value})
	}
}

// pair returns an object's member as JSON.
func pair(name string, value []byte) []byte {
	m := appendQuoted(make([]byte, 0, len(name)+len(value)+4), name)
	return append(append(m, ':'), value...)
}
