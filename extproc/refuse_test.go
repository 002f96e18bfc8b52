package extproc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"semantic-epp/payload"
)

func TestErrors(t *testing.T) {
	json := " +content-type=application/json"
	fail := func(err error) func(context.Context, []byte) (Verdict, error) {
		return func(context.Context, []byte) (Verdict, error) { return Verdict{}, err }
	}
	edit := func(set ...Header) func(context.Context, []byte) (Verdict, error) {
		return func(context.Context, []byte) (Verdict, error) {
			return Verdict{HeaderEdits: HeaderEdits{Set: set}}, nil
		}
	}
	tests := map[string]struct {
		decide func(context.Context, []byte) (Verdict, error)
		want   string
	}{
		"a payload.Error is told as it is": {
			decide: fail(fmt.Errorf("decide: %w", &payload.Error{Status: 404, Type: "t", Code: "model_not_found"})),
			want:   "immediate 404 semantic_epp_model_not_found" + json,
		},
		"a code unfit for access logs stays out of them": {
			decide: fail(&payload.Error{Status: 400, Type: "t", Code: "what is\n2+2"}),
			want:   "immediate 400 semantic_epp_error" + json,
		},
		"a status that gateways do not know": {
			decide: fail(&payload.Error{Status: 299, Type: "t", Code: "c"}),
			want:   "immediate 500 semantic_epp_internal" + json,
		},
		"the deadline": {
			decide: func(ctx context.Context, _ []byte) (Verdict, error) { <-ctx.Done(); return Verdict{}, ctx.Err() },
			want:   "immediate 503 semantic_epp_timeout" + json + " +retry-after=1",
		},
		"an error made of the deadline": {
			decide: func(ctx context.Context, _ []byte) (Verdict, error) {
				<-ctx.Done()
				return Verdict{}, errors.New("gave up")
			},
			want: "immediate 503 semantic_epp_timeout" + json + " +retry-after=1",
		},
		"any other error": {
			decide: fail(errors.New("disk on fire")),
			want:   "immediate 500 semantic_epp_internal" + json,
		},
		"a header value that breaks the line": {
			decide: edit(Header{"x-a", "b\r\nx-c: d"}), want: "immediate 500 semantic_epp_internal" + json,
		},
		"a header name with a space": {
			decide: edit(Header{"x a", "b"}), want: "immediate 500 semantic_epp_internal" + json,
		},
		"a header name in upper case": {
			decide: edit(Header{"X-A", "b"}), want: "immediate 500 semantic_epp_internal" + json,
		},
		"a name to remove that is none": {
			decide: func(context.Context, []byte) (Verdict, error) {
				return Verdict{HeaderEdits: HeaderEdits{Remove: []string{""}}}, nil
			},
			want: "immediate 500 semantic_epp_internal" + json,
		},
		"a reply with a status that gateways do not know": {
			decide: func(context.Context, []byte) (Verdict, error) { return Verdict{Reply: &Reply{Status: 42}}, nil },
			want:   "immediate 500 semantic_epp_internal" + json,
		},
		"a reply with a header that breaks the line": {
			decide: func(context.Context, []byte) (Verdict, error) {
				return Verdict{Reply: &Reply{Status: 200, Set: []Header{{"a", "b\n"}}}}, nil
			},
			want: "immediate 500 semantic_epp_internal" + json,
		},
		"edits of content-length do not count": {
			decide: edit(Header{"content-length", "7"}, Header{"x-a", "b"}), want: "request-headers +x-a=b",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{decide: tt.decide}
			r := newRig(t, h, Config{DecisionTimeout: 20 * time.Millisecond})
			script := []any{declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("", eos), tt.want}
			if !strings.HasPrefix(tt.want, "immediate") {
				script = append(script, `request-body stream "" eos`)
			}
			if err := r.play(t, script...); err != nil {
				t.Errorf("stream ended with %v, want no error", err)
			}
		})
	}
}

