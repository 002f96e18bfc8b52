package extproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"semantic-epp/payload"
)

// FuzzStream lets a gateway send messages in any order. Whatever it does: no
// panic, every exchange ends exactly once, the budget comes back, and the
// answers are in an order that Envoy accepts (see umpire).
func FuzzStream(f *testing.F) {
	f.Add([]byte{4, 4, 0, 0, 0, 0x10, 0x41, 0x49, 0x0b, 0x44, 0x4c})
	f.Add([]byte{2, 2, 0, 0, 0, 0x00, 0x41, 0x02, 0x03, 0x44, 0x05})
	f.Add([]byte{1, 1, 1, 0, 0, 0x00, 0x41, 0x41, 0x49, 0x0b, 0x0c})
	f.Add([]byte{0, 0, 2, 1, 1, 0x00, 0x49, 0x0b, 0x0c})
	f.Add([]byte{3, 3, 4, 2, 0, 0x20, 0x41, 0x0b, 0x04})
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 5 || len(in) > 200 {
			t.Skip()
		}
		h := &double{decide: verdicts[int(in[3])%len(verdicts)]}
		srv, err := New(h, Config{MaxRequestBytes: 1000, BufferBudgetBytes: 1000, AllowModeOverride: in[2]&2 != 0})
		if err != nil {
			t.Fatal(err)
		}
		wire := newUmpire(in)
		err = srv.Process(wire)
		if wire.foul != "" {
			t.Errorf("%s, after:\n%s", wire.foul, strings.Join(wire.trace, "\n"))
		}
		if err == nil && wire.waiting() {
			t.Errorf("the stream ended well, but the gateway waits for an answer to the request headers:\n%s", strings.Join(wire.trace, "\n"))
		}
		if len(h.ends) != len(h.heads) {
			t.Errorf("%d exchanges began, %d ended", len(h.heads), len(h.ends))
		}
		if held := srv.budget.used.Load(); held != 0 {
			t.Errorf("%d bytes of the budget were not given back", held)
		}
		if n := counted(srv.metrics.panics); n != 0 {
			t.Errorf("%v panics", n)
		}
	})
}

var verdicts = []func(context.Context, []byte) (Verdict, error){
	nil, look, pick,
	func(context.Context, []byte) (Verdict, error) { return Verdict{Body: [][]byte{}}, nil },
	func(context.Context, []byte) (Verdict, error) { return Verdict{Reply: &Reply{Status: 200}}, nil },
	func(context.Context, []byte) (Verdict, error) { return Verdict{}, errors.New("broken") },
	func(context.Context, []byte) (Verdict, error) {
		return Verdict{}, &payload.Error{Status: 400, Code: "bad"}
	},
}

// An umpire is a stream whose gateway sends what the fuzzer made up, and which
// knows what Envoy would take as an answer at every moment.
type umpire struct {
	grpc.ServerStream
	mode  modes
	queue []*extprocv3.ProcessingRequest
	end   error
	foul  string
	trace []string

	immediate            bool
	request, response    direction
	requestEnd, replyEnd bool
	replyTurn            []string // bodies of replies not yet sent back
}

// direction counts what went each way.
type direction struct{ headersIn, headersOut, bodyIn, bodyOut, trailersIn, trailersOut int }

func newUmpire(in []byte) *umpire {
	u := &umpire{end: io.EOF}
	if in[4]&1 != 0 {
		u.end = context.Canceled
	}
	for _, b := range in[5:] {
		// Three bits for the kind, one for the end, four for the size.
		ended, part := b&8 != 0, strings.Repeat("x", int(b>>4)*20)
		var m *extprocv3.ProcessingRequest
		switch b & 7 {
		case 0:
			m = requestHeaders(ended)
			if b>>4 != 0 {
				m = requestHeaders(ended, "content-length", fmt.Sprint(int(b>>4)*20))
			}
		case 1:
			m = requestBody(part, ended)
		case 2:
			m = requestTrailers()
		case 3:
			m = responseHeaders(ended, "content-type", [2]string{"text/event-stream", "text/plain"}[b>>4&1])
		case 4:
			m = responseBody(part, ended)
		case 5:
			m = responseTrailers()
		case 6:
			m = rawRequestHeaders(ended, "accept", "*/*", ":method", "POST", ":path", "/v1")
		case 7:
			m = rawResponseHeaders(ended, "server", "x", ":status", "200")
		}
		u.queue = append(u.queue, m)
	}
	u.mode = modes{request: buffered, response: buffered, assumed: true}
	if len(u.queue) > 0 && in[2]&4 == 0 {
		u.mode = modes{request: bodyMode(in[0] % 6), response: bodyMode(in[1] % 6), eager: in[2]&1 != 0}
		declare(u.queue[0], u.mode.request, u.mode.response).ProtocolConfig.SendBodyWithoutWaitingForHeaderResponse = u.mode.eager
	}
	return u
}

