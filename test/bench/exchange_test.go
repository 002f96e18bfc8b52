package main

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// floorDestination is the endpoint that the floor names.
var floorDestination = []endpoint{{Name: "a", Address: "127.0.0.1", Port: 8000}}

// answers is what a server sends instead of one answer: any number, or an error.
type answers func(*extproc.ProcessingResponse) ([]*extproc.ProcessingResponse, error)

// tampered is the floor with its answers changed.
type tampered struct {
	floor
	change answers
	after  *extproc.ProcessingResponse // sent when all is answered, unless nil
}

func (t tampered) Process(stream extproc.ExternalProcessor_ProcessServer) error {
	if err := t.floor.Process(tamperedStream{stream, t.change}); err != nil || t.after == nil {
		return err
	}
	return stream.Send(t.after)
}

type tamperedStream struct {
	extproc.ExternalProcessor_ProcessServer
	change answers
}

func (s tamperedStream) Send(m *extproc.ProcessingResponse) error {
	if s.change == nil {
		return s.ExternalProcessor_ProcessServer.Send(m)
	}
	instead, err := s.change(m)
	for _, one := range instead {
		if sendErr := s.ExternalProcessor_ProcessServer.Send(one); sendErr != nil {
			return sendErr
		}
	}
	return err
}

// dial serves and connects; both end with the test.
func dial(t *testing.T, s extproc.ExternalProcessorServer) extproc.ExternalProcessorClient {
	t.Helper()
	listener, err := net.Listen("tcp", loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	extproc.RegisterExternalProcessorServer(server, s)
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return extproc.NewExternalProcessorClient(conn)
}

// one makes a change that touches a single kind of answer and leaves the rest.
func one[T any](change func(kind T, m *extproc.ProcessingResponse)) answers {
	return func(m *extproc.ProcessingResponse) ([]*extproc.ProcessingResponse, error) {
		if kind, ok := m.Response.(T); ok {
			change(kind, m)
		}
		return []*extproc.ProcessingResponse{m}, nil
	}
}

func piece(body *extproc.BodyResponse) *extproc.StreamedBodyResponse {
	return body.GetResponse().GetBodyMutation().GetStreamedResponse()
}

func TestExchangeAcceptsOnlyWholeAndRightAnswers(t *testing.T) {
	type (
		headersKind = *extproc.ProcessingResponse_RequestHeaders
		bodyKind    = *extproc.ProcessingResponse_RequestBody
		replyKind   = *extproc.ProcessingResponse_ResponseBody
	)
	var held *extproc.ProcessingResponse
	tests := map[string]struct {
		server  tampered
		allowed []endpoint
		want    string // part of the error; "" if the exchange is right
	}{
		"a right floor":          {server: tampered{}},
		"a right picker":         {server: tampered{}, allowed: floorDestination},
		"an endpoint not listed": {server: tampered{}, allowed: []endpoint{{Address: "127.0.0.1", Port: 9}}, want: `names "127.0.0.1:8000", which is no endpoint`},
		"no endpoint": {
			server:  tampered{change: one(func(k headersKind, _ *extproc.ProcessingResponse) { k.RequestHeaders.Response.HeaderMutation = nil })},
			allowed: floorDestination, want: "is not set"},
		"one byte of the body changed": {
			server: tampered{change: one(func(k bodyKind, _ *extproc.ProcessingResponse) { piece(k.RequestBody).Body[10] ^= 1 })},
			want:   "differs after byte 0 of 200000"},
		"the body cut short": {
			server: tampered{change: one(func(k bodyKind, _ *extproc.ProcessingResponse) {
				if p := piece(k.RequestBody); p.EndOfStream {
					p.Body = p.Body[:len(p.Body)-1]
				}
			})},
			want: "ends at byte 199999 of 200000"},
		"a body that is too long": {
			server: tampered{change: one(func(k bodyKind, _ *extproc.ProcessingResponse) {
				piece(k.RequestBody).Body = append(piece(k.RequestBody).Body, ' ')
			})},
			want: "differs after byte 0"},
		"no end of the body": {
			server: tampered{change: one(func(k bodyKind, _ *extproc.ProcessingResponse) { piece(k.RequestBody).EndOfStream = false })},
			want:   "200000 of 200000 bytes read"},
		"a body that is not streamed": {
			server: tampered{change: one(func(k bodyKind, _ *extproc.ProcessingResponse) { k.RequestBody.Response.BodyMutation = nil })},
			want:   "want a streamed body"},
		"the body before the headers": {
			server: tampered{change: func(m *extproc.ProcessingResponse) ([]*extproc.ProcessingResponse, error) {
				if m.GetRequestHeaders() != nil {
					held = m
					return nil, nil
				}
				return []*extproc.ProcessingResponse{m, held}, nil
			}},
			want: "want an answer to the request headers"},
		"an immediate response": {
			server: tampered{change: one(func(_ headersKind, m *extproc.ProcessingResponse) {
				m.Response = &extproc.ProcessingResponse_ImmediateResponse{ImmediateResponse: &extproc.ImmediateResponse{
					Status: &typev3.HttpStatus{Code: typev3.StatusCode_ServiceUnavailable}, Details: "no endpoint"}}
			})},
			want: `status 503, details "no endpoint"`},
		"a broken stream": {
			server: tampered{change: func(*extproc.ProcessingResponse) ([]*extproc.ProcessingResponse, error) {
				return nil, status.Error(codes.Internal, "out of order")
			}},
			want: "out of order"},
		"one byte of the reply changed": {
			server: tampered{change: one(func(k replyKind, _ *extproc.ProcessingResponse) { piece(k.ResponseBody).Body[0] = '[' })},
			want:   "reply: the body that came back differs"},
		"a reply that is not answered": {
			server: tampered{change: func(m *extproc.ProcessingResponse) ([]*extproc.ProcessingResponse, error) {
				if m.GetResponseHeaders() != nil {
					return nil, nil
				}
				return []*extproc.ProcessingResponse{m}, nil
			}},
			want: "want an answer to the reply headers"},
		"an answer too many": {server: tampered{after: floorHeaders()}, want: "end of stream"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			e, err := newExchange(benchModel, 200_000, 1, tc.allowed)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			if strings.Contains(tc.want, "bytes read") { // the server says nothing more: the clock must end it
				ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			}
			defer cancel()
			err = e.run(ctx, dial(t, tc.server))
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("the exchange failed: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestExchangeWantsTheChosenModelInTheBody(t *testing.T) {
	e, err := newExchange("auto", 1024, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = e.run(t.Context(), dial(t, floor{})) // gives "auto" back
	if err == nil || !strings.Contains(err.Error(), "differs") {
		t.Errorf("got error %v, want one that says the body differs: the model was not replaced", err)
	}
}

func TestRequestIDsAreUnique(t *testing.T) {
	e, err := newExchange(benchModel, 1024, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := func() string {
		all := e.head().GetRequestHeaders().GetHeaders().GetHeaders()
		return string(all[len(all)-1].RawValue)
	}
	if one, two := id(), id(); one == two || one == "" {
		t.Errorf("two exchanges have the request ids %q and %q", one, two)
	}
}
