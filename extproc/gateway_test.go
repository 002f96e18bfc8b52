package extproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func TestMain(m *testing.M) {
	if name := os.Getenv(benchServer); name != "" {
		if err := runBenchServer(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// A rig is a server on a loopback port with a gateway's connection to it.
type rig struct {
	srv    *Server
	client extprocv3.ExternalProcessorClient
}

func newRig(t testing.TB, h Handler, cfg Config) *rig {
	t.Helper()
	srv, err := New(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ctx, Listeners{Plain: plain, DrainTimeout: 5 * time.Second}) }()
	conn, err := grpc.NewClient(plain.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		stop()
		if err := <-served; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if held := srv.budget.used.Load(); held != 0 {
			t.Errorf("%d bytes of the budget were never given back", held)
		}
	})
	return &rig{srv: srv, client: extprocv3.NewExternalProcessorClient(conn)}
}

type (
	call    = extprocv3.ExternalProcessor_ProcessClient
	message = *extprocv3.ProcessingRequest
)

func (r *rig) open(ctx context.Context, t testing.TB) call {
	t.Helper()
	c, err := r.client.Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// play runs a script: messages are sent, strings are the answers that must
// come next. After it the gateway closes its side, and nothing more may come.
func (r *rig) play(t *testing.T, script ...any) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c := r.open(ctx, t)
	for i, step := range script {
		switch step := step.(type) {
		case *extprocv3.ProcessingRequest:
			if err := c.Send(step); err != nil && !errors.Is(err, io.EOF) {
				t.Fatalf("step %d: send: %v", i, err)
			}
		case string:
			got, err := c.Recv()
			if err != nil {
				t.Fatalf("step %d: got error %v, want %s", i, err, step)
			}
			if show(got) != step {
				t.Fatalf("step %d:\n got %s\nwant %s", i, show(got), step)
			}
		}
	}
	_ = c.CloseSend()
	got, err := c.Recv()
	if err == nil {
		t.Fatalf("after the script: got %s, want no more answers", show(got))
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// declare adds protocol_config to a message.
func declare(m *extprocv3.ProcessingRequest, request, response bodyMode) *extprocv3.ProcessingRequest {
	m.ProtocolConfig = &extprocv3.ProtocolConfiguration{RequestBodyMode: request, ResponseBodyMode: response}
	return m
}

func eager(m *extprocv3.ProcessingRequest) *extprocv3.ProcessingRequest {
	m.ProtocolConfig.SendBodyWithoutWaitingForHeaderResponse = true
	return m
}

const eos = true

func requestHeaders(eos bool, pairs ...string) *extprocv3.ProcessingRequest {
	pairs = append([]string{":method", "POST", ":path", "/v1/chat/completions", ":authority", "a.example"}, pairs...)
	return rawRequestHeaders(eos, pairs...)
}

func rawRequestHeaders(eos bool, pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{
		Headers: &corev3.HeaderMap{Headers: NewHeaders(pairs...).fields}, EndOfStream: eos}}}
}

func requestBody(body string, eos bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: eos}}}
}

func requestTrailers() *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{RequestTrailers: &extprocv3.HttpTrailers{}}}
}

func responseHeaders(eos bool, pairs ...string) *extprocv3.ProcessingRequest {
	return rawResponseHeaders(eos, append([]string{":status", "200"}, pairs...)...)
}

func rawResponseHeaders(eos bool, pairs ...string) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extprocv3.HttpHeaders{
		Headers: &corev3.HeaderMap{Headers: NewHeaders(pairs...).fields}, EndOfStream: eos}}}
}

func responseBody(body string, eos bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: eos}}}
}

func responseTrailers() *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{ResponseTrailers: &extprocv3.HttpTrailers{}}}
}

// show is an answer in one line.
func show(r *extprocv3.ProcessingResponse) string {
	var b strings.Builder
	switch m := r.Response.(type) {
	case *extprocv3.ProcessingResponse_RequestHeaders:
		b.WriteString("request-headers" + showCommon(m.RequestHeaders.GetResponse()))
	case *extprocv3.ProcessingResponse_RequestBody:
		b.WriteString("request-body" + showCommon(m.RequestBody.GetResponse()))
	case *extprocv3.ProcessingResponse_RequestTrailers:
		b.WriteString("request-trailers")
	case *extprocv3.ProcessingResponse_ResponseHeaders:
		b.WriteString("response-headers" + showCommon(m.ResponseHeaders.GetResponse()))
	case *extprocv3.ProcessingResponse_ResponseBody:
		b.WriteString("response-body" + showCommon(m.ResponseBody.GetResponse()))
	case *extprocv3.ProcessingResponse_ResponseTrailers:
		b.WriteString("response-trailers")
	case *extprocv3.ProcessingResponse_ImmediateResponse:
		fmt.Fprintf(&b, "immediate %d %s%s", m.ImmediateResponse.GetStatus().GetCode(), m.ImmediateResponse.GetDetails(), showEdits(m.ImmediateResponse.GetHeaders()))
	default:
		b.WriteString("unknown answer")
	}
	for namespace, v := range r.GetDynamicMetadata().GetFields() {
		for key, v := range v.GetStructValue().GetFields() {
			fmt.Fprintf(&b, " metadata %s/%s=%s", namespace, key, v.GetStringValue())
		}
	}
	if o := r.GetModeOverride(); o != nil {
		fmt.Fprintf(&b, " override %v/%v", o.GetRequestBodyMode(), o.GetResponseBodyMode())
	}
	return b.String()
}