func TestErrorBodiesAreJSON(t *testing.T) {
	r := newRig(t, &double{}, Config{})
	c := r.open(t.Context(), t)
	_ = c.Send(declare(requestHeaders(!eos), none, none))
	answer, err := c.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Error struct{ Message string } }
	if err := json.Unmarshal(answer.GetImmediateResponse().GetBody(), &body); err != nil {
		t.Fatalf("body %s: %v", answer.GetImmediateResponse().GetBody(), err)
	}
	if !strings.Contains(body.Error.Message, "request_body_mode") || !strings.Contains(body.Error.Message, "allow_mode_override") {
		t.Errorf("message %q does not name the settings to change", body.Error.Message)
	}
}

func TestLimits(t *testing.T) {
	json := " +content-type=application/json"
	large := strings.Repeat("x", 600)
	tests := map[string]struct {
		cfg    Config
		script []any
		want   Outcome
	}{
		"as large as allowed": {
			cfg: Config{MaxRequestBytes: 1200},
			script: []any{declare(requestHeaders(!eos, "content-length", "1200"), fullDuplex, none), requestBody(large, !eos), requestBody(large, eos),
				"request-headers", `request-body stream "` + large + large + `" eos`},
		},
		"too large by its content-length": {
			cfg:    Config{MaxRequestBytes: 1000},
			script: []any{declare(requestHeaders(!eos, "content-length", "1001"), buffered, none), "immediate 413 semantic_epp_too_large" + json},
			want:   Answered,
		},
		"too large in mid-upload": {
			cfg: Config{MaxRequestBytes: 1000},
			script: []any{declare(requestHeaders(!eos), fullDuplex, none), requestBody(large, !eos), requestBody(large, !eos),
				"immediate 413 semantic_epp_too_large" + json},
			want: Answered,
		},
		"too large in one message": {
			cfg: Config{MaxRequestBytes: 500},
			script: []any{declare(requestHeaders(!eos), buffered, none), "request-headers", requestBody(large, eos),
				"immediate 413 semantic_epp_too_large" + json},
			want: Answered,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{}
			if err := newRig(t, h, tt.cfg).play(t, tt.script...); err != nil {
				t.Errorf("stream ended with %v, want no error", err)
			}
			h.wantEnds(t, tt.want)
		})
	}
}

func TestBudgetIsSharedAndGivenBack(t *testing.T) {
	h := &double{}
	r := newRig(t, h, Config{MaxRequestBytes: 1000, BufferBudgetBytes: 1000})
	part := strings.Repeat("x", 600)

	first := r.open(t.Context(), t)
	_ = first.Send(declare(requestHeaders(!eos), fullDuplex, none))
	_ = first.Send(requestBody(part, !eos))
	holds := func(want int64) {
		t.Helper()
		for deadline := time.Now().Add(5 * time.Second); r.srv.budget.used.Load() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d bytes are held, want %d", r.srv.budget.used.Load(), want)
			}
		}
	}
	holds(600)
	if err := r.play(t, declare(requestHeaders(!eos), fullDuplex, none), requestBody(part, eos),
		"immediate 503 semantic_epp_buffer_full +content-type=application/json +retry-after=1"); err != nil {
		t.Fatal(err)
	}
	_ = first.Send(requestBody("", eos))
	for range 2 {
		if _, err := first.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	holds(0) // before the reply comes
	if err := r.play(t, declare(requestHeaders(!eos), fullDuplex, none), requestBody(part, eos),
		"request-headers", `request-body stream "`+part+`" eos`); err != nil {
		t.Fatal(err)
	}
	_ = first.CloseSend()
	_, _ = first.Recv()
}

