package vllmsim

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// A reply writes one reply, compressed or cut short where the behaviour says so.
type reply struct {
	w         http.ResponseWriter
	behaviour Behaviour
	out       io.Writer
	gzip      *gzip.Writer // nil for a plain reply
	begun     bool
}

func newReply(w http.ResponseWriter, b Behaviour) *reply {
	r := &reply{w: w, behaviour: b, out: w}
	if b.Gzip {
		r.gzip = gzip.NewWriter(w)
		r.out = r.gzip
	}
	return r
}

// close ends a compressed reply. One that never began stays empty: its
// connection was cut.
func (r *reply) close() {
	if r.gzip != nil && r.begun {
		_ = r.gzip.Close() // the client left: nobody to tell
	}
}

func (r *reply) begin(contentType string) {
	r.begun = true
	r.w.Header().Set("Content-Type", contentType)
	if r.gzip != nil {
		r.w.Header().Set("Content-Encoding", "gzip")
	}
	r.w.WriteHeader(http.StatusOK)
}

// json writes the whole reply.
func (r *reply) json(body any) {
	content := encode(body)
	if r.gzip == nil {
		r.w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	}
	r.begin("application/json")
	if r.behaviour.Drop == DropAfterHeaders {
		_, _ = r.out.Write(content[:len(content)/2])
		r.cut()
	}
	_, _ = r.out.Write(content) // the client left: nobody to tell
}

// events writes events and sends them on their way at once.
func (r *reply) events(events []event) error {
	if len(events) == 0 {
		return nil
	}
	if !r.begun {
		r.begin("text/event-stream; charset=utf-8")
	}
	var b bytes.Buffer
	for _, e := range events {
		if e.name != "" {
			b.WriteString("event: " + e.name + "\n")
		}
		b.WriteString("data: ")
		if text, ok := e.data.(string); ok {
			b.WriteString(text)
		} else {
			b.Write(encode(e.data))
		}
		b.WriteString("\n\n")
	}
	if _, err := r.out.Write(b.Bytes()); err != nil {
		return err
	}
	if r.behaviour.Drop == DropAfterHeaders {
		r.cut()
	}
	return r.flush()
}

// cut sends what there is and cuts the connection.
func (r *reply) cut() {
	_ = r.flush() // the connection goes away in any case
	r.gzip = nil
	panic(http.ErrAbortHandler)
}

func (r *reply) flush() error {
	if r.gzip != nil {
		if err := r.gzip.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(r.w).Flush()
}

// encode is JSON as vLLM writes it: no escapes for the sake of HTML.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // our own types always encode
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(encode(body)) // the client left: nobody to tell
}

// openAIError is the error body of vLLM's OpenAI APIs.
func openAIError(status int, message string) any {
	kind := "BadRequestError"
	switch {
	case status == http.StatusNotFound:
		kind = "NotFoundError"
	case status >= 500:
		kind = "InternalServerError"
	case status == http.StatusTooManyRequests:
		kind = "RateLimitError"
	}
	return map[string]any{"error": map[string]any{"message": message, "type": kind, "param": nil, "code": status}}
}
