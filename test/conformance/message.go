package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// Names of the endpoint picker protocol (GIE proposal 004).
const (
	destination     = "x-gateway-destination-endpoint"
	served          = "x-gateway-destination-endpoint-served"
	subsetNamespace = "envoy.lb.subset_hint"
	subsetKey       = "x-gateway-destination-endpoint-subset"
	lbNamespace     = "envoy.lb"
	objectiveHeader = "x-gateway-inference-objective"
)

// Names of the test plugins that GIE's own conformance tests give a picker
// (GIE v1.5.0, pkg/epp/framework/plugins/scheduling/test and
// pkg/epp/framework/plugins/requestcontrol/test).
const (
	selectionHeader = "test-epp-endpoint-selection"
	servedResult    = "x-conformance-test-served-endpoint"
)

type bodyMode = filterv3.ProcessingMode_BodySendMode

const (
	none            = filterv3.ProcessingMode_NONE
	streamed        = filterv3.ProcessingMode_STREAMED
	buffered        = filterv3.ProcessingMode_BUFFERED
	bufferedPartial = filterv3.ProcessingMode_BUFFERED_PARTIAL
	fullDuplex      = filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
)

// A request is what a scripted gateway sends of an HTTP request. The zero
// request is a GET without a body in mode NONE.
type request struct {
	mode, reply bodyMode // of the bodies of the request and of its reply
	eager       bool     // send_body_without_waiting_for_header_response

	method, path string
	headers      []string // more header fields: name, value, ...
	pseudoLast   bool     // AgentGateway's shape: pseudo header fields last and in value
	undeclared   bool     // no protocol_config, as before Envoy 1.33

	body       []byte
	chunk      int  // bytes in a message; 0: all in one
	emptyEnd   bool // end_of_stream in an empty message of its own
	trailers   bool // the end is the trailers
	metadata   *structpb.Struct
	namespace  string // of metadata
	headerOnly bool   // metadata comes with the headers alone
}

// chat is a POST of a chat completion in a mode, of at least size bytes.
func (t *target) chat(mode bodyMode, size int) request {
	return request{mode: mode, reply: mode, body: chatBody(t.model, size),
		method: "POST", path: "/v1/chat/completions"}
}

// get is a request whose headers are all of it.
func get() request { return request{mode: fullDuplex, reply: fullDuplex} }

// subset limits the choice to addresses; no address means an empty list.
func (r request) subset(addresses ...string) request {
	list := make([]*structpb.Value, 0, len(addresses))
	for _, address := range addresses {
		list = append(list, structpb.NewStringValue(address))
	}
	r.namespace = subsetNamespace
	r.metadata = &structpb.Struct{Fields: map[string]*structpb.Value{
		subsetKey: structpb.NewListValue(&structpb.ListValue{Values: list})}}
	return r
}

// with adds header fields.
func (r request) with(pairs ...string) request {
	r.headers = append(append([]string(nil), r.headers...), pairs...)
	return r
}

// bodyless reports whether the headers are all of the request.
func (r *request) bodyless() bool { return r.body == nil && !r.trailers && !r.emptyEnd }

var requests atomic.Uint64 // pickers keep state under request ids, so none may repeat

// head is the first message.
func (r *request) head(t *target) *procv3.ProcessingRequest {
	method, path := r.method, r.path
	if method == "" {
		method, path = "GET", "/version" // not /v1/models, which a picker may answer itself
	}
	pseudo := []string{":method", method, ":scheme", "http", ":authority", "gateway.example", ":path", path}
	fields := append([]string{"x-request-id", fmt.Sprintf("conformance-%d", requests.Add(1))}, t.headers...)
	if r.body != nil {
		fields = append(fields, "content-type", "application/json")
		if !r.trailers && !r.undeclared {
			fields = append(fields, "content-length", strconv.Itoa(len(r.body)))
		}
	}
	fields = append(fields, r.headers...)
	headers := &corev3.HeaderMap{}
	if r.pseudoLast {
		headers.Headers = headerFields(fields)
		for i := 0; i < len(pseudo); i += 2 {
			headers.Headers = append(headers.Headers, &corev3.HeaderValue{Key: pseudo[i], Value: pseudo[i+1]})
		}
	} else {
		headers.Headers = headerFields(append(pseudo, fields...))
	}
	m := r.message(&procv3.ProcessingRequest{Request: &procv3.ProcessingRequest_RequestHeaders{
		RequestHeaders: &procv3.HttpHeaders{Headers: headers, EndOfStream: r.bodyless()}}}, true)
	if !r.undeclared {
		m.ProtocolConfig = &procv3.ProtocolConfiguration{RequestBodyMode: r.mode, ResponseBodyMode: r.reply,
			SendBodyWithoutWaitingForHeaderResponse: r.eager}
	}
	return m
}

