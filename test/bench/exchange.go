package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filter "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// chunkBytes is the largest piece of a body that the client sends at once.
const chunkBytes = 64 << 10

// exchangeDeadline ends an exchange with a server that has stopped answering.
const exchangeDeadline = 30 * time.Second

// An exchange is one HTTP request and its reply as Envoy would put them to an
// ext_proc server in FULL_DUPLEX_STREAMED mode, and what must come back. It is
// not changed by use and may be used by many goroutines at once.
type exchange struct {
	request  []*extproc.ProcessingRequest // body chunks
	reply    []*extproc.ProcessingRequest // reply headers and body
	size     int                          // length of the request body in bytes
	wantBody []byte                       // the request body that must come back
	wantBack []byte                       // the reply body that must come back
	allowed  map[string]bool              // values that the destination header may have
}

// newExchange makes an exchange whose client asks for the model asked and whose
// server is expected to choose benchModel; all else in the body must stay. eps
// are the endpoints that a picker may choose; without any, none is required.
func newExchange(asked string, size int, seed uint64, eps []endpoint) (*exchange, error) {
	body, err := chatRequest(asked, size, seed)
	if err != nil {
		return nil, err
	}
	reply, err := chatReply(benchModel)
	if err != nil {
		return nil, err
	}
	e := &exchange{
		size:     len(body),
		wantBody: bytes.Replace(body, quotedModel(asked), quotedModel(benchModel), 1),
		wantBack: reply,
		allowed:  map[string]bool{},
	}
	for _, ep := range eps {
		e.allowed[ep.hostPort()] = true
	}
	for rest := body; len(rest) > 0; {
		n := min(len(rest), chunkBytes)
		e.request = append(e.request, &extproc.ProcessingRequest{Request: &extproc.ProcessingRequest_RequestBody{
			RequestBody: &extproc.HttpBody{Body: rest[:n], EndOfStream: n == len(rest)}}})
		rest = rest[n:]
	}
	e.reply = []*extproc.ProcessingRequest{
		{Request: &extproc.ProcessingRequest_ResponseHeaders{ResponseHeaders: &extproc.HttpHeaders{Headers: headers(
			":status", "200", "content-type", "application/json", "content-length", strconv.Itoa(len(reply)),
			"server", "uvicorn", "date", "Tue, 21 Oct 2025 10:00:00 GMT")}}},
		{Request: &extproc.ProcessingRequest_ResponseBody{
			ResponseBody: &extproc.HttpBody{Body: reply, EndOfStream: true}}},
	}
	return e, nil
}

// quotedModel is the model's name as it stands in the body.
func quotedModel(name string) []byte { return []byte(`"model":"` + name + `"`) }

// exchanges counts all exchanges of this process: request ids must be unique,
// since pickers keep state under them.
var exchanges atomic.Uint64

// head is the first message of an exchange: the request's headers and the
// protocol that the filter speaks.
func (e *exchange) head() *extproc.ProcessingRequest {
	id := fmt.Sprintf("bench-%016x", exchanges.Add(1))
	return &extproc.ProcessingRequest{
		ProtocolConfig: &extproc.ProtocolConfiguration{
			RequestBodyMode:  filter.ProcessingMode_FULL_DUPLEX_STREAMED,
			ResponseBodyMode: filter.ProcessingMode_FULL_DUPLEX_STREAMED,
		},
		Request: &extproc.ProcessingRequest_RequestHeaders{RequestHeaders: &extproc.HttpHeaders{Headers: headers(
			":method", "POST", ":path", "/v1/chat/completions", ":scheme", "http", ":authority", "gateway.example",
			"content-type", "application/json", "content-length", strconv.Itoa(e.size),
			"user-agent", "bench", "accept", "*/*", "x-forwarded-proto", "http", "x-request-id", id)}},
	}
}

