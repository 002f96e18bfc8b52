package payload

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// AnswerText is an answer in place of a model's.
type AnswerText struct {
	Model string // the model to name as the one that answered
	Text  string

	// FinishReason is why the text ends, in the words of chat completions:
	// "stop" (also if empty), "length" or "content_filter".
	FinishReason string
	// ID tells this answer from others; it is put behind the prefix of the API,
	// such as "chatcmpl-".
	ID      string
	Created int64 // Unix time in seconds
	// IncludeUsage makes a stream of completions end with token usage, as
	// [Request.IncludeUsage] says that the client wants. All counts are zero,
	// since no model read or wrote anything.
	IncludeUsage bool
}

// Answer returns the content-type and the body of a reply with status 200 in
// the API's own shape: a JSON object, or a stream of server-sent events that is
// complete. The shapes are those of
// https://platform.openai.com/docs/api-reference and
// https://docs.anthropic.com/en/api/messages.
//
// The error, for an API that does not answer with text, is an [*Error] with
// status 403 that tells the client the text as its message.
func Answer(api API, stream bool, a AnswerText) (contentType string, body []byte, err error) {
	if a.FinishReason == "" {
		a.FinishReason = "stop"
	}
	var whole func() any
	var streamed func(*eventWriter)
	switch api {
	case ChatCompletions:
		whole, streamed = a.chat, a.chatEvents
	case Completions:
		whole, streamed = a.completion, a.completionEvents
	case Responses:
		whole, streamed = a.response, a.responseEvents
	case Messages:
		whole, streamed = a.message, a.messageEvents
	default:
		return "", nil, &Error{Status: http.StatusForbidden, Message: a.Text}
	}
	if !stream {
		return "application/json", asJSONText(whole()), nil
	}
	var w eventWriter
	streamed(&w)
	return "text/event-stream", w.Bytes(), nil
}

// asJSONText is json.Marshal without escapes for HTML.
func asJSONText(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings and integers always marshal
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// An eventWriter writes server-sent events.
type eventWriter struct{ bytes.Buffer }

// named writes an event with a name.
func (w *eventWriter) named(name string, data any) {
	w.WriteString("event: " + name + "\n")
	w.data(data)
}

// data writes an event without a name.
func (w *eventWriter) data(data any) {
	w.WriteString("data: ")
	w.Write(asJSONText(data))
	w.WriteString("\n\n")
}

// done ends a stream of OpenAI's completions.
func (w *eventWriter) done() { w.WriteString("data: [DONE]\n\n") }
