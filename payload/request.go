package payload

import (
	"bytes"
	"fmt"
	"net/http"
	"unicode"
)

// maxModelName and maxCacheSalt bound the two strings that a request is asked
// for again and again, in bytes.
const (
	maxModelName = 256
	maxCacheSalt = 4096
)

// A Request is what a body says. It refers to the body, which must not change
// while the Request is in use. It is safe for concurrent use.
type Request struct {
	API       API
	Model     string // never empty, except for Other and ModelList
	Stream    bool
	CacheSalt string // vLLM's cache_salt: requests share prefix caches only with their own salt
	Shape     Shape

	body         []byte
	model        span // value of "model"
	conversation span // value of "messages", "prompt" or "input"
	system       span // value of "system" or "instructions"
	tools        span // value of "tools"
	lastSystem   int  // where the last message of the system's in the conversation ends, 0 if there is none

	text     span // value that holds the text of the prompt
	textSize int  // raw bytes of its texts, and of what joins them
	fromUser bool // the text is the user's
}

// A span is a range of positions in the body. No value is empty, so the zero
// span means that there is none.
type span struct{ from, to int }

func (p span) of(body []byte) []byte { return body[p.from:p.to:p.to] }

func (p span) size() int { return p.to - p.from }

// Parse reads the body of a request of the given API. The body must be JSON in
// UTF-8, uncompressed. Keys that do not matter to the picker pass unread, and
// so does the absence of a conversation, which some servers allow. A body of
// Other or ModelList is not looked at.
//
// The error is an [*Error] with status 400 that names the parameter at fault.
func Parse(api API, body []byte) (*Request, error) {
	r := &Request{API: api, body: body}
	if api == Other || api >= ModelList {
		return r, nil
	}
	if message := notJSON(body); message != "" {
		return nil, &Error{Status: http.StatusBadRequest, Message: message}
	}
	s := scanner{data: body}
	r.read(&s)
	if s.end(); s.err != nil {
		return nil, s.err
	}
	r.Shape = s.shape
	if r.model == (span{}) {
		return nil, &Error{Status: http.StatusBadRequest, Param: "model", Message: "you must provide a model parameter"}
	}
	return r, nil
}

// notJSON says what is wrong with a body whose first bytes show that it is
// something else than JSON in UTF-8.
func notJSON(body []byte) string {
	begins := func(magic string) bool { return bytes.HasPrefix(body, []byte(magic)) }
	compressed := ""
	switch {
	case len(body) == 0:
		return "the request body is empty: it must be a JSON object"
	case begins("\x1f\x8b"):
		compressed = "gzip"
	case begins("\x28\xb5\x2f\xfd"):
		compressed = "zstd"
	case begins("\xef\xbb\xbf"):
		return "the request body begins with a byte order mark: send JSON in UTF-8 without one"
	case begins("\xff\xfe"), begins("\xfe\xff"), body[0] == 0, len(body) > 1 && body[1] == 0:
		return "the request body is in UTF-16 or UTF-32: send JSON in UTF-8"
	default:
		return ""
	}
	return "the request body is compressed (" + compressed + "), and the picker reads plain JSON: send it without content-encoding, or have the gateway decompress it before the picker"
}

// read passes the whole request.
func (r *Request) read(s *scanner) {
	if s.peek() != '{' {
		s.fail("a JSON object")
		return
	}
	o := object{matter: requestKeys}
	for more := s.open('}'); more; more = s.next('}') {
		switch k := s.key(&o); k {
		case keyModel:
			r.readModel(s)
		case keyStream:
			r.readStream(s)
		case keyCacheSalt:
			r.readCacheSalt(s)
		case keySystem, keyInstructions:
			if k == systemKey(r.API) {
				s.peek()
				from := s.pos
				s.measure()
				r.system = span{from, s.pos}
			} else {
				s.skip()
			}
		case keyTools, keyFunctions:
			r.readTools(s, k)
		case keyMessages, keyPrompt, keyInput:
			r.readConversation(s, k)
		default:
			s.skip()
		}
	}
}