func TestCancellation(t *testing.T) {
	deciding := make(chan struct{})
	tests := map[string]struct {
		decide func(context.Context, []byte) (Verdict, error)
		send   []any // messages
		recv   int   // answers to wait for before leaving
		wait   <-chan struct{}
		want   []Outcome
	}{
		"before anything": {},
		"after headers":   {send: []any{declare(requestHeaders(!eos), buffered, buffered)}, recv: 1, want: []Outcome{Aborted}},
		"in mid-upload": {
			send: []any{declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("abc", !eos)}, want: []Outcome{Aborted},
		},
		"while deciding": {
			decide: func(ctx context.Context, _ []byte) (Verdict, error) {
				deciding <- struct{}{}
				<-ctx.Done()
				return Verdict{}, ctx.Err()
			},
			send: []any{declare(requestHeaders(eos), fullDuplex, fullDuplex)}, wait: deciding, want: []Outcome{Aborted},
		},
		"before the reply": {
			send: []any{declare(requestHeaders(eos), fullDuplex, fullDuplex)}, recv: 1, want: []Outcome{Aborted},
		},
		"in mid-reply": {
			send: []any{declare(requestHeaders(eos), fullDuplex, fullDuplex), responseHeaders(!eos), responseBody("ab", !eos)}, recv: 3,
			want: []Outcome{Aborted},
		},
		"after the reply": {
			send: []any{declare(requestHeaders(eos), fullDuplex, fullDuplex), responseHeaders(!eos), responseBody("ab", eos)}, recv: 3,
			want: []Outcome{Completed},
		},
		"while the reply is not shown to us": {
			send: []any{declare(requestHeaders(eos), fullDuplex, none), responseHeaders(!eos)}, recv: 2, want: []Outcome{Unobserved},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{decide: tt.decide}
			r := newRig(t, h, Config{DecisionTimeout: time.Minute})
			ctx, leave := context.WithCancel(t.Context())
			c := r.open(ctx, t)
			for _, m := range tt.send {
				_ = c.Send(m.(message))
			}
			for range tt.recv {
				if _, err := c.Recv(); err != nil {
					t.Fatal(err)
				}
			}
			if tt.wait != nil {
				<-tt.wait
			} else if len(tt.send) > 0 {
				for begun := false; !begun; time.Sleep(time.Millisecond) {
					h.note(func() { begun = len(h.heads) > 0 })
				}
			}
			leave()
			h.wantEnds(t, tt.want...)
		})
	}
}

func TestPanicsEndOneStream(t *testing.T) {
	const secret = "what is 2+2"
	tests := map[string]*double{
		"deciding":  {decide: func(context.Context, []byte) (Verdict, error) { panic("bad prompt: " + secret) }},
		"beginning": {begin: func() { panic(errors.New(secret)) }},
		"ending":    {end: func() { panic(errors.New(secret)) }},
		"runtime": {decide: func(_ context.Context, body []byte) (Verdict, error) {
			return Verdict{Body: [][]byte{body[:len(body)+1000]}}, nil
		}},
	}
	for name, h := range tests {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			logger := funcr.New(func(prefix, args string) { log.WriteString(prefix + args + "\n") }, funcr.Options{})
			r := newRig(t, h, Config{Logger: logger})
			neighbour := r.open(t.Context(), t)
			_ = neighbour.Send(declare(responseHeaders(!eos), fullDuplex, fullDuplex))
			if _, err := neighbour.Recv(); err != nil {
				t.Fatal(err)
			}
			script := []any{declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody(secret, eos)}
			if name == "ending" {
				h.decide = func(context.Context, []byte) (Verdict, error) { return Verdict{Reply: &Reply{Status: 200}}, nil }
				script = append(script, "immediate 200 semantic_epp_reply")
			}
			err := r.play(t, script...)
			if status.Code(err) != codes.Internal || strings.Contains(err.Error(), secret) {
				t.Errorf("stream ended with %v, want %v and nothing else", err, codes.Internal)
			}
			if name == "ending" { // it had made its decision
				h.wantEnds(t, Answered)
			} else if h.begin == nil {
				h.wantEnds(t, Aborted)
			}
			if !strings.Contains(log.String(), "panicked") || !strings.Contains(log.String(), "extproc") || strings.Contains(log.String(), secret) {
				t.Errorf("want a log line with the stack and without the prompt, got %s", log.String())
			}
			_ = neighbour.Send(responseBody("a", eos))
			if _, err := neighbour.Recv(); err != nil {
				t.Errorf("another stream was hurt: %v", err)
			}
			_ = neighbour.CloseSend()
			_, _ = neighbour.Recv()
		})
	}
}

func TestNewNamesEveryBadSetting(t *testing.T) {
	_, err := New(nil, Config{MaxRequestBytes: -1, BufferBudgetBytes: -2, DecisionTimeout: -1, AssumedBodyMode: "NONE"})
	for _, want := range []string{"no handler", "max request bytes -1", "buffer budget", "decision timeout", `assumed body mode "NONE"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
	if _, err := New(&double{}, Config{}); err != nil {
		t.Errorf("defaults are refused: %v", err)
	}
}
