package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"semantic-epp/payload"
)

// readBody returns the body of a request, which must be JSON in UTF-8.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && !(strings.HasPrefix(kind, "application/") && strings.HasSuffix(kind, "+json")) {
		return nil, &failure{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "send JSON, with the header content-type: application/json"}
	}
	if charset := parameters["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, &failure{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "send JSON in UTF-8"}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return nil, &failure{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", "send the body uncompressed, without content-encoding"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &failure{http.StatusRequestEntityTooLarge, "REQUEST_BODY_TOO_LARGE", "the body is larger than 1 MiB: send fewer or shorter texts"}
	case err != nil:
		return nil, invalid("the body ended early")
	}
	return body, nil
}

// fields are the members of the JSON object in a body. Those that nobody asks
// for are ignored, as vLLM Semantic Router does it.
type fields map[string]json.RawMessage

func fieldsOf(body []byte) (fields, error) {
	var f fields
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(body, &f); {
	case errors.As(err, &syntax):
		return nil, invalid("the body is not JSON: error at byte %d of %d", syntax.Offset, len(body))
	case err != nil || f == nil:
		return nil, invalid("the body must be a JSON object")
	}
	return f, nil
}

// has tells whether a member is there and not null.
func (f fields) has(name string) bool {
	value := f[name]
	return len(value) > 0 && !bytes.Equal(value, []byte("null"))
}

// read decodes a member, if it is there; want says what it must be.
func (f fields) read(name string, into any, want string) error {
	if !f.has(name) {
		return nil
	}
	if err := json.Unmarshal(f[name], into); err != nil {
		return invalid("%s must be %s", name, want) // the error itself may quote a value
	}
	return nil
}

// options are the options of a classification, as vLLM Semantic Router has them.
type options struct {
	ReturnProbabilities bool    `json:"return_probabilities"`
	ConfidenceThreshold float64 `json:"confidence_threshold"`
}

// defaultThreshold is the confidence from which vLLM Semantic Router calls a
// classification sure.
const defaultThreshold = 0.7

func (f fields) options() (options, error) {
	o := options{}
	if err := f.read("options", &o, "an object with return_probabilities (true or false) and confidence_threshold (a number)"); err != nil {
		return o, err
	}
	if o.ConfidenceThreshold < 0 || o.ConfidenceThreshold > 1 {
		return o, invalid("options.confidence_threshold must be from 0 to 1")
	}
	if o.ConfidenceThreshold == 0 {
		o.ConfidenceThreshold = defaultThreshold
	}
	return o, nil
}

// query makes a request for chat completions of text or messages: messages
// count where they have any text. What else chat completions know (tools,
// metadata, max_tokens, …) goes with it, as rules may look at it.
func (f fields) query() (Query, error) {
	var text, model string
	if err := f.read("text", &text, "a string"); err != nil {
		return Query{}, err
	}
	if err := f.read("model", &model, "a string"); err != nil {
		return Query{}, err
	}
	hasText := strings.TrimSpace(text) != ""
	if f.has("messages") {
		request, err := f.chat(model, f["messages"])
		if err != nil {
			return Query{}, err
		}
		// As much as begins a text shows that there is one.
		if !hasText || strings.TrimSpace(request.Prompt(64)) != "" {
			return Query{Request: request, Model: model}, nil
		}
	}
	if !hasText {
		return Query{}, invalid("text or messages is needed: text must not be empty")
	}
	messages, _ := json.Marshal([]map[string]string{{"role": "user", "content": text}}) // strings always marshal
	request, err := f.chat(model, messages)
	return Query{Request: request, Model: model}, err
}

// chat reads the members as a request for chat completions with the messages.
func (f fields) chat(model string, messages json.RawMessage) (*payload.Request, error) {
	body := make(fields, len(f)+1)
	for name, value := range f {
		switch name {
		case "text", "options", "headers":
		default:
			body[name] = value
		}
	}
	if model == "" {
		model = "auto" // payload wants one; Query.Model says that none was named
	}
	body["model"], _ = json.Marshal(model)
	body["messages"] = messages
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, invalid("the body cannot be read as a request for chat completions")
	}
	return payload.Parse(payload.ChatCompletions, raw)
}
