package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/status"
)

// An exchange is the gateway's side of one ext_proc stream. What the picker
// sends is read as it comes, so that sending never waits for reading.
type exchange struct {
	patience time.Duration
	wire     procv3.ExternalProcessor_ProcessClient
	cancel   context.CancelFunc
	answers  chan *procv3.ProcessingResponse // closed at the stream's end
	end      error                           // io.EOF for OK; valid once answers is closed
	done     sync.WaitGroup
}

// maxAnswers bounds what is kept of a picker that answers without end.
const maxAnswers = 4096

// open opens a stream, which close ends.
func (t *target) open(ctx context.Context) (*exchange, error) {
	ctx, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(t.patience, cancel)
	wire, err := t.client.Process(ctx)
	if inTime := late.Stop(); err != nil || !inTime {
		cancel()
		if !inTime {
			err = fmt.Errorf("no connection within %v", t.patience)
		}
		return nil, fmt.Errorf("open a stream: %w", err)
	}
	x := &exchange{patience: t.patience, wire: wire, cancel: cancel, answers: make(chan *procv3.ProcessingResponse, maxAnswers)}
	x.done.Go(func() {
		defer close(x.answers)
		for {
			m, err := wire.Recv()
			if err != nil {
				x.end = err
				return
			}
			select {
			case x.answers <- m:
			case <-ctx.Done():
				x.end = ctx.Err()
				return
			}
		}
	})
	return x, nil
}

// close cancels the stream, as Envoy does once it has what it needs.
func (x *exchange) close() {
	x.cancel()
	x.done.Wait()
}

// send sends messages, each of which the picker must take in time. When it has
// ended the stream, the reason comes with the next answer.
func (x *exchange) send(messages ...*procv3.ProcessingRequest) error {
	for _, m := range messages {
		late := time.AfterFunc(x.patience, x.cancel)
		err := x.wire.Send(m)
		if !late.Stop() {
			return fmt.Errorf("the picker did not take %s within %v", kindOfRequest(m), x.patience)
		}
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("send %s: %w", kindOfRequest(m), err)
		}
	}
	return nil
}

// errEnded is the end of a stream where an answer was due.
type errEnded struct{ cause error }

func (e errEnded) Error() string {
	if errors.Is(e.cause, io.EOF) {
		return "the stream ended with OK where an answer was due (Envoy then forwards the request without its body)"
	}
	return fmt.Sprintf("the stream ended with %v where an answer was due: %s", status.Code(e.cause), status.Convert(e.cause).Message())
}

// next waits for an answer to what.
func (x *exchange) next(what string) (*procv3.ProcessingResponse, error) {
	timer := time.NewTimer(x.patience)
	defer timer.Stop()
	select {
	case m, ok := <-x.answers:
		if !ok {
			return nil, errEnded{x.end}
		}
		return m, nil
	case <-timer.C:
		return nil, fmt.Errorf("no answer to %s within %v", what, x.patience)
	}
}

// finish half-closes the stream and wants it to end, without another answer.
func (x *exchange) finish() error {
	if err := x.wire.CloseSend(); err != nil {
		return fmt.Errorf("half-close the stream: %w", err)
	}
	timer := time.NewTimer(x.patience)
	defer timer.Stop()
	select {
	case m, ok := <-x.answers:
		if ok {
			return fmt.Errorf("one answer too many: %s", kindOf(m))
		}
		return nil
	case <-timer.C:
		return fmt.Errorf("the stream did not end within %v of its half-close", x.patience)
	}
}

// An outcome is all that a picker answered to one direction of an exchange.
type outcome struct {
	sequence []string // kinds of answers, in order
	head     *procv3.CommonResponse
	heads    int
	metadata map[string]string // what envoy.lb says in any answer
	// lateMetadata: a body answer has dynamic metadata.
	lateMetadata bool
	parts        []*procv3.BodyResponse
	body         []byte // of streamed_response or body
	largest      int    // bytes of the largest part
	ends         int    // end_of_stream marks
	afterEnd     bool   // a part came after an end mark
	trailers     int
	immediate    *procv3.ImmediateResponse
	override     bool
	edits        []*corev3.HeaderValueOption // of all answers
	removed      []string
}

// add notes one answer.
func (o *outcome) add(m *procv3.ProcessingResponse) {
	o.sequence = append(o.sequence, kindOf(m))
	for key, value := range m.GetDynamicMetadata().GetFields()[lbNamespace].GetStructValue().GetFields() {
		if o.metadata == nil {
			o.metadata = map[string]string{}
		}
		o.metadata[key] = value.GetStringValue()
	}
	_, isBody := m.GetResponse().(*procv3.ProcessingResponse_RequestBody)
	o.lateMetadata = o.lateMetadata || (isBody && m.GetDynamicMetadata() != nil)
	o.override = o.override || m.GetModeOverride() != nil
	switch r := m.GetResponse().(type) {
	case *procv3.ProcessingResponse_RequestHeaders:
		o.addHead(r.RequestHeaders)
	case *procv3.ProcessingResponse_ResponseHeaders:
		o.addHead(r.ResponseHeaders)
	case *procv3.ProcessingResponse_RequestBody:
		o.addBody(r.RequestBody)
	case *procv3.ProcessingResponse_ResponseBody:
		o.addBody(r.ResponseBody)
	case *procv3.ProcessingResponse_RequestTrailers, *procv3.ProcessingResponse_ResponseTrailers:
		o.trailers++
	case *procv3.ProcessingResponse_ImmediateResponse:
		o.immediate = r.ImmediateResponse
	}
}

