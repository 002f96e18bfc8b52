package extproc

import (
	"context"
	"slices"
	"strings"
	"testing"

	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"semantic-epp/payload"
)

func TestRequestModes(t *testing.T) {
	const (
		edits   = " -x-forged +x-model=big"
		exact   = " -x-forged +x-model=big +content-length="
		dropped = " -x-forged -content-length +x-model=big"
		meta    = " metadata envoy.lb/endpoint=1.2.3.4:8000"
		held    = "request-headers" + dropped + " reroute" + meta
	)
	tests := map[string]struct {
		cfg     Config
		decide  func(context.Context, []byte) (Verdict, error)
		script  []any
		bodies  []string // that the handler saw
		outcome Outcome
		code    codes.Code
	}{
		"full duplex: the headers answer waits for the end of the body": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "6"), fullDuplex, fullDuplex),
				requestBody("abc", !eos), requestBody("def", !eos), requestBody("", eos),
				held, `request-body stream "<abcdef>" eos`,
			},
			bodies: []string{"abcdef"},
		},
		"full duplex: a body left alone goes back as it came": {
			decide: look,
			script: []any{
				declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("abc", eos),
				"request-headers" + edits + " reroute" + meta, `request-body stream "abc" eos`,
			},
			bodies: []string{"abc"},
		},
		"full duplex: an empty body is one empty end mark": {
			decide: look,
			script: []any{
				declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("", eos),
				"request-headers" + edits + " reroute" + meta, `request-body stream "" eos`,
			},
			bodies: []string{""},
		},
		"full duplex: trailers end the request, and are answered last": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("abc", !eos), requestTrailers(),
				held, `request-body stream "<abc>"`, "request-trailers",
			},
			bodies: []string{"abc"},
		},
		"full duplex: trailers without a body": {
			decide: look,
			script: []any{
				declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestTrailers(),
				"request-headers" + edits + " reroute" + meta, "request-trailers",
			},
			bodies: []string{""},
		},
		"full duplex: messages after the end are not answered": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("abc", eos),
				requestBody("again", eos), requestTrailers(),
				held, `request-body stream "<abc>" eos`,
			},
			bodies: []string{"abc"},
		},
		"a request without a body is answered at its headers": {
			decide: look,
			script: []any{
				declare(requestHeaders(eos), fullDuplex, fullDuplex),
				"request-headers" + edits + " reroute" + meta,
			},
			bodies: []string{""},
		},
		"without a body any mode will do": {
			decide: look,
			script: []any{
				declare(requestHeaders(eos), none, none), "request-headers" + edits + " reroute" + meta,
			},
			bodies: []string{""},
		},
		"a body made up for a request that has none is our own fault": {
			decide: pick,
			script: []any{
				declare(requestHeaders(eos), fullDuplex, fullDuplex), "immediate 500 semantic_epp_internal +content-type=application/json",
			},
			bodies: []string{""}, outcome: Answered,
		},
		"buffered: headers at once, edits with the body": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "3"), buffered, buffered), "request-headers",
				requestBody("abc", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"buffered: a body left alone keeps its length": {
			decide: look,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "3"), buffered, buffered), "request-headers",
				requestBody("abc", eos), "request-body" + edits + " reroute" + meta,
			},
			bodies: []string{"abc"},
		},
		"buffered: a body cleared has length 0": {
			decide: func(context.Context, []byte) (Verdict, error) { return Verdict{Body: [][]byte{}}, nil },
			script: []any{
				declare(requestHeaders(!eos, "content-length", "3"), buffered, buffered), "request-headers",
				requestBody("abc", eos), "request-body +content-length=0 clear",
			},
			bodies: []string{"abc"},
		},
		"buffered: before trailers Envoy marks no end, the length tells": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "3"), buffered, buffered), "request-headers",
				requestBody("abc", !eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
				requestTrailers(), "request-trailers",
			},
			bodies: []string{"abc"},
		},
		"buffered: before trailers and without a length, Envoy's one message is all": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos), buffered, buffered), "request-headers",
				requestBody("abc", !eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
				requestTrailers(), "request-trailers",
			},
			bodies: []string{"abc"},
		},
		"buffered: AgentGateway's end mark may come by itself, with a length": {
			decide: pick,
			script: []any{
				declare(rawRequestHeaders(!eos, "content-length", "3", ":method", "POST", ":path", "/"), buffered, buffered), "request-headers",
				requestBody("abc", !eos), requestBody("", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"buffered: AgentGateway's end mark may come by itself, without a length": {
			decide: pick,
			script: []any{
				declare(rawRequestHeaders(!eos, "accept", "*/*", ":method", "POST", ":path", "/"), buffered, buffered), "request-headers",
				requestBody("abc", !eos), requestBody("", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"buffered: pieces are gathered up to the length": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "9"), buffered, buffered), "request-headers",
				requestBody("abc", !eos), requestBody("def", !eos), requestBody("ghi", !eos),
				"request-body" + exact + `11 replace "<abcdefghi>" reroute` + meta,
			},
			bodies: []string{"abcdefghi"},
		},
		"buffered: trailers end a body that nothing else ended": {
			decide: pick,
			script: []any{
				declare(rawRequestHeaders(!eos, "accept", "*/*", ":method", "POST", ":path", "/"), buffered, buffered), "request-headers",
				requestBody("abc", !eos), requestTrailers(),
				"request-body" + exact + `5 replace "<abc>" reroute` + meta, "request-trailers",
			},
			bodies: []string{"abc"},
		},
		"buffered: trailers without a body pass where nothing must change": {
			script: []any{
				declare(requestHeaders(!eos), buffered, buffered), "request-headers", requestTrailers(), "request-trailers",
			},
			bodies: []string{""},
		},
		"buffered: trailers without a body cannot be edited": {
			decide: look,
			script: []any{
				declare(requestHeaders(!eos), buffered, buffered), "request-headers", requestTrailers(),
				"immediate 501 semantic_epp_trailers_only +content-type=application/json",
			},
			bodies: []string{""}, outcome: Answered,
		},
		"buffered: a second end is not answered": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "3"), buffered, buffered), "request-headers",
				requestBody("abc", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
				requestBody("", eos), requestTrailers(),
			},
			bodies: []string{"abc"},
		},
		"partial: a whole body is as good as a buffered one": {
			decide: func(_ context.Context, body []byte) (Verdict, error) { return Verdict{Body: [][]byte{body, body}}, nil },
			script: []any{
				declare(requestHeaders(!eos), bufferedPartial, none), "request-headers",
				requestBody("abc", eos), `request-body +content-length=6 replace "abcabc"`,
			},
			bodies: []string{"abc"},
		},
		"partial: Envoy would miss another route": {
			decide: look,
			script: []any{
				declare(requestHeaders(!eos), bufferedPartial, none), "request-headers",
				requestBody("abc", eos), "immediate 500 semantic_epp_body_mode +content-type=application/json",
			},
			bodies: []string{"abc"}, outcome: Answered,
		},
		"partial: AgentGateway knows no other route": {
			decide: pick,
			script: []any{
				declare(rawRequestHeaders(!eos, "accept", "*/*", ":method", "POST", ":path", "/"), bufferedPartial, none), "request-headers",
				requestBody("abc", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"partial, override allowed: the whole body is asked for": {
			cfg: Config{AllowModeOverride: true}, decide: pick,
			script: []any{
				declare(requestHeaders(!eos), bufferedPartial, fullDuplex), "request-headers override BUFFERED/FULL_DUPLEX_STREAMED",
				requestBody("abc", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"partial: a truncated body that stays as it is passes": {
			decide: func(context.Context, []byte) (Verdict, error) {
				return Verdict{HeaderEdits: HeaderEdits{Set: []Header{{"x-model", "big"}}}}, nil
			},
			script: []any{
				declare(requestHeaders(!eos, "content-length", "100"), bufferedPartial, none), "request-headers",
				requestBody("abc", !eos), "request-body +x-model=big",
			},
			bodies: []string{"abc"},
		},
		"partial: a fault found in a truncated body is blamed on that": {
			decide: func(context.Context, []byte) (Verdict, error) {
				return Verdict{}, &payload.Error{Status: 400, Code: "invalid_json"}
			},
			script: []any{
				declare(requestHeaders(!eos, "content-length", "100"), bufferedPartial, none), "request-headers",
				requestBody("abc", !eos), "immediate 413 semantic_epp_truncated +content-type=application/json",
			},
			bodies: []string{"abc"}, outcome: Answered,
		},
		"partial: a truncated body cannot be changed": {
			decide: pick,
			script: []any{
				declare(requestHeaders(!eos, "content-length", "100"), bufferedPartial, none), "request-headers",
				requestBody("abc", !eos), "immediate 413 semantic_epp_truncated +content-type=application/json",
			},
			bodies: []string{"abc"}, outcome: Answered,
		},
		"streamed, eager: headers, then an answer to each message": {
			decide: pick,
			script: []any{
				eager(declare(requestHeaders(!eos, "content-length", "9"), streamed, streamed)),
				requestBody("abc", !eos), requestBody("def", !eos), requestBody("ghi", eos),
				held, "request-body clear", "request-body clear", `request-body replace "<abcdefghi>"`,
			},
			bodies: []string{"abcdefghi"},
		},
		"streamed, eager: a body left alone is kept piece by piece": {
			decide: look,
			script: []any{
				eager(declare(requestHeaders(!eos), streamed, streamed)), requestBody("abc", !eos), requestBody("", eos),
				"request-headers" + edits + " reroute" + meta, "request-body", "request-body",
			},
			bodies: []string{"abc"},
		},
		"streamed, eager: complete by length, and trailers after it": {
			decide: pick,
			script: []any{
				eager(declare(requestHeaders(!eos, "content-length", "3"), streamed, streamed)), requestBody("abc", !eos),
				held, `request-body replace "<abc>"`, requestTrailers(), "request-trailers",
			},
			bodies: []string{"abc"},
		},
		"streamed, eager: complete by length, and an empty end mark after it": {
			decide: pick,
			script: []any{
				eager(declare(requestHeaders(!eos, "content-length", "3"), streamed, streamed)), requestBody("abc", !eos),
				held, `request-body replace "<abc>"`, requestBody("", eos), "request-body",
			},
			bodies: []string{"abc"},
		},
		"streamed: refused": {
			script: []any{
				declare(requestHeaders(!eos), streamed, streamed), "immediate 500 semantic_epp_body_mode +content-type=application/json",
			},
			outcome: Answered,
		},
		"GRPC mode: refused": {
			script: []any{
				declare(requestHeaders(!eos), filterv3.ProcessingMode_GRPC, none), "immediate 500 semantic_epp_body_mode +content-type=application/json",
			},
			outcome: Answered,
		},
		"none: refused": {
			script: []any{
				declare(requestHeaders(!eos), none, none), "immediate 500 semantic_epp_body_mode +content-type=application/json",
			},
			outcome: Answered,
		},
		"none, override allowed: the body is asked for": {
			cfg: Config{AllowModeOverride: true}, decide: pick,
			script: []any{
				declare(requestHeaders(!eos), none, streamed), "request-headers override BUFFERED/STREAMED",
				requestBody("abc", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"nothing declared: taken for buffered": {
			decide: pick,
			script: []any{
				requestHeaders(!eos), "request-headers",
				requestBody("abc", eos), "request-body" + exact + `5 replace "<abc>" reroute` + meta,
			},
			bodies: []string{"abc"},
		},
		"nothing declared: a body in pieces is refused": {
			script: []any{
				requestHeaders(!eos, "content-length", "6"), "request-headers",
				requestBody("abc", !eos), "immediate 500 semantic_epp_body_mode +content-type=application/json",
			},
			outcome: Answered,
		},
		"nothing declared: as configured": {
			cfg: Config{AssumedBodyMode: "FULL_DUPLEX_STREAMED"}, decide: pick,
			script: []any{
				requestHeaders(!eos), requestBody("abc", !eos), requestBody("", eos),
				held, `request-body stream "<abc>" eos`,
			},
			bodies: []string{"abc"},
		},
		"the handler's own reply": {
			decide: func(context.Context, []byte) (Verdict, error) {
				return Verdict{Reply: &Reply{Status: 200, Set: []Header{{"content-type", "text/plain"}}, Body: []byte("hi")}}, nil
			},
			script: []any{
				declare(requestHeaders(eos), fullDuplex, fullDuplex), "immediate 200 semantic_epp_reply +content-type=text/plain",
			},
			bodies: []string{""}, outcome: Answered,
		},
		"a body before its headers": {
			script: []any{declare(requestBody("abc", eos), fullDuplex, fullDuplex)}, code: codes.FailedPrecondition,
		},
		"trailers before their headers": {
			script: []any{declare(requestTrailers(), fullDuplex, fullDuplex)}, code: codes.FailedPrecondition,
		},
		"headers twice": {
			script: []any{declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestHeaders(!eos)}, code: codes.FailedPrecondition,
		},
		"the gateway closes in mid-body": {
			script: []any{declare(requestHeaders(!eos), fullDuplex, fullDuplex), requestBody("abc", !eos)}, code: codes.Aborted,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := &double{decide: tt.decide}
			err := newRig(t, h, tt.cfg).play(t, tt.script...)
			if got := status.Code(err); got != tt.code {
				t.Errorf("stream ended with %v, want %v", err, tt.code)
			}
			if len(h.heads) > 0 {
				h.wantEnds(t, tt.outcome)
			}
			if !slices.Equal(h.bodies, tt.bodies) {
				t.Errorf("handler saw bodies %q, want %q", h.bodies, tt.bodies)
			}
		})
	}
}

// One message in each direction is a slice, never a copy; many are one buffer.
func TestLargeBodiesGoBackInChunks(t *testing.T) {
	large := strings.Repeat("0123456789", 100_000)
	for name, mode := range map[string]struct{ pieces int }{
		"one message": {1},
		"sixteen":     {16},
		"a thousand":  {1000},
	} {
		for _, length := range []string{"", "1000000"} {
			t.Run(name+" length "+length, func(t *testing.T) {
				r := newRig(t, &double{decide: pick}, Config{})
				c := r.open(t.Context(), t)
				head := requestHeaders(!eos)
				if length != "" {
					head = requestHeaders(!eos, "content-length", length)
				}
				_ = c.Send(declare(head, fullDuplex, none))
				for part := range slices.Chunk([]byte(large), len(large)/mode.pieces) {
					_ = c.Send(requestBody(string(part), !eos))
				}
				_ = c.Send(requestBody("", eos))
				if _, err := c.Recv(); err != nil { // headers
					t.Fatal(err)
				}
				var got strings.Builder
				for ended := false; !ended; {
					answer, err := c.Recv()
					if err != nil {
						t.Fatal(err)
					}
					part := answer.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse()
					if len(part.GetBody()) > chunkBytes {
						t.Errorf("chunk of %d bytes, want at most %d", len(part.GetBody()), chunkBytes)
					}
					got.Write(part.GetBody())
					ended = part.GetEndOfStream()
				}
				if got.String() != "<"+large+">" {
					t.Errorf("got %d bytes back that differ from the %d sent", got.Len(), len(large)+2)
				}
				_ = c.CloseSend()
				_, _ = c.Recv()
			})
		}
	}
}