func (u *umpire) Context() context.Context { return context.Background() }

func (u *umpire) RecvMsg(m any) error {
	if len(u.queue) == 0 {
		return u.end
	}
	next := u.queue[0]
	u.queue = u.queue[1:]
	switch k := next.Request.(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		u.request.headersIn++
	case *extprocv3.ProcessingRequest_RequestBody:
		u.request.bodyIn++
	case *extprocv3.ProcessingRequest_RequestTrailers:
		u.request.trailersIn++
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		u.response.headersIn++
	case *extprocv3.ProcessingRequest_ResponseBody:
		u.response.bodyIn++
		u.replyTurn = append(u.replyTurn, string(k.ResponseBody.GetBody()))
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		u.response.trailersIn++
	}
	u.trace = append(u.trace, fmt.Sprintf("gateway: %v", next))
	proto.Reset(m.(*extprocv3.ProcessingRequest))
	proto.Merge(m.(*extprocv3.ProcessingRequest), next)
	return nil
}

// Recv and Send make an umpire an ExternalProcessor_ProcessServer.
func (u *umpire) Recv() (*extprocv3.ProcessingRequest, error) {
	m := new(extprocv3.ProcessingRequest)
	return m, u.RecvMsg(m)
}

func (u *umpire) Send(m *extprocv3.ProcessingResponse) error { return u.SendMsg(m) }

func (u *umpire) SendMsg(m any) error {
	answer := m.(*extprocv3.ProcessingResponse)
	u.trace = append(u.trace, "picker: "+show(answer))
	if foul := u.judge(answer); foul != "" && u.foul == "" {
		u.foul = foul
	}
	return nil
}

// waiting reports whether Envoy would forward a request that we have seen but
// not answered, were the stream to end now.
func (u *umpire) waiting() bool {
	return u.request.headersIn == 1 && u.request.headersOut == 0 && u.response.headersIn+u.response.bodyIn+u.response.trailersIn == 0 && !u.immediate
}

func (u *umpire) judge(answer *extprocv3.ProcessingResponse) string {
	if u.immediate {
		return "an answer after the immediate response"
	}
	switch m := answer.Response.(type) {
	case *extprocv3.ProcessingResponse_ImmediateResponse:
		u.immediate = true
	case *extprocv3.ProcessingResponse_RequestHeaders:
		u.request.headersOut++
	case *extprocv3.ProcessingResponse_RequestBody:
		u.request.bodyOut++
		streamed := m.RequestBody.GetResponse().GetBodyMutation().GetStreamedResponse()
		if (streamed != nil) != (u.mode.request == fullDuplex) {
			return "a request body answer in the form of another mode"
		}
		if u.request.headersOut == 0 {
			return "a request body answer before that to the headers"
		}
		if u.requestEnd {
			return "a request body answer after the end"
		}
		if u.mode.request == buffered || u.mode.request == none || u.mode.request == bufferedPartial {
			if u.request.bodyOut > 1 {
				return "two answers to one buffered request body"
			}
		}
		u.requestEnd = streamed.GetEndOfStream()
	case *extprocv3.ProcessingResponse_RequestTrailers:
		u.request.trailersOut++
		if u.request.headersOut == 0 || u.requestEnd {
			return "request trailers answered where none can be"
		}
		u.requestEnd = true
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		u.response.headersOut++
	case *extprocv3.ProcessingResponse_ResponseBody:
		u.response.bodyOut++
		streamed := m.ResponseBody.GetResponse().GetBodyMutation().GetStreamedResponse()
		switch {
		case (streamed != nil) != (u.mode.response == fullDuplex):
			return "a reply body answer in the form of another mode"
		case u.replyEnd:
			return "a reply body answer after the end"
		case len(u.replyTurn) == 0:
			return "a reply body answer to nothing"
		case streamed != nil && string(streamed.GetBody()) != u.replyTurn[0]:
			return "a reply body that is not the one that came"
		}
		u.replyTurn = u.replyTurn[1:]
		u.replyEnd = streamed.GetEndOfStream()
	case *extprocv3.ProcessingResponse_ResponseTrailers:
		u.response.trailersOut++
		if u.replyEnd {
			return "reply trailers answered after the end"
		}
		u.replyEnd = true
	}
	for _, d := range []direction{u.request, u.response} {
		if d.headersOut > d.headersIn || d.headersOut > 1 || d.trailersOut > d.trailersIn || d.trailersOut > 1 {
			return "more answers than messages"
		}
	}
	if u.mode.request != fullDuplex && u.request.bodyOut > u.request.bodyIn || u.response.bodyOut > u.response.bodyIn {
		return "more body answers than messages"
	}
	return ""
}
