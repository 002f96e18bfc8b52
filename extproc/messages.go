package extproc

import (
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// Answers that never differ. They are sent from many streams at once, so
// nobody may change them.
var (
	continueRequest      = requestHeadersAnswer(&extprocv3.CommonResponse{}, nil)
	keepRequestBody      = requestBodyAnswer(&extprocv3.CommonResponse{})
	clearRequestBody     = requestBodyAnswer(&extprocv3.CommonResponse{BodyMutation: wholeBody([][]byte{})})
	keepRequestTrailers  = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestTrailers{RequestTrailers: &extprocv3.TrailersResponse{}}}
	continueResponse     = responseHeadersAnswer(nil)
	keepResponseBody     = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseBody{ResponseBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{}}}}
	keepResponseTrailers = &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &extprocv3.TrailersResponse{}}}
)

func requestHeadersAnswer(common *extprocv3.CommonResponse, metadata *structpb.Struct) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{
		Response: &extprocv3.ProcessingResponse_RequestHeaders{
			RequestHeaders: &extprocv3.HeadersResponse{Response: common}},
		DynamicMetadata: metadata,
	}
}

func requestBodyAnswer(common *extprocv3.CommonResponse) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestBody{
		RequestBody: &extprocv3.BodyResponse{Response: common}}}
}

func responseHeadersAnswer(edits *extprocv3.HeaderMutation) *extprocv3.ProcessingResponse {
	return &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_ResponseHeaders{
		ResponseHeaders: &extprocv3.HeadersResponse{Response: &extprocv3.CommonResponse{HeaderMutation: edits}}}}
}

// continueWithBody lets the headers wait and asks for the body in BUFFERED
// mode; the response mode stays what it is.
func continueWithBody(response bodyMode) *extprocv3.ProcessingResponse {
	answer := requestHeadersAnswer(&extprocv3.CommonResponse{}, nil)
	answer.ModeOverride = override(buffered, response)
	return answer
}

// wholeBody puts a body in the place of what one message brought.
func wholeBody(parts [][]byte) *extprocv3.BodyMutation {
	if size(parts) == 0 {
		return &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_ClearBody{ClearBody: true}}
	}
	return &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_Body{Body: join(parts)}}
}

// A streamedBody is a BodyResponse in FULL_DUPLEX_STREAMED mode with all that
// it consists of, in one allocation.
type streamedBody struct {
	answer   extprocv3.ProcessingResponse
	request  extprocv3.ProcessingResponse_RequestBody
	response extprocv3.ProcessingResponse_ResponseBody
	body     extprocv3.BodyResponse
	common   extprocv3.CommonResponse
	mutation extprocv3.BodyMutation
	streamed extprocv3.BodyMutation_StreamedResponse
	part     extprocv3.StreamedBodyResponse
}

func newStreamedBody(bytes []byte, endOfStream bool) *streamedBody {
	m := new(streamedBody)
	m.part.Body, m.part.EndOfStream = bytes, endOfStream
	m.streamed.StreamedResponse = &m.part
	m.mutation.Mutation = &m.streamed
	m.common.BodyMutation = &m.mutation
	m.body.Response = &m.common
	return m
}

func streamedRequestBody(bytes []byte, endOfStream bool) *extprocv3.ProcessingResponse {
	m := newStreamedBody(bytes, endOfStream)
	m.request.RequestBody = &m.body
	m.answer.Response = &m.request
	return &m.answer
}

func streamedResponseBody(bytes []byte, endOfStream bool) *extprocv3.ProcessingResponse {
	m := newStreamedBody(bytes, endOfStream)
	m.response.ResponseBody = &m.body
	m.answer.Response = &m.response
	return &m.answer
}

// dynamicMetadata is the metadata as the nested struct that gateways want,
// namespace by namespace; nil when there is none.
func dynamicMetadata(entries []Metadata) *structpb.Struct {
	if len(entries) == 0 {
		return nil
	}
	all := &structpb.Struct{Fields: make(map[string]*structpb.Value, 1)}
	for _, e := range entries {
		namespace := all.Fields[e.Namespace].GetStructValue()
		if namespace == nil {
			namespace = &structpb.Struct{Fields: make(map[string]*structpb.Value, 1)}
			all.Fields[e.Namespace] = structpb.NewStructValue(namespace)
		}
		namespace.Fields[e.Key] = structpb.NewStringValue(e.Value)
	}
	return all
}
