package rig_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/structpb"

	"semantic-epp/test/rig"
)

// A pick is what the picker of these tests is told to do, in the prompt.
type pick struct {
	Model    string // goes into x-selected-model
	Endpoint string // goes into the header x-gateway-destination-endpoint
	Metadata string // goes into the metadata of that name
}

// extProc is as simple a picker as there can be: it obeys the prompt, in
// FULL_DUPLEX_STREAMED and BUFFERED.
type extProc struct {
	procv3.UnimplementedExternalProcessorServer
	addr string

	mu        sync.Mutex
	lastModes [2]rig.BodyMode
	lastServe string
}

func startExtProc(t *testing.T, secure bool) *extProc {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var options []grpc.ServerOption
	if secure {
		options = append(options, grpc.Creds(credentials.NewServerTLSFromCert(selfSigned(t))))
	}
	server := grpc.NewServer(options...)
	x := &extProc{addr: l.Addr().String()}
	procv3.RegisterExternalProcessorServer(server, x)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	return x
}

func selfSigned(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// modes are the body modes of the last exchange, by Envoy's own account.
func (x *extProc) modes() [2]rig.BodyMode {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lastModes
}

// served is the address and the cluster that served last, by Envoy's account.
func (x *extProc) served() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lastServe
}

func (x *extProc) Process(stream procv3.ExternalProcessor_ProcessServer) error {
	var body []byte
	duplex := false
	for {
		in, err := stream.Recv()
		if err != nil {
			return err
		}
		if c := in.GetProtocolConfig(); c != nil {
			duplex = c.GetRequestBodyMode().String() == string(rig.FullDuplexStreamed)
			x.mu.Lock()
			x.lastModes = [2]rig.BodyMode{rig.BodyMode(c.GetRequestBodyMode().String()), rig.BodyMode(c.GetResponseBodyMode().String())}
			x.mu.Unlock()
		}
		var out []*procv3.ProcessingResponse
		switch m := in.Request.(type) {
		case *procv3.ProcessingRequest_RequestHeaders:
			if !duplex {
				out = append(out, requestHeaders(&procv3.CommonResponse{}))
			}
		case *procv3.ProcessingRequest_RequestBody:
			body = append(body, m.RequestBody.Body...)
			if m.RequestBody.EndOfStream {
				if out, err = x.decide(body, duplex); err != nil {
					return err
				}
			}
		case *procv3.ProcessingRequest_ResponseHeaders:
			fields := in.GetAttributes()["envoy.filters.http.ext_proc"].GetFields()
			x.mu.Lock()
			x.lastServe = fields["upstream.address"].GetStringValue() + " " + fields["xds.cluster_name"].GetStringValue()
			x.mu.Unlock()
			out = append(out, &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseHeaders{
				ResponseHeaders: &procv3.HeadersResponse{}}})
		case *procv3.ProcessingRequest_ResponseBody:
			answer := &procv3.CommonResponse{}
			if duplex {
				answer.BodyMutation = streamed(m.ResponseBody.Body, m.ResponseBody.EndOfStream)
			}
			out = append(out, &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseBody{
				ResponseBody: &procv3.BodyResponse{Response: answer}}})
		default:
			return fmt.Errorf("unexpected %T", m)
		}
		for _, r := range out {
			if err := stream.Send(r); err != nil {
				return err
			}
		}
	}
}

// decide obeys the prompt of a completion.
func (x *extProc) decide(body []byte, duplex bool) ([]*procv3.ProcessingResponse, error) {
	var request struct{ Prompt string }
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, err
	}
	var orders pick
	if err := json.Unmarshal([]byte(request.Prompt), &orders); err != nil {
		return nil, err
	}
	common := &procv3.CommonResponse{ClearRouteCache: true, HeaderMutation: &procv3.HeaderMutation{}}
	for name, value := range map[string]string{"x-selected-model": orders.Model, "x-gateway-destination-endpoint": orders.Endpoint} {
		if value != "" {
			common.HeaderMutation.SetHeaders = append(common.HeaderMutation.SetHeaders,
				&corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: name, RawValue: []byte(value)}})
		}
	}
	metadata, err := structpb.NewStruct(map[string]any{"envoy.lb": map[string]any{"x-gateway-destination-endpoint": orders.Metadata}})
	if err != nil {
		return nil, err
	}
	if orders.Metadata == "" {
		metadata = nil
	}
	if duplex {
		headers := requestHeaders(common)
		headers.DynamicMetadata = metadata
		return []*procv3.ProcessingResponse{headers, requestBody(&procv3.CommonResponse{BodyMutation: streamed(body, true)})}, nil
	}
	answer := requestBody(common)
	answer.DynamicMetadata = metadata
	return []*procv3.ProcessingResponse{answer}, nil
}

func requestHeaders(c *procv3.CommonResponse) *procv3.ProcessingResponse {
	return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestHeaders{RequestHeaders: &procv3.HeadersResponse{Response: c}}}
}

func requestBody(c *procv3.CommonResponse) *procv3.ProcessingResponse {
	return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestBody{RequestBody: &procv3.BodyResponse{Response: c}}}
}

func streamed(body []byte, end bool) *procv3.BodyMutation {
	return &procv3.BodyMutation{Mutation: &procv3.BodyMutation_StreamedResponse{
		StreamedResponse: &procv3.StreamedBodyResponse{Body: body, EndOfStream: end}}}
}
