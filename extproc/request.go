package extproc

import (
	"context"
	"errors"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"

	"semantic-epp/payload"
)

// A phase is how far one direction of an exchange has come.
type phase uint8

const (
	awaiting  phase = iota // nothing came yet
	gathering              // its body is on its way
	complete               // all that matters came
)

// request is the state of the request direction.
type request struct {
	phase   phase
	head    RequestHead
	framing framing
	body    body

	// ended: end_of_stream or trailers came, so no further message is due.
	ended bool
	// trailers: the request ended by trailers, which want an answer.
	trailers bool
	// bodyless: the headers were the whole request.
	bodyless bool
	// truncated: the gateway shows only the beginning of the body.
	truncated bool
}

func (s *stream) requestHeaders(message *extprocv3.HttpHeaders, whole *extprocv3.ProcessingRequest) error {
	if s.request.phase != awaiting || s.response.phase != awaiting {
		return s.outOfOrder("request headers after other messages")
	}
	s.request.phase = gathering
	s.request.head = requestHeadOf(message)
	s.request.head.Subset = subsetHint(whole)
	s.request.framing = framingOf(s.request.head.Headers)
	s.exchange = s.srv.handler.Begin(s.ctx, &s.request.head)
	if message.GetEndOfStream() {
		s.request.ended, s.request.bodyless = true, true
		return s.decide()
	}
	if s.request.framing.length > s.srv.maxRequestBytes {
		return s.refuse(tooLarge(s.srv.maxRequestBytes))
	}
	return s.awaitBody()
}

// awaitBody does what the mode asks for between headers and body: answer the
// headers, hold that answer back, or refuse.
func (s *stream) awaitBody() error {
	switch s.modes.request {
	case fullDuplex:
		return nil
	case buffered:
		return s.send(continueRequest)
	case bufferedPartial, none:
		if s.srv.allowOverride {
			s.modes.request = buffered
			return s.send(continueWithBody(s.modes.response))
		}
		if s.modes.request == bufferedPartial {
			return s.send(continueRequest)
		}
	case streamed:
		if s.modes.eager {
			return nil
		}
	}
	return s.refuse(badMode(s.modes.request))
}

func (s *stream) requestBody(message *extprocv3.HttpBody) error {
	switch {
	case s.request.phase == awaiting:
		return s.outOfOrder("request body without request headers: request_header_mode must be SEND")
	case s.request.phase == complete:
		return s.lateRequestBody(message.GetEndOfStream())
	case s.response.phase != awaiting: // the gateway has replied by itself
		return nil
	}
	b := &s.request.body
	switch err := b.add(message.GetBody(), s.request.framing.length, s.srv.maxRequestBytes, &s.srv.budget); {
	case errors.Is(err, errTooLarge):
		return s.refuse(tooLarge(s.srv.maxRequestBytes))
	case err != nil:
		return s.refuse(bufferFull)
	}
	s.request.ended = message.GetEndOfStream()
	s.request.truncated = s.modes.request == bufferedPartial && !s.wholeByMark()
	if s.bodyComplete() {
		return s.decide()
	}
	if s.modes.assumed && s.modes.request == buffered {
		return s.refuse(undeclaredMode)
	}
	return nil
}

// bodyComplete reports whether the request can be decided, after one more
// message of its body.
func (s *stream) bodyComplete() bool {
	switch s.modes.request {
	case buffered:
		return s.request.framing.complete(int64(len(s.request.body.bytes)), s.request.ended)
	case bufferedPartial: // one message, and the gateway waits for its answer
		return true
	case streamed:
		return s.wholeByMark()
	default: // FULL_DUPLEX_STREAMED: the answers must follow the end mark
		return s.request.ended
	}
}

// wholeByMark reports whether end_of_stream or content-length shows that all of
// the body came.
func (s *stream) wholeByMark() bool {
	length := s.request.framing.length
	return s.request.ended || (length != unknownLength && int64(len(s.request.body.bytes)) >= length)
}

