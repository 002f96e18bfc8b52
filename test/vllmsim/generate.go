package vllmsim

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A dialect is one API that generates text: how its requests read and how its
// replies look.
type dialect interface {
	// parse reads a request body; its error goes to the client with status 400.
	parse(body []byte) (prompt, error)
	// id makes an id for a reply out of a number.
	id(n string) string
	// whole is the reply in one piece.
	whole(a *answer) any
	// first, next and last are the events of a streamed reply: before the
	// first token, for each token, and after the last.
	first(a *answer) []event
	next(a *answer, token string) []event
	last(a *answer) []event
	// failure is the body of an error reply.
	failure(status int, message string) any
}

// A prompt is what a request asks for.
type prompt struct {
	model        string
	text         string // what echo mode sends back
	tokens       int    // of the whole prompt
	maxTokens    int    // of the answer; 0 when not said
	stream       bool
	includeUsage bool
}

// An answer is the reply to a prompt.
type answer struct {
	prompt
	id      string
	created int64
	text    []string // one element a token
	length  bool     // cut off by maxTokens
}

// An event is one server-sent event; name is "" in OpenAI's older APIs. A
// string as data goes out as it is, anything else as JSON.
type event struct {
	name string
	data any
}

func (a *answer) whole() string { return strings.Join(a.text, "") }

// finish is vLLM's finish_reason.
func (a *answer) finish() string {
	if a.length {
		return "length"
	}
	return "stop"
}

// generating answers requests of one dialect.
func (s *Server) generating(d dialect) func(http.ResponseWriter, *http.Request, []byte) {
	return func(w http.ResponseWriter, r *http.Request, body []byte) {
		b := s.Behaviour()
		fail := func(status int, message string) { writeJSON(w, status, d.failure(status, message)) }
		if misbehaved(b, fail) {
			return
		}
		p, err := d.parse(body)
		if err != nil {
			fail(http.StatusBadRequest, err.Error())
			return
		}
		adapter, served := s.adapters.find(p.model)
		if !served {
			fail(http.StatusNotFound, unknownModel(p.model))
			return
		}
		a := s.compose(d, p, b.Echo)
		if n := p.tokens + len(a.text); n > s.cfg.MaxModelLen {
			fail(http.StatusBadRequest, fmt.Sprintf("This model's maximum context length is %d tokens. However, your request has %d input tokens and asks for %d output tokens.",
				s.cfg.MaxModelLen, p.tokens, len(a.text)))
			return
		}
		out := newReply(w, b)
		defer out.close()
		seq := &sequence{adapter: adapter, promptTokens: p.tokens, outputTokens: len(a.text)}
		if p.stream {
			s.stream(r.Context(), d, a, seq, out)
			return
		}
		if err := s.engine.run(r.Context(), seq, a.finish(), b.Hang, func(int) error { return nil }); err != nil {
			panic(http.ErrAbortHandler) // the client left, or the server closes
		}
		out.json(d.whole(a))
	}
}

// misbehaved fails or cuts a request as b wants and reports whether it did.
func misbehaved(b Behaviour, fail func(status int, message string)) bool {
	if b.Drop == DropBeforeHeaders {
		panic(http.ErrAbortHandler)
	}
	if b.Fail != 0 {
		fail(b.Fail, "the simulated server was told to fail")
		return true
	}
	return false
}

func unknownModel(name string) string { return fmt.Sprintf("The model `%s` does not exist.", name) }

// stream sends the answer token by token, each as soon as the engine has it.
func (s *Server) stream(ctx context.Context, d dialect, a *answer, seq *sequence, out *reply) {
	err := s.engine.run(ctx, seq, a.finish(), out.behaviour.Hang, func(token int) error {
		if token == 0 {
			if err := out.events(d.first(a)); err != nil {
				return err
			}
		}
		return out.events(d.next(a, a.text[token]))
	})
	if err == nil {
		err = out.events(d.last(a))
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the client left, or the server closes
	}
}

// compose makes up the answer before its time.
func (s *Server) compose(d dialect, p prompt, echo bool) *answer {
	a := &answer{prompt: p, id: d.id(strconv.FormatInt(s.replies.Add(1), 10)), created: time.Now().Unix()}
	if echo {
		a.text = split(p.text)
	} else {
		a.text = words(s.cfg.OutputTokens)
	}
	if p.maxTokens > 0 && p.maxTokens < len(a.text) {
		a.text, a.length = a.text[:p.maxTokens], true
	}
	return a
}

// bytesPerToken is about what English text needs.
const bytesPerToken = 4

func countTokens(text string) int { return (len(text) + bytesPerToken - 1) / bytesPerToken }

// split cuts text into tokens and never a character in two; an empty text is
// one token.
func split(text string) []string {
	var tokens []string
	for {
		n := min(bytesPerToken, len(text))
		for n < len(text) && !utf8.RuneStart(text[n]) {
			n++
		}
		tokens = append(tokens, text[:n])
		if text = text[n:]; text == "" {
			return tokens
		}
	}
}

var vocabulary = strings.Fields("the model says that this answer was made up by a simulated server which has no idea at all of what it talks about")

// words makes up n tokens.
func words(n int) []string {
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = vocabulary[i%len(vocabulary)] + " "
	}
	tokens[n-1] = strings.TrimSuffix(tokens[n-1], " ") + "."
	return tokens
}
