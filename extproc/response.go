package extproc

import (
	"strconv"
	"strings"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// response is the state of the reply direction.
type response struct {
	phase    phase
	framing  framing
	received int64 // bytes of the body
	gathered bool  // a message of the body came

	// shown: the handler decided the request, so it sees the reply.
	shown bool
	// answered: a body that wants one answer has got it.
	answered bool
	// released: we asked the gateway to send no body here.
	released bool
}

func (s *stream) responseHeaders(message *extprocv3.HttpHeaders, whole *extprocv3.ProcessingRequest) error {
	if s.response.phase != awaiting {
		return s.outOfOrder("response headers after the reply had begun")
	}
	head := ResponseHead{Headers: Headers{fields: message.GetHeaders().GetHeaders()}}
	s.beginResponse(framingOf(head.Headers))

	answer := continueResponse
	if s.response.shown {
		head.Status, head.Served = statusOf(head.Headers), servedAddress(whole)
		answer = s.editedResponse(s.exchange.ResponseHeaders(s.ctx, &head))
	}
	if !message.GetEndOfStream() && s.holdsBack() && isEventStream(head.Headers) {
		s.response.released = true
		answer = responseHeadersAnswer(answer.GetResponseHeaders().GetResponse().GetHeaderMutation())
		answer.ModeOverride = override(s.modes.request, none)
	}
	if s.modes.response == none || s.response.released {
		s.outcome = Unobserved
	}
	if err := s.send(answer); err != nil {
		return err
	}
	if message.GetEndOfStream() {
		s.endResponse()
	}
	return nil
}

// beginResponse notes that a reply has begun. A request that is not complete
// by now is not waited for any more: the gateway replied without us.
func (s *stream) beginResponse(f framing) {
	s.response.phase, s.response.framing = gathering, f
	s.response.shown = s.request.phase == complete
	if !s.response.shown {
		s.srv.metrics.undecided.Inc()
		s.request.body.free(&s.srv.budget)
	}
}

// editedResponse is the answer with the handler's edits.
func (s *stream) editedResponse(edits HeaderEdits) *extprocv3.ProcessingResponse {
	mutation, err := headerMutation(edits, keepLength)
	if err != nil {
		s.log.Error(err, "reply passes without header edits")
		return continueResponse
	}
	if mutation == nil {
		return continueResponse
	}
	return responseHeadersAnswer(mutation)
}

// holdsBack reports whether the gateway collects the reply before it goes on.
func (s *stream) holdsBack() bool {
	return s.modes.response == buffered || s.modes.response == bufferedPartial
}

func (s *stream) responseBody(message *extprocv3.HttpBody) error {
	switch s.response.phase {
	case complete:
		return s.drop()
	case awaiting: // response_header_mode is SKIP
		s.beginResponse(framing{length: unknownLength, oneMessage: true})
	}
	part, ended := message.GetBody(), message.GetEndOfStream()
	s.response.gathered = true
	s.response.received += int64(len(part))
	whole := s.wholeResponse(ended)
	if err := s.answerResponseBody(part, ended, whole); err != nil {
		return err
	}
	if s.response.shown && s.exchange != nil && len(part) > 0 {
		s.exchange.ResponseBody(s.ctx, part)
	}
	switch {
	case ended:
		s.endResponse()
	case whole: // the end mark, if there is to be one, adds nothing
		s.finish(Completed)
	case s.modes.response == bufferedPartial:
		s.outcome = Unobserved
	}
	return nil
}

// wholeResponse reports whether all of the reply's body came, after one more
// message.
func (s *stream) wholeResponse(ended bool) bool {
	if s.modes.response == buffered && !s.modes.assumed {
		return s.response.framing.complete(s.response.received, ended)
	}
	return ended
}

// answerResponseBody lets a part of the reply go on as it is.
func (s *stream) answerResponseBody(part []byte, ended, whole bool) error {
	switch {
	case s.modes.response == fullDuplex:
		return s.send(streamedResponseBody(part, ended))
	case s.modes.response == buffered && !s.modes.assumed:
		if s.response.answered || !whole {
			return nil
		}
		s.response.answered = true
	}
	return s.send(keepResponseBody)
}

func (s *stream) responseTrailers() error {
	switch s.response.phase {
	case complete:
		return s.drop()
	case awaiting:
		s.beginResponse(framing{length: unknownLength, oneMessage: true})
	}
	if s.unansweredBody() {
		if err := s.send(keepResponseBody); err != nil {
			return err
		}
	}
	if err := s.send(keepResponseTrailers); err != nil {
		return err
	}
	s.endResponse()
	return nil
}

// unansweredBody reports whether a buffered body still waits for its answer
// when trailers show that it was complete.
func (s *stream) unansweredBody() bool {
	return s.modes.response == buffered && !s.modes.assumed && s.response.gathered && !s.response.answered
}

func (s *stream) endResponse() {
	s.response.phase = complete
	s.finish(Completed)
}

// statusOf returns 0 where the gateway did not say.
func statusOf(h Headers) int {
	code, err := strconv.Atoi(h.Get(":status"))
	if err != nil {
		return 0
	}
	return code
}

func isEventStream(h Headers) bool {
	mediaType, _, _ := strings.Cut(h.Get("content-type"), ";")
	return strings.EqualFold(strings.TrimSpace(mediaType), "text/event-stream")
}

// servedAddress is the server that replied, as Envoy says in an attribute and
// InferencePool gateways say in dynamic metadata.
func servedAddress(message *extprocv3.ProcessingRequest) string {
	attributes := message.GetAttributes()["envoy.filters.http.ext_proc"]
	if address := attributes.GetFields()["upstream.address"].GetStringValue(); address != "" {
		return address
	}
	metadata := message.GetMetadataContext().GetFilterMetadata()["envoy.lb"]
	return metadata.GetFields()["x-gateway-destination-endpoint-served"].GetStringValue()
}