// lateRequestBody takes body messages after the request was decided.
func (s *stream) lateRequestBody(endOfStream bool) error {
	if s.request.ended {
		return s.drop()
	}
	s.request.ended = endOfStream
	if s.modes.request == streamed { // where every message wants an answer
		return s.send(keepRequestBody)
	}
	return nil
}

func (s *stream) requestTrailers() error {
	switch {
	case s.request.phase == awaiting:
		return s.outOfOrder("request trailers without request headers: request_header_mode must be SEND")
	case s.request.phase == complete:
		if s.request.ended {
			return s.drop()
		}
		s.request.ended = true
		return s.send(keepRequestTrailers)
	case s.response.phase != awaiting:
		return nil
	}
	s.request.ended, s.request.trailers = true, true
	return s.decide()
}

// decide asks the handler about the whole request and answers the gateway.
func (s *stream) decide() error {
	s.request.phase = complete
	verdict, err := s.ask()
	switch {
	case s.request.truncated && (verdict.Body != nil || isClientError(err)):
		return s.refuse(cutShort)
	case err != nil:
		return s.fail(err)
	case verdict.Reply != nil:
		return s.reply(verdict.Reply)
	case verdict.ClearRouteCache && s.losesRoute():
		return s.refuse(routeLost)
	}
	if err := s.answer(&verdict); err != nil {
		return err
	}
	s.request.body.free(&s.srv.budget)
	return nil
}

// losesRoute reports whether the gateway would overlook ClearRouteCache. In
// BUFFERED_PARTIAL, Envoy passes the body on, and with it chooses the route,
// before it looks at clear_route_cache in the same answer, unless all of the
// body came before the headers were answered (ProcessorState::handleBodyResponse;
// seen in 1.40). AgentGateway chooses no route again in any mode.
func (s *stream) losesRoute() bool {
	return s.modes.request == bufferedPartial && !s.request.bodyless && s.request.framing.oneMessage
}

// ask calls the handler, under the decision timeout.
func (s *stream) ask() (Verdict, error) {
	ctx, cancel := context.WithTimeout(s.ctx, s.srv.decisionTimeout)
	defer cancel()
	verdict, err := s.exchange.Request(ctx, s.request.body.bytes)
	if err != nil && ctx.Err() != nil && !isPayloadError(err) {
		err = ctx.Err()
	}
	return verdict, err
}

// isClientError reports whether err blames what the client sent.
func isClientError(err error) bool {
	var fault *payload.Error
	return errors.As(err, &fault) && fault.Status == 400
}

func isPayloadError(err error) bool {
	var fault *payload.Error
	return errors.As(err, &fault)
}

// subsetHint reads the endpoints that the gateway limits the choice to. A hint
// that is there but empty allows none.
func subsetHint(message *extprocv3.ProcessingRequest) []string {
	hint := message.GetMetadataContext().GetFilterMetadata()["envoy.lb.subset_hint"]
	list := hint.GetFields()["x-gateway-destination-endpoint-subset"].GetListValue()
	if list == nil {
		return nil
	}
	subset := []string{}
	for _, v := range list.GetValues() {
		if address := v.GetStringValue(); address != "" {
			subset = append(subset, address)
		}
	}
	return subset
}

// requestHeadOf reads the pseudo header fields, wherever they stand.
func requestHeadOf(message *extprocv3.HttpHeaders) RequestHead {
	head := RequestHead{Headers: Headers{fields: message.GetHeaders().GetHeaders()}}
	var host string
	for _, f := range head.Headers.fields {
		switch f.GetKey() {
		case ":method":
			head.Method = valueOf(f)
		case ":path":
			head.Path = valueOf(f)
		case ":authority":
			head.Authority = valueOf(f)
		case "host":
			host = valueOf(f)
		}
	}
	if head.Authority == "" {
		head.Authority = host
	}
	return head
}
