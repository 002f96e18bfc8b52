package extproc

import (
	"context"
	"iter"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// A Handler answers for the HTTP exchanges that a gateway sends through
// External Processing. It is safe for concurrent use.
type Handler interface {
	// Begin starts an exchange from the head of its request. It must not
	// block: the body, if any, is still on its way. ctx lives as long as the
	// exchange.
	Begin(ctx context.Context, head *RequestHead) Exchange
}

// An Exchange is one HTTP request with its reply. Its methods are called one
// at a time and in this order: Request at most once, ResponseHeaders at most
// once, ResponseBody any number of times, End exactly once, whatever happened
// before. The reply is shown only to an exchange whose Request returned a
// Verdict: a reply that the gateway makes up before that passes as it is.
type Exchange interface {
	// Request decides what happens to the request, once all of it is there.
	// body is nil when there is none; it may be kept and pointed into, by a
	// Verdict too, but nobody may ever change it. ctx ends with the exchange
	// or at the decision timeout. An error that is a *payload.Error is sent
	// to the client as it is; the end of ctx becomes 503; any other error is
	// logged and becomes 500, so it must not quote the body.
	Request(ctx context.Context, body []byte) (Verdict, error)

	// ResponseHeaders sees the head of the reply and may edit it.
	ResponseHeaders(ctx context.Context, head *ResponseHead) HeaderEdits

	// ResponseBody sees a part of the reply, after it went back to the
	// client; the part is only valid during the call.
	ResponseBody(ctx context.Context, part []byte)

	// End is the last call; it releases what the exchange holds. It comes as
	// soon as the outcome is known.
	End(outcome Outcome)
}

// A Verdict is what becomes of a request. The zero Verdict lets it pass as it
// is.
type Verdict struct {
	HeaderEdits

	// Body replaces the request body when it is not nil. The parts follow
	// each other; most of them are slices of the body that came in. They are
	// sent without a copy where possible: nobody may change them any more.
	Body [][]byte

	// Metadata goes to the gateway as dynamic metadata.
	Metadata []Metadata

	// ClearRouteCache makes the gateway choose the route again, by the edited
	// headers.
	ClearRouteCache bool

	// Reply, when it is not nil, is sent to the client at once; the request
	// goes no further and the other fields do not count.
	Reply *Reply
}

// HeaderEdits change the header fields of a request or a reply: Remove first,
// then Set, which replaces all values of a name. Names are in lower case.
// content-length is not theirs to edit: it is kept true to the body. A name or
// value that HTTP does not allow, such as one with a line break, makes a
// request fail with 500 and leaves a reply unedited.
type HeaderEdits struct {
	Set    []Header
	Remove []string
}

// A Header is one header field.
type Header struct{ Name, Value string }

// Metadata is one string of dynamic metadata.
type Metadata struct{ Namespace, Key, Value string }

// A Reply answers the client in place of a model server. Status is one that
// Envoy's StatusCode enumeration knows.
type Reply struct {
	Status int
	Set    []Header
	Body   []byte
}

// A RequestHead is the head of an HTTP request.
type RequestHead struct {
	Method, Path, Authority string
	Headers                 Headers
	// Subset are the addresses ("ip:port" or "ip") that the gateway limits the
	// choice of an endpoint to: the subset hint of the endpoint picker protocol
	// (GIE proposal 004). Nil means no limit.
	Subset []string
}

// A ResponseHead is the head of an HTTP reply.
type ResponseHead struct {
	// Status is the HTTP status, 0 when the gateway did not say.
	Status  int
	Headers Headers
	// Served is the address ("ip:port") of the server that answered, "" when
	// the gateway did not say.
	Served string
}

// Outcome says how an exchange ended.
type Outcome int

const (
	// Aborted: the client or the gateway left before the end of the reply.
	Aborted Outcome = iota
	// Completed: the reply was seen to its end.
	Completed
	// Unobserved: the gateway does not show us all of the reply's body, so
	// when it ended is not known.
	Unobserved
	// Answered: we answered ourselves, by a Verdict's Reply or an error.
	Answered

	outcomes int = iota // how many there are
)

// String returns the outcome in lower case, as metrics and logs show it.
func (o Outcome) String() string {
	return [outcomes]string{"aborted", "completed", "unobserved", "answered"}[o]
}

// Headers are the header fields of a message as the gateway sent them. Names
// are in lower case.
type Headers struct{ fields []*corev3.HeaderValue }

// NewHeaders returns Headers from name, value pairs.
func NewHeaders(pairs ...string) Headers {
	h := Headers{fields: make([]*corev3.HeaderValue, 0, len(pairs)/2)}
	for i := 0; i+1 < len(pairs); i += 2 {
		h.fields = append(h.fields, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return h
}

// Len is the number of header fields, pseudo header fields included.
func (h Headers) Len() int { return len(h.fields) }

// Get returns the first value of a name, "" when there is none.
func (h Headers) Get(name string) string {
	for _, f := range h.fields {
		if f.GetKey() == name {
			return valueOf(f)
		}
	}
	return ""
}

// All yields every header field in the order in which it came, pseudo header
// fields included.
func (h Headers) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, f := range h.fields {
			if !yield(f.GetKey(), valueOf(f)) {
				return
			}
		}
	}
}

// valueOf prefers raw_value: gateways send values there, AgentGateway all but
// the pseudo header fields.
func valueOf(f *corev3.HeaderValue) string {
	if raw := f.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return f.GetValue()
}
