package extproc

import (
	"errors"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

var errNoBodyToReplace = errors.New("the verdict replaces the body of a request that has none")

// answer tells the gateway what becomes of the request, in the order that its
// mode asks for.
func (s *stream) answer(v *Verdict) error {
	switch {
	case s.request.bodyless:
		return s.answerBodyless(v)
	case s.modes.request == fullDuplex:
		return s.answerDuplex(v)
	case s.modes.request == streamed:
		return s.answerStreamed(v)
	case s.request.trailers && s.request.body.messages == 0:
		return s.answerTrailersOnly(v)
	default:
		return s.answerBuffered(v)
	}
}

func (s *stream) answerBodyless(v *Verdict) error {
	if size(v.Body) > 0 {
		return s.fail(errNoBodyToReplace)
	}
	return s.answerHeaders(v, keepLength)
}

// answerHeaders sends all edits with the answer to the headers.
func (s *stream) answerHeaders(v *Verdict, length int64) error {
	edits, err := headerMutation(v.HeaderEdits, length)
	if err != nil {
		return s.fail(err)
	}
	metadata := dynamicMetadata(v.Metadata)
	if edits == nil && metadata == nil && !v.ClearRouteCache {
		return s.send(continueRequest)
	}
	return s.send(requestHeadersAnswer(&extprocv3.CommonResponse{
		HeaderMutation: edits, ClearRouteCache: v.ClearRouteCache}, metadata))
}

// answerDuplex sends the headers answer that was held back, then the whole
// body, then the trailers answer. Nothing that comes after the headers answer
// can carry edits.
func (s *stream) answerDuplex(v *Verdict) error {
	parts, length := [][]byte{s.request.body.bytes}, int64(keepLength)
	if v.Body != nil {
		parts, length = v.Body, dropLength
	}
	if err := s.answerHeaders(v, length); err != nil {
		return err
	}
	if !s.request.trailers || size(parts) > 0 {
		for chunk, last := range chunks(parts) {
			if err := s.send(streamedRequestBody(chunk, last && !s.request.trailers)); err != nil {
				return err
			}
		}
	}
	return s.answerTrailers()
}

// answerStreamed answers the headers, then every message of the body: the last
// one brings all of the new body, the others are emptied.
func (s *stream) answerStreamed(v *Verdict) error {
	if v.Body == nil {
		return s.answerEach(v, keepLength, keepRequestBody, keepRequestBody)
	}
	if s.request.body.messages == 0 {
		return s.fail(errNoBodyToReplace)
	}
	return s.answerEach(v, dropLength, clearRequestBody,
		requestBodyAnswer(&extprocv3.CommonResponse{BodyMutation: wholeBody(v.Body)}))
}

func (s *stream) answerEach(v *Verdict, length int64, others, last *extprocv3.ProcessingResponse) error {
	if err := s.answerHeaders(v, length); err != nil {
		return err
	}
	for left := s.request.body.messages; left > 0; left-- {
		answer := others
		if left == 1 {
			answer = last
		}
		if err := s.send(answer); err != nil {
			return err
		}
	}
	return s.answerTrailers()
}

// answerBuffered puts all edits into the one answer to the body.
func (s *stream) answerBuffered(v *Verdict) error {
	common := &extprocv3.CommonResponse{ClearRouteCache: v.ClearRouteCache}
	length := int64(keepLength)
	if v.Body != nil {
		common.BodyMutation, length = wholeBody(v.Body), size(v.Body)
	}
	var err error
	if common.HeaderMutation, err = headerMutation(v.HeaderEdits, length); err != nil {
		return s.fail(err)
	}
	answer := requestBodyAnswer(common)
	answer.DynamicMetadata = dynamicMetadata(v.Metadata)
	if err := s.send(answer); err != nil {
		return err
	}
	return s.answerTrailers()
}

// answerTrailersOnly ends a buffered request of headers and trailers without a
// body, where no answer can carry edits any more.
func (s *stream) answerTrailersOnly(v *Verdict) error {
	if v.Body != nil || len(v.Set) > 0 || len(v.Remove) > 0 {
		return s.refuse(trailersOnly)
	}
	return s.answerTrailers()
}

func (s *stream) answerTrailers() error {
	if !s.request.trailers {
		return nil
	}
	return s.send(keepRequestTrailers)
}
