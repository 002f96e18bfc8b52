package extproc

import (
	"context"
	"errors"
	"io"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// errAnswered ends a stream whose client has got its answer from us.
var errAnswered = errors.New("answered")

// A stream is one HTTP exchange. It takes one message at a time; each message
// is a step of the request (request.go) or of the reply (response.go). The two
// directions meet in one place: once a reply has begun, a request that is not
// complete is no longer waited for.
type stream struct {
	srv  *Server
	wire extprocv3.ExternalProcessor_ProcessServer
	ctx  context.Context
	log  logr.Logger

	begun    bool
	modes    modes
	exchange Exchange // nil before Begin, and after End
	request  request
	response response
	outcome  Outcome
}

// run takes messages until the gateway leaves, an error ends the stream, or we
// have answered the client ourselves.
func (s *stream) run() error {
	var message extprocv3.ProcessingRequest
	for {
		if err := s.wire.RecvMsg(&message); err != nil {
			return s.left(err)
		}
		if err := s.step(&message); err != nil {
			if errors.Is(err, errAnswered) {
				return nil
			}
			return err
		}
	}
}

// left returns what the stream ends with when the gateway has gone. A plain OK
// while it may still wait for an answer would make Envoy forward the request
// without its body.
func (s *stream) left(err error) error {
	if !errors.Is(err, io.EOF) {
		return err
	}
	if s.request.phase == gathering && s.response.phase == awaiting {
		return status.Error(codes.Aborted, "the stream was closed before the request was complete")
	}
	return nil
}

func (s *stream) step(message *extprocv3.ProcessingRequest) error {
	if !s.begun {
		if message.GetObservabilityMode() {
			return status.Error(codes.FailedPrecondition, "the gateway's ext_proc filter has observability_mode set, in which no request can be changed: unset it")
		}
		s.begun = true
		s.modes = modesOf(message, s.srv.assumedMode)
		s.srv.metrics.requestModes.inc(s.modes.request)
		s.srv.metrics.responseModes.inc(s.modes.response)
	}
	switch m := message.GetRequest().(type) {
	case *extprocv3.ProcessingRequest_RequestHeaders:
		return s.requestHeaders(m.RequestHeaders, message)
	case *extprocv3.ProcessingRequest_RequestBody:
		return s.requestBody(m.RequestBody)
	case *extprocv3.ProcessingRequest_RequestTrailers:
		return s.requestTrailers()
	case *extprocv3.ProcessingRequest_ResponseHeaders:
		return s.responseHeaders(m.ResponseHeaders, message)
	case *extprocv3.ProcessingRequest_ResponseBody:
		return s.responseBody(m.ResponseBody)
	case *extprocv3.ProcessingRequest_ResponseTrailers:
		return s.responseTrailers()
	default:
		return s.outOfOrder("a message of unknown kind")
	}
}

func (s *stream) send(answer *extprocv3.ProcessingResponse) error { return s.wire.SendMsg(answer) }

// outOfOrder ends the stream over a message that cannot come where it came.
func (s *stream) outOfOrder(what string) error {
	s.srv.metrics.outOfOrder.Inc()
	return status.Errorf(codes.FailedPrecondition, "ext_proc message out of order: %s", what)
}

// drop ignores a message after the end of its direction: the end was answered,
// and a second answer would be one too many.
func (s *stream) drop() error {
	s.srv.metrics.outOfOrder.Inc()
	return nil
}

// finish ends the exchange, once.
func (s *stream) finish(outcome Outcome) {
	if exchange := s.exchange; exchange != nil {
		s.exchange = nil
		s.srv.metrics.outcome[outcome].Inc()
		exchange.End(outcome)
	}
}

// release gives back what the stream holds, on every way out.
func (s *stream) release() {
	s.request.body.free(&s.srv.budget)
	s.finish(s.outcome)
}
