package extproc

import (
	"slices"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestResponses(t *testing.T) {
	// asked is a request that has been decided, by the mode of its reply.
	asked := func(response bodyMode, script ...any) []any {
		return append([]any{declare(requestHeaders(eos), fullDuplex, response), "request-headers"}, script...)
	}
	sse := []string{"content-type", "text/event-stream; charset=utf-8"}
	tests := map[string]struct {
		edit    HeaderEdits
		script  []any
		parts   []string
		shown   int // replies that the handler saw
		outcome []Outcome
		code    codes.Code
	}{
		"headers only": {
			script: asked(fullDuplex, responseHeaders(eos), "response-headers"),
			shown:  1, outcome: []Outcome{Completed},
		},
		"headers are edited": {
			edit:   HeaderEdits{Set: []Header{{"x-picked", "big"}}, Remove: []string{"server"}},
			script: asked(fullDuplex, responseHeaders(eos), "response-headers -server +x-picked=big"),
			shown:  1, outcome: []Outcome{Completed},
		},
		"edits that HTTP does not allow are left out": {
			edit:   HeaderEdits{Set: []Header{{"x-picked", "big\r\nset-cookie: a=b"}}},
			script: asked(fullDuplex, responseHeaders(eos), "response-headers"),
			shown:  1, outcome: []Outcome{Completed},
		},
		"full duplex: every chunk goes back, the empty end mark too": {
			script: asked(fullDuplex, responseHeaders(!eos), "response-headers",
				responseBody("ab", !eos), `response-body stream "ab"`,
				responseBody("cd", !eos), `response-body stream "cd"`,
				responseBody("", eos), `response-body stream "" eos`),
			parts: []string{"ab", "cd"}, shown: 1, outcome: []Outcome{Completed},
		},
		"full duplex: server-sent events need no override": {
			script: asked(fullDuplex, responseHeaders(!eos, sse...), "response-headers",
				responseBody("data: a\n\n", eos), `response-body stream "data: a\n\n" eos`),
			parts: []string{"data: a\n\n"}, shown: 1, outcome: []Outcome{Completed},
		},
		"full duplex: trailers": {
			script: asked(fullDuplex, responseHeaders(!eos), "response-headers",
				responseBody("ab", !eos), `response-body stream "ab"`, responseTrailers(), "response-trailers"),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"full duplex: the gateway leaves before the end": {
			script: asked(fullDuplex, responseHeaders(!eos), "response-headers",
				responseBody("ab", !eos), `response-body stream "ab"`),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Aborted},
		},
		"the gateway leaves before the reply": {script: asked(fullDuplex), outcome: []Outcome{Aborted}},
		"full duplex: nothing is answered after the end": {
			script: asked(fullDuplex, responseHeaders(!eos), "response-headers",
				responseBody("ab", eos), `response-body stream "ab" eos`, responseBody("cd", eos), responseTrailers()),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"buffered: one empty answer": {
			script: asked(buffered, responseHeaders(!eos), "response-headers", responseBody("ab", eos), "response-body"),
			parts:  []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"buffered: before trailers Envoy marks no end": {
			script: asked(buffered, responseHeaders(!eos), "response-headers", responseBody("ab", !eos), "response-body",
				responseTrailers(), "response-trailers"),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"buffered: AgentGateway's end mark may come by itself": {
			script: asked(buffered, rawResponseHeaders(!eos, "content-length", "2", ":status", "200"), "response-headers",
				responseBody("ab", !eos), responseBody("", eos), "response-body"),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"buffered: the end mark is awaited where nothing else tells": {
			script: asked(buffered, rawResponseHeaders(!eos, "server", "x", ":status", "200"), "response-headers",
				responseBody("ab", !eos), responseBody("cd", eos), "response-body"),
			parts: []string{"ab", "cd"}, shown: 1, outcome: []Outcome{Completed},
		},
		"buffered: trailers show that the body was whole": {
			script: asked(buffered, rawResponseHeaders(!eos, "server", "x", ":status", "200"), "response-headers",
				responseBody("ab", !eos), responseTrailers(), "response-body", "response-trailers"),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"buffered: server-sent events are released": {
			script: asked(buffered, responseHeaders(!eos, sse...), "response-headers override FULL_DUPLEX_STREAMED/NONE"),
			shown:  1, outcome: []Outcome{Unobserved},
		},
		"buffered: server-sent events are released, with the edits": {
			edit:   HeaderEdits{Set: []Header{{"x-picked", "big"}}},
			script: asked(buffered, responseHeaders(!eos, sse...), "response-headers +x-picked=big override FULL_DUPLEX_STREAMED/NONE"),
			shown:  1, outcome: []Outcome{Unobserved},
		},
		"buffered: a gateway that ignores the override is served on": {
			script: asked(buffered, responseHeaders(!eos, sse...), "response-headers override FULL_DUPLEX_STREAMED/NONE",
				responseBody("data: a\n\n", eos), "response-body"),
			parts: []string{"data: a\n\n"}, shown: 1, outcome: []Outcome{Completed},
		},
		"partial: the rest is not seen": {
			script: asked(bufferedPartial, responseHeaders(!eos), "response-headers", responseBody("ab", !eos), "response-body"),
			parts:  []string{"ab"}, shown: 1, outcome: []Outcome{Unobserved},
		},
		"streamed: an empty answer to each": {
			script: asked(streamed, responseHeaders(!eos, sse...), "response-headers",
				responseBody("ab", !eos), "response-body", responseBody("", eos), "response-body"),
			parts: []string{"ab"}, shown: 1, outcome: []Outcome{Completed},
		},
		"none: the end is not seen": {
			script: asked(none, responseHeaders(!eos), "response-headers"),
			shown:  1, outcome: []Outcome{Unobserved},
		},
		"bodies without headers, where the gateway skips those": {
			script: asked(fullDuplex, responseBody("ab", eos), `response-body stream "ab" eos`),
			parts:  []string{"ab"}, outcome: []Outcome{Completed},
		},
		"trailers alone": {
			script:  asked(none, responseTrailers(), "response-trailers"),
			outcome: []Outcome{Completed},
		},
		"headers twice": {
			script: asked(fullDuplex, responseHeaders(!eos), "response-headers", responseHeaders(!eos)),
			shown:  1, outcome: []Outcome{Aborted}, code: codes.FailedPrecondition,
		},
		"a request after the reply": {
			script: []any{declare(responseHeaders(!eos), fullDuplex, fullDuplex), "response-headers", requestHeaders(eos)},
			code:   codes.FailedPrecondition,
		},
		"a stream that begins with a reply passes": {
			script: []any{declare(responseHeaders(!eos), fullDuplex, fullDuplex), "response-headers",
				responseBody("local", eos), `response-body stream "local" eos`},
		},
		"a buffered stream that begins with a reply passes": {
			script: []any{declare(responseHeaders(!eos, "content-length", "5"), buffered, buffered), "response-headers",
				responseBody("local", eos), "response-body"},
		},
		"the gateway's own reply to a request in mid-body passes unseen": {
			script: []any{declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("ab", !eos),
				responseHeaders(!eos), "response-headers", requestBody("cd", eos),
				responseBody("local", eos), `response-body stream "local" eos`, requestTrailers()},
			outcome: []Outcome{Completed},
		},
		"what declares nothing is answered message by message": {
			script: []any{requestHeaders(eos), "request-headers", responseHeaders(!eos), "response-headers",
				responseBody("ab", !eos), "response-body", responseBody("cd", eos), "response-body"},
			parts: []string{"ab", "cd"}, shown: 1, outcome: []Outcome{Completed},
		},
		"observability mode is refused": {
			script: []any{&extprocv3.ProcessingRequest{ObservabilityMode: true, Request: requestHeaders(eos).Request}},
			code:   codes.FailedPrecondition,
		},
		"a message of no kind": {
			script: []any{&extprocv3.ProcessingRequest{}}, code: codes.FailedPrecondition,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{edit: tt.edit}
			err := newRig(t, h, Config{}).play(t, tt.script...)
			if got := status.Code(err); got != tt.code {
				t.Errorf("stream ended with %v, want %v", err, tt.code)
			}
			h.wantEnds(t, tt.outcome...)
			if len(h.reply) != tt.shown {
				t.Errorf("handler saw %d replies, want %d", len(h.reply), tt.shown)
			}
			if !slices.Equal(h.parts, tt.parts) {
				t.Errorf("handler saw parts %q, want %q", h.parts, tt.parts)
			}
		})
	}
}

// The exchange ends with its reply, not when the gateway gets round to closing
// the stream: what it holds, such as a place in flight, is free at once.
func TestExchangeEndsWithItsReply(t *testing.T) {
	h := &double{ended: make(chan Outcome, 1)}
	c := newRig(t, h, Config{}).open(t.Context(), t)
	_ = c.Send(declare(requestHeaders(eos), fullDuplex, fullDuplex))
	_ = c.Send(responseHeaders(!eos))
	_ = c.Send(responseBody("ab", eos))
	if got := <-h.ended; got != Completed {
		t.Errorf("ended %v, want %v", got, Completed)
	}
	_ = c.CloseSend()
	for {
		if _, err := c.Recv(); err != nil {
			break
		}
	}
	h.wantEnds(t, Completed)
}

func TestServedAddress(t *testing.T) {
	of := func(fields map[string]any) *structpb.Struct {
		s, err := structpb.NewStruct(fields)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tests := map[string]struct {
		add  func(*extprocv3.ProcessingRequest)
		want string
	}{
		"not said": {add: func(*extprocv3.ProcessingRequest) {}},
		"by attribute": {
			add: func(m *extprocv3.ProcessingRequest) {
				m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": of(map[string]any{"upstream.address": "10.0.0.1:8000"})}
			},
			want: "10.0.0.1:8000",
		},
		"by metadata": {
			add: func(m *extprocv3.ProcessingRequest) {
				m.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{
					"envoy.lb": of(map[string]any{"x-gateway-destination-endpoint-served": "10.0.0.2:8000"})}}
			},
			want: "10.0.0.2:8000",
		},
		"as a number, which is not an address": {
			add: func(m *extprocv3.ProcessingRequest) {
				m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": of(map[string]any{"upstream.address": 7})}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{}
			reply := responseHeaders(eos)
			tt.add(reply)
			if err := newRig(t, h, Config{}).play(t, declare(requestHeaders(eos), fullDuplex, fullDuplex), "request-headers",
				reply, "response-headers"); err != nil {
				t.Fatal(err)
			}
			if got := h.reply[0]; got.Served != tt.want || got.Status != 200 {
				t.Errorf("handler saw status %d served by %q, want 200 by %q", got.Status, got.Served, tt.want)
			}
		})
	}
}

func TestSubsetHint(t *testing.T) {
	list := func(values ...any) *corev3.Metadata {
		s, err := structpb.NewStruct(map[string]any{"x-gateway-destination-endpoint-subset": values})
		if err != nil {
			t.Fatal(err)
		}
		return &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.lb.subset_hint": s}}
	}
	tests := map[string]struct {
		metadata *corev3.Metadata
		want     []string
	}{
		"no hint":                              {nil, nil},
		"two endpoints":                        {list("10.0.0.1:8000", "10.0.0.2:8000"), []string{"10.0.0.1:8000", "10.0.0.2:8000"}},
		"a list of nothing allows nothing":     {list(), []string{}},
		"what is no string allows nothing":     {list(7, true), []string{}},
		"a hint of another namespace is none":  {&corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.lb": {}}}, nil},
		"a hint that is not a list is no hint": {&corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{"envoy.lb.subset_hint": {Fields: map[string]*structpb.Value{"x-gateway-destination-endpoint-subset": structpb.NewStringValue("10.0.0.1:1")}}}}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{}
			first := declare(requestHeaders(eos), fullDuplex, fullDuplex)
			first.MetadataContext = tt.metadata
			if err := newRig(t, h, Config{}).play(t, first, "request-headers", responseHeaders(eos), "response-headers"); err != nil {
				t.Fatal(err)
			}
			if got := h.heads[0].Subset; !slices.Equal(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Errorf("subset %v, want %v", got, tt.want)
			}
		})
	}
}

func TestRequestHead(t *testing.T) {
	tests := map[string]struct {
		pairs []string
		value bool // in value instead of raw_value
		want  RequestHead
	}{
		"Envoy: pseudo header fields first": {
			pairs: []string{":method", "POST", ":path", "/v1", ":authority", "a", "accept", "*/*"},
			want:  RequestHead{Method: "POST", Path: "/v1", Authority: "a"},
		},
		"AgentGateway: last": {
			pairs: []string{"accept", "*/*", ":method", "POST", ":path", "/v1", ":authority", "a"},
			want:  RequestHead{Method: "POST", Path: "/v1", Authority: "a"},
		},
		"in value": {
			pairs: []string{":method", "POST", ":path", "/v1", ":authority", "a", "accept", "*/*"}, value: true,
			want: RequestHead{Method: "POST", Path: "/v1", Authority: "a"},
		},
		"host stands in for authority": {
			pairs: []string{":method", "GET", ":path", "/", "host", "b", "accept", "*/*"},
			want:  RequestHead{Method: "GET", Path: "/", Authority: "b"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			m := rawRequestHeaders(eos, tt.pairs...)
			if tt.value {
				for _, f := range m.GetRequestHeaders().Headers.Headers {
					f.Value, f.RawValue = string(f.RawValue), nil
				}
			}
			got := requestHeadOf(m.GetRequestHeaders())
			if got.Headers.Get("accept") != "*/*" || got.Headers.Len() != len(tt.pairs)/2 {
				t.Errorf("headers are not those sent")
			}
			got.Headers = Headers{}
			if got.Method != tt.want.Method || got.Path != tt.want.Path || got.Authority != tt.want.Authority {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
		})
	}
}