func showCommon(c *extprocv3.CommonResponse) string {
	s := showEdits(c.GetHeaderMutation())
	if c.GetStatus() != extprocv3.CommonResponse_CONTINUE {
		s += " " + c.GetStatus().String()
	}
	switch m := c.GetBodyMutation().GetMutation().(type) {
	case *extprocv3.BodyMutation_Body:
		s += fmt.Sprintf(" replace %q", m.Body)
	case *extprocv3.BodyMutation_ClearBody:
		s += " clear"
	case *extprocv3.BodyMutation_StreamedResponse:
		s += fmt.Sprintf(" stream %q", m.StreamedResponse.GetBody())
		if m.StreamedResponse.GetEndOfStream() {
			s += " eos"
		}
	}
	if c.GetClearRouteCache() {
		s += " reroute"
	}
	return s
}

func showEdits(m *extprocv3.HeaderMutation) string {
	var s string
	for _, name := range m.GetRemoveHeaders() {
		s += " -" + name
	}
	for _, h := range m.GetSetHeaders() {
		s += fmt.Sprintf(" +%s=%s", h.GetHeader().GetKey(), h.GetHeader().GetRawValue())
		if h.GetAppendAction() != corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			s += "(" + h.GetAppendAction().String() + ")"
		}
	}
	return s
}

// A double is a Handler that does as its functions say and notes what happens.
type double struct {
	decide func(ctx context.Context, body []byte) (Verdict, error)
	edit   HeaderEdits // of replies
	begin  func()
	end    func()

	mu     sync.Mutex
	heads  []RequestHead
	bodies []string
	reply  []ResponseHead
	parts  []string
	ends   []Outcome
	ended  chan Outcome // may be nil
}

func (d *double) Begin(_ context.Context, head *RequestHead) Exchange {
	d.note(func() { d.heads = append(d.heads, *head) })
	if d.begin != nil {
		d.begin()
	}
	return &doubleExchange{d}
}

func (d *double) note(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

type doubleExchange struct{ d *double }

func (x *doubleExchange) Request(ctx context.Context, body []byte) (Verdict, error) {
	x.d.note(func() { x.d.bodies = append(x.d.bodies, string(body)) })
	if x.d.decide == nil {
		return Verdict{}, nil
	}
	return x.d.decide(ctx, body)
}

func (x *doubleExchange) ResponseHeaders(_ context.Context, head *ResponseHead) HeaderEdits {
	x.d.note(func() { x.d.reply = append(x.d.reply, *head) })
	return x.d.edit
}

func (x *doubleExchange) ResponseBody(_ context.Context, part []byte) {
	x.d.note(func() { x.d.parts = append(x.d.parts, string(part)) })
}

func (x *doubleExchange) End(outcome Outcome) {
	x.d.note(func() { x.d.ends = append(x.d.ends, outcome) })
	if x.d.end != nil {
		x.d.end()
	}
	if x.d.ended != nil {
		x.d.ended <- outcome
	}
}

// wantEnds waits for the stream's goroutine and compares the outcomes.
func (d *double) wantEnds(t *testing.T, want ...Outcome) {
	t.Helper()
	var got []Outcome
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		d.note(func() { got = slices.Clone(d.ends) })
		if slices.Equal(got, want) {
			return
		}
	}
	t.Errorf("exchanges ended %v, want %v", got, want)
}

// pick is a verdict that uses everything a verdict can say, with the body put
// in angle brackets.
func pick(_ context.Context, body []byte) (Verdict, error) {
	return Verdict{
		HeaderEdits:     HeaderEdits{Set: []Header{{"x-model", "big"}}, Remove: []string{"x-forged"}},
		Body:            [][]byte{[]byte("<"), body, []byte(">")},
		Metadata:        []Metadata{{"envoy.lb", "endpoint", "1.2.3.4:8000"}},
		ClearRouteCache: true,
	}, nil
}

// look is a verdict that leaves the body alone.
func look(ctx context.Context, body []byte) (Verdict, error) {
	v, err := pick(ctx, body)
	v.Body = nil
	return v, err
}
