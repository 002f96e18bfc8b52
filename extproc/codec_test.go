package extproc

import (
	"bytes"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// FuzzDecodeBody: whatever comes over the wire, the short way finds what the
// ordinary way finds, or leaves it to it.
func FuzzDecodeBody(f *testing.F) {
	for _, m := range []*extprocv3.ProcessingRequest{
		requestBody("abc", eos), responseBody("abc", !eos), responseBody("", eos),
		declare(requestBody("abc", eos), buffered, none), requestHeaders(eos), {},
	} {
		wire, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
		f.Add(append(wire, wire...))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		got, want := requestHeaders(eos), new(extprocv3.ProcessingRequest)
		err := proto.Unmarshal(wire, want)
		if !decodeBody(bytes.Clone(wire), got) {
			return
		}
		if err != nil {
			t.Fatalf("took what is no message: %v", err)
		}
		if !proto.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestCodecDecodes(t *testing.T) {
	large := strings.Repeat("x", 40_000)
	unusual := requestBody(large, eos)
	unusual.GetRequestBody().GrpcMessageCompressed = true
	for name, want := range map[string]*extprocv3.ProcessingRequest{
		"small":              requestBody("abc", eos),
		"large request":      requestBody(large, eos),
		"large reply":        responseBody(large, !eos),
		"first message":      declare(requestBody(large, !eos), buffered, none),
		"large headers":      requestHeaders(eos, "cookie", large),
		"a field not of use": unusual,
	} {
		t.Run(name, func(t *testing.T) {
			wire, err := proto.Marshal(want)
			if err != nil {
				t.Fatal(err)
			}
			got := responseHeaders(eos) // as a message that is used again
			data := mem.BufferSlice{mem.SliceBuffer(wire[:len(wire)/2]), mem.SliceBuffer(wire[len(wire)/2:])}
			if err := newCodec().Unmarshal(data, got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, want) {
				t.Error("decoded message differs from the one encoded")
			}
		})
	}
	if err := newCodec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(bytes.Repeat([]byte{0xff}, 5000))}, new(extprocv3.ProcessingRequest)); err == nil {
		t.Error("no error for bytes that are no message")
	}
}

func TestCodecEncodes(t *testing.T) {
	large := []byte(strings.Repeat("x", 40_000))
	edits, err := headerMutation(HeaderEdits{Set: []Header{{"a", "b"}}, Remove: []string{"c"}}, 7)
	if err != nil {
		t.Fatal(err)
	}
	all := requestBodyAnswer(&extprocv3.CommonResponse{HeaderMutation: edits, BodyMutation: wholeBody([][]byte{large}), ClearRouteCache: true})
	all.DynamicMetadata = dynamicMetadata([]Metadata{{"n", "k", "v"}, {"n", "l", "w"}, {"o", "k", "v"}})
	replaced := requestBodyAnswer(&extprocv3.CommonResponse{BodyMutation: wholeBody([][]byte{large}),
		Status: extprocv3.CommonResponse_CONTINUE_AND_REPLACE, Trailers: &corev3.HeaderMap{}})
	replaced.ModeOverride = override(buffered, none)
	for name, tt := range map[string]struct {
		answer *extprocv3.ProcessingResponse
		copies bool
	}{
		"a chunk of a request":       {answer: streamedRequestBody(large, !eos)},
		"the last":                   {answer: streamedRequestBody(large, eos)},
		"a chunk of a reply":         {answer: streamedResponseBody(large, eos)},
		"a body with all its edits":  {answer: all},
		"fields that are not of use": {answer: replaced, copies: true},
		"a small chunk":              {answer: streamedRequestBody([]byte("abc"), eos), copies: true},
		"an empty chunk":             {answer: streamedResponseBody(nil, eos), copies: true},
		"no body at all":             {answer: continueRequest, copies: true},
	} {
		t.Run(name, func(t *testing.T) {
			data, err := newCodec().Marshal(tt.answer)
			if err != nil {
				t.Fatal(err)
			}
			got := new(extprocv3.ProcessingResponse)
			if err := proto.Unmarshal(data.Materialize(), got); err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(got, tt.answer) {
				t.Errorf("got %s, want %s", show(got), show(tt.answer))
			}
			last := data[len(data)-1].ReadOnlyData()
			if shared := len(last) > 0 && &last[0] == &large[0]; shared == tt.copies {
				t.Errorf("body is sent without a copy: %v, want %v", shared, !tt.copies)
			}
		})
	}
}

// FuzzChunks: chunks put together are the parts put together, none too large,
// and only the last is marked.
func FuzzChunks(f *testing.F) {
	f.Add(0, 10, 13, 65_000)
	f.Add(chunkBytes, 0, 1, 0)
	f.Add(1, chunkBytes-1, chunkBytes, 3*chunkBytes)
	f.Add(15_999, 2, 70_000, 16_001)
	f.Fuzz(func(t *testing.T, a, b, c, d int) {
		var parts [][]byte
		for i, n := range []int{a, b, c, d} {
			parts = append(parts, bytes.Repeat([]byte{byte('a' + i)}, int(uint(n)%300_000)))
		}
		want := bytes.Join(parts, nil)
		var got []byte
		ends := 0
		for chunk, last := range chunks(parts) {
			if ends > 0 {
				t.Error("a chunk after the last")
			}
			if len(chunk) > chunkBytes || (len(chunk) == 0 && len(want) > 0) {
				t.Errorf("chunk of %d bytes", len(chunk))
			}
			if got = append(got, chunk...); last {
				ends++
			}
		}
		if !bytes.Equal(got, want) || ends != 1 {
			t.Errorf("got %d bytes and %d ends, want %d bytes and one end", len(got), ends, len(want))
		}
	})
}
