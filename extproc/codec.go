package extproc

import (
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/encoding"
	encodingproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// Field numbers of envoy/service/ext_proc/v3/external_processor.proto, in the
// messages that carry bodies.
const (
	inRequestBody, inResponseBody = 4, 5 // ProcessingRequest
	bodyBytes, bodyEnd            = 1, 2 // HttpBody, StreamedBodyResponse

	outRequestBody, outResponseBody = 3, 4 // ProcessingResponse
	outMetadata                     = 8
	outResponse                     = 1 // BodyResponse
	commonEdits, commonMutation     = 2, 3
	commonReroute                   = 5
	mutationBody, mutationStreamed  = 1, 3
)

// largeBody is from how many bytes on the codec treats a message itself; below,
// a copy costs less than the bookkeeping.
const largeBody = 1 << 10

// A codec is gRPC's protobuf codec with a shorter way for large bodies: a body
// that comes in is copied once, into memory of its own size, and a body that
// goes out is not copied at all. The ordinary way copies either twice, through
// buffers of 1 MiB that it clears first for anything over 32 KiB.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(encodingproto.Name)} }

// Unmarshal lets the body of m point into memory that nobody else has.
func (c codec) Unmarshal(data mem.BufferSlice, m any) error {
	if request, ok := m.(*extprocv3.ProcessingRequest); ok && data.Len() >= largeBody {
		if wire := data.Materialize(); !decodeBody(wire, request) {
			return proto.Unmarshal(wire, request)
		}
		return nil
	}
	return c.CodecV2.Unmarshal(data, m)
}

// Marshal returns data that points to the body in m.
func (c codec) Marshal(m any) (mem.BufferSlice, error) {
	if answer, ok := m.(*extprocv3.ProcessingResponse); ok {
		if data, err := encodeBody(answer); data != nil || err != nil {
			return data, err
		}
	}
	return c.CodecV2.Marshal(m)
}

// decodeBody decodes a message that consists of a body and, at most, fields
// that come once per stream. It returns false for all others, which need the
// ordinary way, and leaves a mess in m then.
func decodeBody(wire []byte, m *extprocv3.ProcessingRequest) bool {
	var (
		content []byte // of the HttpBody
		kind    protowire.Number
		rest    []byte // the other fields
	)
	for b := wire; len(b) > 0; {
		number, wireType, tagLen := protowire.ConsumeTag(b)
		if tagLen < 0 {
			return false
		}
		valueLen := protowire.ConsumeFieldValue(number, wireType, b[tagLen:])
		if valueLen < 0 {
			return false
		}
		switch {
		case number != inRequestBody && number != inResponseBody:
			rest = append(rest, b[:tagLen+valueLen]...)
		case kind != 0 || wireType != protowire.BytesType:
			return false
		default:
			kind = number
			content, _ = protowire.ConsumeBytes(b[tagLen:])
		}
		b = b[tagLen+valueLen:]
	}
	body, ok := decodeHTTPBody(content)
	if kind == 0 || !ok || proto.Unmarshal(rest, m) != nil || m.Request != nil {
		return false
	}
	if kind == inRequestBody {
		m.Request = &extprocv3.ProcessingRequest_RequestBody{RequestBody: body}
	} else {
		m.Request = &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: body}
	}
	return true
}

// decodeHTTPBody knows body and end_of_stream, once each, and nothing else.
func decodeHTTPBody(b []byte) (*extprocv3.HttpBody, bool) {
	body := new(extprocv3.HttpBody)
	for len(b) > 0 {
		number, wireType, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, false
		}
		b = b[n:]
		switch {
		case number == bodyBytes && wireType == protowire.BytesType && body.Body == nil:
			if body.Body, n = protowire.ConsumeBytes(b); n < 0 {
				return nil, false
			}
		case number == bodyEnd && wireType == protowire.VarintType:
			v, length := protowire.ConsumeVarint(b)
			if n = length; n < 0 {
				return nil, false
			}
			body.EndOfStream = v != 0
		default:
			return nil, false
		}
		b = b[n:]
	}
	return body, true
}

// encodeBody encodes an answer that carries a large body so that the body comes
// last, in a buffer of its own. Protobuf leaves the order of fields free. It
// returns nil for all other answers, and for those with fields it does not
// know of.
func encodeBody(m *extprocv3.ProcessingResponse) (mem.BufferSlice, error) {
	var (
		outer  protowire.Number
		answer *extprocv3.BodyResponse
	)
	switch k := m.Response.(type) {
	case *extprocv3.ProcessingResponse_RequestBody:
		outer, answer = outRequestBody, k.RequestBody
	case *extprocv3.ProcessingResponse_ResponseBody:
		outer, answer = outResponseBody, k.ResponseBody
	}
	common := answer.GetResponse()
	mutation, body := encodeMutation(common.GetBodyMutation())
	if len(body) < largeBody || hasMore(m, common) {
		return nil, nil
	}
	// From the inside out; every level is its fields, then what leads to body.
	var fields []byte
	if edits := common.GetHeaderMutation(); edits != nil {
		encoded, err := proto.Marshal(edits)
		if err != nil {
			return nil, err
		}
		fields = protowire.AppendBytes(protowire.AppendTag(fields, commonEdits, protowire.BytesType), encoded)
	}
	if common.GetClearRouteCache() {
		fields = protowire.AppendVarint(protowire.AppendTag(fields, commonReroute, protowire.VarintType), 1)
	}
	inner := nest(fields, commonMutation, mutation, len(body))
	inner = nest(nil, outResponse, inner, len(body))
	var top []byte
	if metadata := m.GetDynamicMetadata(); metadata != nil {
		encoded, err := proto.Marshal(metadata)
		if err != nil {
			return nil, err
		}
		top = protowire.AppendBytes(protowire.AppendTag(top, outMetadata, protowire.BytesType), encoded)
	}
	return mem.BufferSlice{mem.SliceBuffer(nest(top, outer, inner, len(body))), mem.SliceBuffer(body)}, nil
}

// hasMore reports whether there are fields that encodeBody would leave out.
func hasMore(m *extprocv3.ProcessingResponse, common *extprocv3.CommonResponse) bool {
	return common.GetStatus() != 0 || common.GetTrailers() != nil ||
		m.GetModeOverride() != nil || m.GetRequestDrain() || m.GetOverrideMessageTimeout() != nil
}

// encodeMutation returns a BodyMutation up to the body that ends it.
func encodeMutation(m *extprocv3.BodyMutation) (head, body []byte) {
	switch k := m.GetMutation().(type) {
	case *extprocv3.BodyMutation_Body:
		body = k.Body
		head = protowire.AppendTag(nil, mutationBody, protowire.BytesType)
		head = protowire.AppendVarint(head, uint64(len(body)))
	case *extprocv3.BodyMutation_StreamedResponse:
		body = k.StreamedResponse.GetBody()
		var inner []byte
		if k.StreamedResponse.GetEndOfStream() {
			inner = protowire.AppendVarint(protowire.AppendTag(inner, bodyEnd, protowire.VarintType), 1)
		}
		inner = protowire.AppendTag(inner, bodyBytes, protowire.BytesType)
		inner = protowire.AppendVarint(inner, uint64(len(body)))
		head = nest(nil, mutationStreamed, inner, len(body))
	}
	return head, body
}

// nest puts a message, of which all but the body at its end is given, into the
// field of another message, after that one's other fields.
func nest(fields []byte, number protowire.Number, head []byte, body int) []byte {
	fields = protowire.AppendTag(fields, number, protowire.BytesType)
	fields = protowire.AppendVarint(fields, uint64(len(head)+body))
	return append(fields, head...)
}