// value passes one value and returns where it is.
func (s *scanner) value() span {
	s.peek()
	from := s.pos
	s.skip()
	return span{from, s.pos}
}

func systemKey(api API) key {
	switch api {
	case Messages:
		return keySystem
	case Responses:
		return keyInstructions
	default:
		return keyUnknown // the conversation holds the system's messages
	}
}

func (r *Request) readModel(s *scanner) {
	if s.peek() != '"' {
		s.skip()
		s.refuse("model", "model must be a string")
		return
	}
	from := s.pos
	name, ok := s.shortString(maxModelName)
	switch {
	case s.err != nil:
	case !ok:
		s.refuse("model", fmt.Sprintf("model must be at most %d bytes long, without lone surrogates", maxModelName))
	case name == "":
		s.refuse("model", "you must provide a model parameter: it is empty")
	case hasControl(name):
		s.refuse("model", "model must not contain control characters")
	default:
		r.Model, r.model = name, span{from, s.pos}
	}
}

// hasControl reports whether a name cannot stand in an HTTP header.
func hasControl(name string) bool {
	for _, c := range name {
		if unicode.IsControl(c) {
			return true
		}
	}
	return false
}

// shortString passes the string at pos and decodes it. It is not ok with more
// than limit bytes, or with a lone surrogate, which Python would keep and Go
// would replace.
func (s *scanner) shortString(limit int) (text string, ok bool) {
	raw := s.str()
	if loneSurrogate(raw) {
		return "", false
	}
	decoded, ok := appendText(make([]byte, 0, min(limit, len(raw))), raw, limit)
	return string(decoded), ok
}

func loneSurrogate(raw []byte) bool {
	for {
		i := bytes.IndexByte(raw, '\\')
		if i < 0 {
			return false
		}
		raw = raw[i:]
		r, n := unescape(raw)
		if r == unicode.ReplacementChar && hexRune(raw) != unicode.ReplacementChar {
			return true
		}
		raw = raw[n:]
	}
}

func (r *Request) readStream(s *scanner) {
	switch s.peek() {
	case 't':
		s.skip()
		r.Stream = true
	case 'f', 'n':
		s.skip()
	default:
		s.skip()
		s.refuse("stream", "stream must be true, false or null")
	}
}

func (r *Request) readCacheSalt(s *scanner) {
	switch s.peek() {
	case 'n':
		s.skip()
	case '"':
		salt, ok := s.shortString(maxCacheSalt)
		if s.err == nil && !ok {
			s.refuse("cache_salt", fmt.Sprintf("cache_salt must be at most %d bytes long, without lone surrogates", maxCacheSalt))
		}
		r.CacheSalt = salt
	default:
		s.skip()
		s.refuse("cache_salt", "cache_salt must be a string or null")
	}
}

// Conversation returns the raw JSON of the value that holds the conversation:
// messages, prompt or input. It is a slice of the body, and nil where there is
// none. Requests of which it begins alike share a prefix of the model's input,
// as far as Model, CacheSalt and System are alike too.
func (r *Request) Conversation() []byte {
	if r.conversation == (span{}) {
		return nil
	}
	return r.conversation.of(r.body)
}

// System returns the raw JSON of what the model reads before the conversation:
// Anthropic's system, or the instructions of Responses. It is a slice of the
// body, and nil where there is none.
func (r *Request) System() []byte {
	if r.system == (span{}) {
		return nil
	}
	return r.system.of(r.body)
}

// WithModel returns the body, in up to three parts, as it must be sent to the
// given model: only the value of "model" differs. The first and the last part
// are slices of the body.
func (r *Request) WithModel(model string) [][]byte {
	if model == r.Model || r.model == (span{}) {
		return [][]byte{r.body}
	}
	name := appendQuoted(make([]byte, 0, len(model)+2), model)
	return [][]byte{span{0, r.model.from}.of(r.body), name, r.body[r.model.to:]}
}