func (o *outcome) addHead(h *procv3.HeadersResponse) {
	o.heads++
	o.head = h.GetResponse()
	o.addEdits(h.GetResponse())
}

func (o *outcome) addEdits(c *procv3.CommonResponse) {
	o.edits = append(o.edits, c.GetHeaderMutation().GetSetHeaders()...)
	o.removed = append(o.removed, c.GetHeaderMutation().GetRemoveHeaders()...)
}

func (o *outcome) addBody(b *procv3.BodyResponse) {
	o.parts = append(o.parts, b)
	o.addEdits(b.GetResponse())
	mutation := b.GetResponse().GetBodyMutation()
	o.afterEnd = o.afterEnd || o.ends > 0
	bytes := mutation.GetBody()
	if part := mutation.GetStreamedResponse(); part != nil {
		bytes = part.GetBody()
		if part.GetEndOfStream() {
			o.ends++
		}
	}
	o.largest = max(o.largest, len(bytes))
	o.body = append(o.body, bytes...)
}

// got is the sequence as a reader wants it.
func (o *outcome) got() string {
	if o.immediate != nil {
		return fmt.Sprintf("%s (status %d: %.200s)", strings.Join(o.sequence, ", "), o.immediate.GetStatus().GetCode(), o.immediate.GetBody())
	}
	if len(o.sequence) > 8 {
		return strings.Join(o.sequence[:4], ", ") + fmt.Sprintf(", … (%d answers), ", len(o.sequence)) + o.sequence[len(o.sequence)-1]
	}
	return strings.Join(o.sequence, ", ")
}

// collect reads answers to what into o until enough says so or the picker
// answers the client itself.
func (x *exchange) collect(o *outcome, what string, enough func(*outcome) bool) error {
	for o.immediate == nil && !enough(o) {
		m, err := x.next(what)
		if err != nil {
			if len(o.sequence) > 0 {
				err = fmt.Errorf("after %s: %w", o.got(), err)
			}
			return err
		}
		o.add(m)
	}
	return nil
}

// ask sends a request as its mode's gateway does and returns the answers. The
// exchange stays open for the reply; close it.
func (t *target) ask(ctx context.Context, r request) (*exchange, *outcome, error) {
	x, err := t.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	o := &outcome{}
	if err := x.play(t, &r, o); err != nil {
		x.close()
		return nil, nil, err
	}
	return x, o, nil
}

// settle asks, wants nothing to come after the answers, and closes.
func (t *target) settle(ctx context.Context, r request) (*outcome, error) {
	x, o, err := t.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	defer x.close()
	return o, x.finish()
}

// play sends the messages of a request: all at once where the mode has them
// follow each other, and each after the answer to the one before where a gateway
// waits for it.
func (x *exchange) play(t *target, r *request, o *outcome) error {
	head, rest := r.head(t), r.rest()
	if r.mode == fullDuplex || r.bodyless() || r.eager {
		if err := x.send(append([]*procv3.ProcessingRequest{head}, rest...)...); err != nil {
			return err
		}
		return x.collect(o, "the request", r.answered)
	}
	if err := x.send(head); err != nil {
		return err
	}
	if err := x.collect(o, "the request headers, for which the gateway waits before it sends the body", func(o *outcome) bool { return o.heads > 0 }); err != nil {
		return err
	}
	if r.mode == none {
		return nil
	}
	for i, m := range rest {
		if o.immediate != nil {
			return nil
		}
		if err := x.send(m); err != nil {
			return err
		}
		if r.mode == buffered && r.emptyEnd && i+1 < len(rest) {
			continue // AgentGateway sends the end without waiting
		}
		want := i + 2 // answers: the headers', and one a message
		if r.emptyEnd {
			want--
		}
		if err := x.collect(o, kindOfRequest(m), func(o *outcome) bool { return len(o.sequence) >= want }); err != nil {
			return err
		}
	}
	return nil
}

// answered reports whether a request that was sent at once is answered.
func (r *request) answered(o *outcome) bool {
	switch {
	case o.heads == 0:
		return false
	case r.bodyless():
		return true
	case r.mode != fullDuplex:
		return len(o.sequence) > len(r.rest())
	case r.trailers:
		return o.trailers > 0
	default:
		return o.ends > 0
	}
}

func kindOf(m *procv3.ProcessingResponse) string {
	switch m.GetResponse().(type) {
	case *procv3.ProcessingResponse_RequestHeaders:
		return "request headers"
	case *procv3.ProcessingResponse_RequestBody:
		return "request body"
	case *procv3.ProcessingResponse_RequestTrailers:
		return "request trailers"
	case *procv3.ProcessingResponse_ResponseHeaders:
		return "response headers"
	case *procv3.ProcessingResponse_ResponseBody:
		return "response body"
	case *procv3.ProcessingResponse_ResponseTrailers:
		return "response trailers"
	case *procv3.ProcessingResponse_ImmediateResponse:
		return "immediate response"
	default:
		return fmt.Sprintf("%T", m.GetResponse())
	}
}

func kindOfRequest(m *procv3.ProcessingRequest) string {
	switch m.GetRequest().(type) {
	case *procv3.ProcessingRequest_RequestHeaders:
		return "the request headers"
	case *procv3.ProcessingRequest_RequestBody:
		return "a part of the request body"
	case *procv3.ProcessingRequest_RequestTrailers:
		return "the request trailers"
	case *procv3.ProcessingRequest_ResponseHeaders:
		return "the response headers"
	case *procv3.ProcessingRequest_ResponseBody:
		return "a part of the response body"
	default:
		return "the response trailers"
	}
}
