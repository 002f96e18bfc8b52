package extproc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc/status"

	"semantic-epp/payload"
)

// A refusal is an error that the client is told.
type refusal struct {
	reason string // a fixed word, for metrics and access logs
	fault  payload.Error
	retry  bool // it may go well a moment later
}

var (
	bufferFull = refusal{reason: "buffer_full", retry: true, fault: payload.Error{
		Status: http.StatusServiceUnavailable, Code: "overloaded",
		Message: "too many request bytes are waiting; try again in a moment"}}

	tooSlow = refusal{reason: "timeout", retry: true, fault: payload.Error{
		Status: http.StatusServiceUnavailable, Code: "decision_timeout",
		Message: "no decision about this request in time; try again in a moment"}}

	internal = refusal{reason: "internal", fault: payload.Error{
		Status: http.StatusInternalServerError, Code: "internal_error",
		Message: "the endpoint picker could not handle this request"}}

	cutShort = refusal{reason: "truncated", fault: payload.Error{
		Status: http.StatusRequestEntityTooLarge, Code: "request_truncated",
		Message: "the gateway shows only the beginning of this request (request_body_mode: BUFFERED_PARTIAL): " +
			"send less, or let the gateway use FULL_DUPLEX_STREAMED or a larger buffer"}}

	routeLost = refusal{reason: "body_mode", fault: payload.Error{
		Status: http.StatusInternalServerError, Code: "body_mode",
		Message: "the gateway can miss the choice of a route in request_body_mode BUFFERED_PARTIAL: set request_body_mode " +
			"to FULL_DUPLEX_STREAMED or BUFFERED, or allow mode override on the gateway and in the endpoint picker"}}

	undeclaredMode = refusal{reason: "body_mode", fault: payload.Error{
		Status: http.StatusInternalServerError, Code: "body_mode",
		Message: "the gateway sends the request body in pieces and declares no request_body_mode (no protocol_config): " +
			"upgrade it, set request_body_mode to BUFFERED, or set the assumed body mode of the endpoint picker"}}

	trailersOnly = refusal{reason: "trailers_only", fault: payload.Error{
		Status: http.StatusNotImplemented, Code: "trailers_only",
		Message: "a request without a body but with trailers cannot be changed in request_body_mode BUFFERED: " +
			"set request_body_mode to FULL_DUPLEX_STREAMED"}}
)

func tooLarge(limit int64) refusal {
	return refusal{reason: "too_large", fault: payload.Error{
		Status: http.StatusRequestEntityTooLarge, Code: "request_too_large",
		Message: fmt.Sprintf("the request body is larger than the allowed %d bytes", limit)}}
}

// badMode names the setting that has to change.
func badMode(mode bodyMode) refusal {
	why := "the gateway sends request bodies in a way that cannot be used here (request_body_mode: " + mode.String() + ")"
	remedy := "set request_body_mode to FULL_DUPLEX_STREAMED or BUFFERED"
	switch mode {
	case none:
		remedy += ", or set allow_mode_override on the gateway and allow mode override in the endpoint picker"
	case streamed:
		remedy += ", or set send_body_without_waiting_for_header_response"
	}
	return refusal{reason: "body_mode", fault: payload.Error{
		Status: http.StatusInternalServerError, Code: "body_mode",
		Message: why + ": " + remedy}}
}

// fail ends the request over an error of the handler, or about its verdict.
func (s *stream) fail(err error) error {
	if gone := s.ctx.Err(); gone != nil { // nobody is there to be told
		return status.FromContextError(gone).Err()
	}
	var fault *payload.Error
	switch {
	case errors.As(err, &fault) && canSend(fault.Status):
		retry := fault.Status == http.StatusTooManyRequests || fault.Status == http.StatusServiceUnavailable
		return s.refuse(refusal{reason: "handler", fault: *fault, retry: retry})
	case errors.Is(err, context.DeadlineExceeded):
		return s.refuse(tooSlow)
	default:
		s.log.Error(err, "request could not be decided")
		return s.refuse(internal)
	}
}

// refuse answers the client with an error in the shape of its API and ends the
// stream.
func (s *stream) refuse(r refusal) error {
	s.srv.metrics.refusals.WithLabelValues(r.reason).Inc()
	s.log.V(1).Info("request refused", "reason", r.reason, "status", r.fault.Status, "code", detail(r.fault.Code))
	reply := Reply{
		Status: r.fault.Status,
		Set:    []Header{{Name: "content-type", Value: "application/json"}},
		Body:   r.fault.Body(payload.APIOf(s.request.head.Method, s.request.head.Path)),
	}
	if r.retry {
		reply.Set = append(reply.Set, Header{Name: "retry-after", Value: "1"})
	}
	details := r.reason
	if r.reason == "handler" {
		details = detail(r.fault.Code)
	}
	return s.answerClient(&reply, details)
}

// reply answers the client as the handler says.
func (s *stream) reply(reply *Reply) error {
	if !canSend(reply.Status) {
		return s.fail(fmt.Errorf("verdict replies with status %d, which gateways do not know", reply.Status))
	}
	return s.answerClient(reply, "reply")
}

func (s *stream) answerClient(reply *Reply, details string) error {
	edits, err := headerMutation(HeaderEdits{Set: reply.Set}, keepLength)
	if err != nil {
		return s.fail(err)
	}
	s.outcome = Answered
	err = s.send(&extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &extprocv3.ImmediateResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(reply.Status)},
			Headers: edits,
			Body:    reply.Body,
			Details: "semantic_epp_" + details,
		}}})
	if err != nil {
		return err
	}
	return errAnswered
}

// canSend reports whether a gateway sends a client this status.
func canSend(code int) bool {
	_, known := typev3.StatusCode_name[int32(code)]
	return known && code >= http.StatusOK
}

// detail keeps of a code what is fit for the details of access logs.
func detail(code string) string {
	fit := code != "" && len(code) <= 64 && strings.Trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
	if !fit {
		return "error"
	}
	return code
}
