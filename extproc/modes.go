package extproc

import (
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

type bodyMode = filterv3.ProcessingMode_BodySendMode

const (
	none            = filterv3.ProcessingMode_NONE
	streamed        = filterv3.ProcessingMode_STREAMED
	buffered        = filterv3.ProcessingMode_BUFFERED
	bufferedPartial = filterv3.ProcessingMode_BUFFERED_PARTIAL
	fullDuplex      = filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
)

// modes say how the gateway of one stream sends bodies.
type modes struct {
	request, response bodyMode

	// eager: bodies follow without waiting for the answer to their headers
	// (send_body_without_waiting_for_header_response).
	eager bool

	// assumed: the gateway declared nothing, so request and response are a
	// guess.
	assumed bool
}

// modesOf reads the modes from the first message of a stream, whichever
// message that is.
func modesOf(first *extprocv3.ProcessingRequest, assumed bodyMode) modes {
	declared := first.GetProtocolConfig()
	if declared == nil {
		return modes{request: assumed, response: assumed, assumed: true}
	}
	return modes{
		request:  declared.GetRequestBodyMode(),
		response: declared.GetResponseBodyMode(),
		eager:    declared.GetSendBodyWithoutWaitingForHeaderResponse(),
	}
}

// override asks the gateway for other body modes. It states both directions,
// because gateways take what is left out as NONE.
func override(request, response bodyMode) *filterv3.ProcessingMode {
	mode := &filterv3.ProcessingMode{
		ResponseHeaderMode: filterv3.ProcessingMode_SEND,
		RequestBodyMode:    request,
		ResponseBodyMode:   response,
	}
	if response == fullDuplex { // which is only valid together with trailers
		mode.ResponseTrailerMode = filterv3.ProcessingMode_SEND
	}
	if request == fullDuplex {
		mode.RequestTrailerMode = filterv3.ProcessingMode_SEND
	}
	return mode
}