// headers pairs up keys and values, in Envoy's form (raw values).
func headers(pairs ...string) *core.HeaderMap {
	m := &core.HeaderMap{}
	for i := 0; i+1 < len(pairs); i += 2 {
		m.Headers = append(m.Headers, &core.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return m
}

// run does the exchange on a stream of its own and checks every answer. It
// returns nil only if all came, in order, whole, and the stream ended well.
func (e *exchange) run(ctx context.Context, client extproc.ExternalProcessorClient) error {
	ctx, cancel := context.WithTimeout(ctx, exchangeDeadline) // ends the stream on every way out
	defer cancel()
	stream, err := client.Process(ctx)
	if err != nil {
		return fmt.Errorf("open a stream: %w", err)
	}
	if err := e.ask(stream); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if err := e.answer(stream); err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("close the stream: %w", err)
	}
	if extra, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("end of stream: got a %T and error %v, want the end", extra.GetResponse(), err)
	}
	return nil
}

// ask sends the request and reads what the server makes of it.
func (e *exchange) ask(stream extproc.ExternalProcessor_ProcessClient) error {
	if err := sendAll(stream, append([]*extproc.ProcessingRequest{e.head()}, e.request...)); err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("receive the headers answer: %w", err)
	}
	answer, ok := first.Response.(*extproc.ProcessingResponse_RequestHeaders)
	if !ok {
		return unexpected(first, "an answer to the request headers")
	}
	if err := e.checkDestination(answer.RequestHeaders); err != nil {
		return err
	}
	return readBody(stream, e.wantBody, func(m *extproc.ProcessingResponse) *extproc.BodyResponse { return m.GetRequestBody() })
}

// checkDestination looks for the one header that makes a server a picker.
func (e *exchange) checkDestination(answer *extproc.HeadersResponse) error {
	if len(e.allowed) == 0 {
		return nil
	}
	for _, option := range answer.GetResponse().GetHeaderMutation().GetSetHeaders() {
		if option.GetHeader().GetKey() != destinationHeader {
			continue
		}
		value := string(option.Header.RawValue)
		if value == "" {
			value = option.Header.Value
		}
		if !e.allowed[value] {
			return fmt.Errorf("header %s names %q, which is no endpoint", destinationHeader, value)
		}
		return nil
	}
	return fmt.Errorf("header %s is not set", destinationHeader)
}

// answer sends the model server's reply and reads what the server makes of it.
func (e *exchange) answer(stream extproc.ExternalProcessor_ProcessClient) error {
	if err := sendAll(stream, e.reply); err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return fmt.Errorf("receive the headers answer: %w", err)
	}
	if _, ok := first.Response.(*extproc.ProcessingResponse_ResponseHeaders); !ok {
		return unexpected(first, "an answer to the reply headers")
	}
	return readBody(stream, e.wantBack, func(m *extproc.ProcessingResponse) *extproc.BodyResponse { return m.GetResponseBody() })
}

// sendAll sends messages in order. When the server has ended the stream, Send
// only says EOF; the reason comes with the next Recv, so it is left to that.
func sendAll(stream extproc.ExternalProcessor_ProcessClient, messages []*extproc.ProcessingRequest) error {
	for _, m := range messages {
		if err := stream.Send(m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("send a %T: %w", m.Request, err)
		}
	}
	return nil
}

// readBody reads streamed body answers, which of takes from a message, to their
// end and compares them with want without joining them.
func readBody(stream extproc.ExternalProcessor_ProcessClient, want []byte, of func(*extproc.ProcessingResponse) *extproc.BodyResponse) error {
	for rest := want; ; {
		m, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("receive the body, %d of %d bytes read: %w", len(want)-len(rest), len(want), err)
		}
		piece := of(m).GetResponse().GetBodyMutation().GetStreamedResponse()
		if piece == nil {
			return unexpected(m, "a streamed body")
		}
		if !bytes.HasPrefix(rest, piece.Body) {
			return fmt.Errorf("the body that came back differs after byte %d of %d", len(want)-len(rest), len(want))
		}
		rest = rest[len(piece.Body):]
		if !piece.EndOfStream {
			continue
		}
		if len(rest) > 0 {
			return fmt.Errorf("the body that came back ends at byte %d of %d", len(want)-len(rest), len(want))
		}
		return nil
	}
}

// unexpected says what came instead of want; of an immediate response, its status.
func unexpected(m *extproc.ProcessingResponse, want string) error {
	if now := m.GetImmediateResponse(); now != nil {
		return fmt.Errorf("got an immediate response, status %d, details %q, want %s", now.GetStatus().GetCode(), now.GetDetails(), want)
	}
	return fmt.Errorf("got a %T, want %s", m.GetResponse(), want)
}