// rest are the messages after the headers.
func (r *request) rest() []*procv3.ProcessingRequest {
	var messages []*procv3.ProcessingRequest
	part := func(bytes []byte, end bool) {
		messages = append(messages, r.message(requestPart(bytes, end), false))
	}
	if left := r.body; left != nil {
		size := r.chunk
		if size == 0 {
			size = max(1, len(left))
		}
		for first := true; first || len(left) > 0; first = false {
			n := min(size, len(left))
			part(left[:n], n == len(left) && !r.emptyEnd && !r.trailers)
			left = left[n:]
		}
	}
	if r.emptyEnd {
		part(nil, true)
	}
	if r.trailers {
		messages = append(messages, r.message(requestTrailers(), false))
	}
	return messages
}

// message puts the metadata where a gateway puts it: with every message, as
// Envoy does, or with the headers alone.
func (r *request) message(m *procv3.ProcessingRequest, isHead bool) *procv3.ProcessingRequest {
	if r.metadata != nil && (isHead || !r.headerOnly) {
		m.MetadataContext = &corev3.Metadata{FilterMetadata: map[string]*structpb.Struct{r.namespace: r.metadata}}
	}
	return m
}

func headerFields(pairs []string) []*corev3.HeaderValue {
	var fields []*corev3.HeaderValue
	for i := 0; i+1 < len(pairs); i += 2 {
		fields = append(fields, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return fields
}

func requestPart(bytes []byte, end bool) *procv3.ProcessingRequest {
	return &procv3.ProcessingRequest{Request: &procv3.ProcessingRequest_RequestBody{
		RequestBody: &procv3.HttpBody{Body: bytes, EndOfStream: end}}}
}

func requestTrailers() *procv3.ProcessingRequest {
	return &procv3.ProcessingRequest{Request: &procv3.ProcessingRequest_RequestTrailers{
		RequestTrailers: &procv3.HttpTrailers{Trailers: &corev3.HeaderMap{Headers: headerFields([]string{"x-checksum", "abc"})}}}}
}

func replyHead(end bool, pairs ...string) *procv3.ProcessingRequest {
	return &procv3.ProcessingRequest{Request: &procv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &procv3.HttpHeaders{Headers: &corev3.HeaderMap{Headers: headerFields(pairs)}, EndOfStream: end}}}
}

func replyPart(bytes []byte, end bool) *procv3.ProcessingRequest {
	return &procv3.ProcessingRequest{Request: &procv3.ProcessingRequest_ResponseBody{
		ResponseBody: &procv3.HttpBody{Body: bytes, EndOfStream: end}}}
}

func replyTrailers() *procv3.ProcessingRequest {
	return &procv3.ProcessingRequest{Request: &procv3.ProcessingRequest_ResponseTrailers{
		ResponseTrailers: &procv3.HttpTrailers{Trailers: &corev3.HeaderMap{Headers: headerFields([]string{"x-checksum", "abc"})}}}}
}

// chatBody is a chat completion of at least size bytes. It holds what a picker
// must not alter: an integer beyond 2^53, a number's spelling, the order of
// keys, and characters that some encoders escape.
func chatBody(model string, size int) []byte {
	name, _ := json.Marshal(model)
	frame := `{"zeta":1.0,"model":` + string(name) + `,"seed":9007199254740993,"alpha":"<&>","messages":[{"role":"user","content":"%s"}]}`
	prompt := "What is 2 + 2? "
	prompt = strings.Repeat(prompt, 1+max(0, size-len(frame)+len("%s"))/len(prompt))
	return fmt.Appendf(nil, frame, prompt)
}
