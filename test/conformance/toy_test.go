package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
)

// toyLimit is the toy's limit on request bodies.
const toyLimit = 8 << 20

// A toy is a small picker that passes every check: what it does in each place
// is a field or a branch on a bug, so that a mutant differs from it in one thing.
type toy struct {
	procv3.UnimplementedExternalProcessorServer
	endpoints []string
	full      *atomic.Bool // the model servers are saturated
	bug       string       // what is broken on purpose; "" for nothing
	turn      atomic.Int64
	dead      atomic.Bool // after a bug that kills the picker
	streams   atomic.Int64
}

// A toyStream is one exchange.
type toyStream struct {
	toy     *toy
	wire    procv3.ExternalProcessor_ProcessServer
	config  *procv3.ProtocolConfiguration
	begun   bool
	headers map[string]string
	hint    *structpb.ListValue // the subset hint
	body    []byte
	parts   int
	length  int
	decided bool
	held    []*procv3.ProcessingResponse
}

func (p *toy) has(bug string) bool { return p.bug == bug }

func (p *toy) Process(wire procv3.ExternalProcessor_ProcessServer) error {
	if p.dead.Load() {
		return status.Error(codes.Unavailable, "dead")
	}
	if p.has("forgets streams that were cancelled") {
		if p.streams.Add(1) > 20 {
			<-wire.Context().Done()
			return nil
		}
		defer func() {
			if wire.Context().Err() == nil {
				p.streams.Add(-1)
			}
		}()
	}
	s := &toyStream{toy: p, wire: wire}
	for {
		m, err := wire.Recv()
		if errors.Is(err, io.EOF) {
			return s.halfClosed()
		}
		if err != nil {
			return err
		}
		if p.has("answers nothing") {
			continue
		}
		if err := s.step(m); errors.Is(err, errToyAnswered) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

var errToyAnswered = errors.New("answered")

func (s *toyStream) halfClosed() error {
	if s.toy.has("hangs after a half-close") {
		<-s.wire.Context().Done()
	}
	if s.toy.has("hangs after a half-close in a body") && s.begun && !s.decided {
		<-s.wire.Context().Done()
	}
	if s.begun && !s.decided && !s.toy.has("OK after a half-close in a body") {
		return status.Error(codes.Aborted, "half-closed")
	}
	return nil
}

func (s *toyStream) step(m *procv3.ProcessingRequest) error {
	first := s.config == nil
	if first {
		if s.config = m.GetProtocolConfig(); s.config == nil {
			if s.toy.has("insists on protocol_config") {
				return status.Error(codes.FailedPrecondition, "no protocol_config")
			}
			s.config = &procv3.ProtocolConfiguration{RequestBodyMode: buffered, ResponseBodyMode: buffered}
		}
	}
	if hint := m.GetMetadataContext().GetFilterMetadata()[subsetNamespace]; hint != nil {
		s.hint = hint.GetFields()[subsetKey].GetListValue()
		if s.hint == nil && s.toy.has("takes any subset metadata for an empty hint") {
			s.hint = &structpb.ListValue{}
		}
	} else if s.toy.has("reads the hint in the last message alone") {
		s.hint = nil
	}
	switch r := m.GetRequest().(type) {
	case *procv3.ProcessingRequest_RequestHeaders:
		s.begun = true
		return s.requestHeaders(r.RequestHeaders)
	case *procv3.ProcessingRequest_RequestBody:
		if !s.begun {
			if s.toy.has("hangs on a body without headers") {
				<-s.wire.Context().Done()
			}
			return status.Error(codes.FailedPrecondition, "body without headers")
		}
		return s.requestBody(r.RequestBody)
	case *procv3.ProcessingRequest_RequestTrailers:
		return s.requestTrailers()
	case *procv3.ProcessingRequest_ResponseHeaders:
		return s.replyHeaders(m, r.ResponseHeaders, first)
	case *procv3.ProcessingRequest_ResponseBody:
		return s.replyBody(r.ResponseBody)
	case *procv3.ProcessingRequest_ResponseTrailers:
		if s.toy.has("leaves reply trailers unanswered") {
			return nil
		}
		return s.wire.Send(&procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &procv3.TrailersResponse{}}})
	}
	return nil
}

func (s *toyStream) mode() bodyMode { return s.config.GetRequestBodyMode() }

func (s *toyStream) requestHeaders(h *procv3.HttpHeaders) error {
	s.headers = map[string]string{}
	for _, f := range h.GetHeaders().GetHeaders() {
		s.headers[f.GetKey()] = valueOf(f)
		if s.toy.has("reads raw_value alone") {
			s.headers[f.GetKey()] = string(f.GetRawValue())
		}
	}
	if s.headers[":path"] == "" {
		return s.refuse(400, "no path")
	}
	if s.toy.has("breaks on unknown paths") && !strings.HasPrefix(s.headers[":path"], "/v1/") {
		return status.Error(codes.Internal, "unknown path")
	}
	s.length = -1
	if n, err := strconv.Atoi(s.headers["content-length"]); err == nil {
		s.length = n
	}
	if s.length > toyLimit && !s.toy.has("has no limit") {
		return s.refuse(413, "too large")
	}
	switch {
	case h.GetEndOfStream():
		return s.decide(true)
	case s.mode() == buffered && !s.toy.has("holds the headers back in BUFFERED"),
		s.mode() == none && s.toy.has("lets requests of NONE pass"):
		return s.wire.Send(headersAnswer(&procv3.CommonResponse{}, nil))
	case s.mode() == buffered, s.mode() == fullDuplex:
		return nil
	case s.mode() == streamed && s.config.GetSendBodyWithoutWaitingForHeaderResponse():
		if s.toy.has("leaves eager streamed bodies unanswered") {
			return s.wire.Send(headersAnswer(&procv3.CommonResponse{}, nil))
		}
		return nil
	case s.mode() == streamed && s.toy.has("holds the headers back in STREAMED"),
		s.mode() == bufferedPartial && s.toy.has("holds the headers back in BUFFERED_PARTIAL"),
		s.mode() == none && s.toy.has("holds the headers back in NONE"):
		return nil
	case s.mode() == streamed:
		return s.decide(true)
	default:
		return s.refuse(500, "request_body_mode")
	}
}

func (s *toyStream) requestBody(b *procv3.HttpBody) error {
	if s.decided {
		if s.mode() == streamed {
			if s.toy.has("answers streamed bodies twice") {
				_ = s.wire.Send(bodyAnswer(&procv3.CommonResponse{}))
			}
			return s.wire.Send(bodyAnswer(&procv3.CommonResponse{}))
		}
		if s.toy.has("answers a second end") && b.GetEndOfStream() && s.mode() == fullDuplex {
			return s.refuse(400, "second end")
		}
		return nil
	}
	if s.parts++; s.toy.has("reads one part alone") {
		<-s.wire.Context().Done()
	}
	s.body = append(s.body, b.GetBody()...)
	if s.toy.has("keeps the last part alone") {
		s.body = bytes.Clone(b.GetBody())
	}
	if s.toy.has("gets lost in many parts") && s.parts > 100 {
		return status.Error(codes.ResourceExhausted, "too many parts")
	}
	if len(s.body) > toyLimit && !s.toy.has("has no limit") && !s.toy.has("believes content-length") {
		return s.refuse(413, "too large")
	}
	if s.toy.has("echoes parts without the end") && s.mode() == fullDuplex && !b.GetEndOfStream() {
		return s.wire.Send(streamedAnswer(b.GetBody(), false))
	}
	complete := b.GetEndOfStream() || (s.mode() == buffered && (len(s.body) == s.length || s.length < 0))
	if s.toy.has("waits for the end mark in BUFFERED") || s.toy.has("ends at once in BUFFERED, and again") {
		complete = b.GetEndOfStream()
	}
	if s.mode() == buffered && s.toy.has("ends at once in BUFFERED, and again") && !b.GetEndOfStream() {
		return s.wire.Send(bodyAnswer(&procv3.CommonResponse{}))
	}
	if s.toy.has("misses an empty end") && b.GetEndOfStream() && len(b.GetBody()) == 0 && len(s.body) > 0 {
		return nil
	}
	if complete {
		return s.decide(false)
	}
	return nil
}

func (s *toyStream) requestTrailers() error {
	trailers := &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestTrailers{RequestTrailers: &procv3.TrailersResponse{}}}
	if s.toy.has("leaves request trailers unanswered") {
		return nil
	}
	if !s.decided {
		s.held = append(s.held, trailers)
		return s.decide(s.parts == 0)
	}
	return s.wire.Send(trailers)
}

// decide answers a whole request.
func (s *toyStream) decide(bodyless bool) error {
	s.decided = true
	if s.toy.has("breaks at a half-close") {
		if _, err := s.wire.Recv(); errors.Is(err, io.EOF) {
			return status.Error(codes.Canceled, "half-closed")
		}
	}
	var chat struct{ Model *string }
	if !bodyless {
		if err := json.Unmarshal(s.body, &chat); err != nil {
			switch {
			case s.toy.has("breaks the stream on bad JSON"):
				return status.Error(codes.InvalidArgument, "not JSON")
			case s.toy.has("500 for an empty body") && len(s.body) == 0:
				return s.refuse(500, "empty")
			default:
				return s.refuse(400, "not JSON")
			}
		}
		if s.toy.has("breaks without a model") && chat.Model == nil {
			return status.Error(codes.Internal, "no model")
		}
		if s.toy.has("breaks on unknown models") && chat.Model != nil && *chat.Model != "toy" {
			return status.Error(codes.Internal, "unknown model")
		}
	}
	if s.toy.full != nil && s.headers[objectiveHeader] == "batch" {
		switch {
		case s.toy.has("stays saturated") && s.toy.turn.Load() < 0:
			return s.refuse(429, "saturated")
		case s.toy.full.Load() && !s.toy.has("never saturated"):
			if s.toy.has("stays saturated") {
				s.toy.turn.Store(-1 << 40)
			}
			return s.refuse(429, "saturated")
		}
	}
	pick, ok := s.pick(bodyless)
	if !ok {
		if s.toy.has("answers the headers before it refuses") {
			if err := s.wire.Send(headersAnswer(&procv3.CommonResponse{}, nil)); err != nil {
				return err
			}
		}
		switch {
		case len(s.toy.endpoints) == 0 && s.toy.has("500 without endpoints"),
			len(s.toy.endpoints) == 0 && bodyless && s.toy.has("500 without endpoints and body"):
			return s.refuse(500, "no endpoint")
		}
		return s.refuse(503, "no endpoint")
	}
	return s.answer(pick, bodyless)
}

// pick chooses an endpoint.
func (s *toyStream) pick(bodyless bool) (string, bool) {
	p := s.toy
	allowed := p.endpoints
	ignored := p.has("ignores the hint") || (bodyless && p.has("ignores the hint without a body"))
	if s.hint != nil && !ignored {
		allowed = nil
		for _, v := range s.hint.GetValues() {
			if p.has("tells endpoints apart by IP alone") {
				for _, a := range p.endpoints {
					if hostOf(a) == hostOf(v.GetStringValue()) {
						allowed = append(allowed, a)
					}
				}
				continue
			}
			if a := v.GetStringValue(); slices.Contains(p.endpoints, a) || p.has("believes the hint") {
				allowed = append(allowed, a)
			}
		}
		if len(s.hint.GetValues()) == 0 && p.has("takes an empty hint for none") {
			allowed = p.endpoints
		}
	}
	if want := s.headers[selectionHeader]; want != "" && s.hint == nil && !p.has("ignores the selection") {
		var chosen []string
		for _, a := range fields(want) {
			if slices.Contains(allowed, a) {
				chosen = append(chosen, a)
			}
		}
		allowed = chosen
	}
	if forged := s.headers[destination]; forged != "" && p.has("obeys the client") {
		return forged, true
	}
	if len(allowed) == 0 {
		return "", false
	}
	return allowed[int(p.turn.Add(1)&0xffff)%len(allowed)], true
}

// answer lets a request go on.
func (s *toyStream) answer(pick string, bodyless bool) error {
	p := s.toy
	switch {
	case p.has("picks a name"):
		pick = "vllm-0:http"
	case p.has("picks a stranger"):
		pick = nowhere
	case p.has("picks a list"):
		pick = strings.Join(p.endpoints, ",")
	case bodyless && p.has("no destination without a body"):
		pick = ""
	}
	option := &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: destination, RawValue: []byte(pick)},
		AppendAction: corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD}
	switch {
	case p.has("adds the header if absent"):
		option.AppendAction = corev3.HeaderValueOption_ADD_IF_ABSENT
	case p.has("sets both values"):
		option.Header.Value = pick
	}
	edits := &procv3.HeaderMutation{SetHeaders: []*corev3.HeaderValueOption{option}}
	if p.has("sets the header twice") {
		edits.SetHeaders = append(edits.SetHeaders, option)
	}
	if p.has("no destination header") || pick == "" || (p.has("no destination in BUFFERED") && s.mode() == buffered) {
		edits.SetHeaders = nil
	}
	inMetadata := pick
	if p.has("metadata says another") {
		inMetadata = nowhere
	}
	metadata, _ := structpb.NewStruct(map[string]any{lbNamespace: map[string]any{destination: inMetadata}})
	if p.has("no metadata") || pick == "" {
		metadata = nil
	}
	common := &procv3.CommonResponse{HeaderMutation: edits, ClearRouteCache: true}
	switch {
	case bodyless:
		if err := s.wire.Send(headersAnswer(common, metadata)); err != nil {
			return err
		}
		if p.has("a body for a request without one") && len(s.held) == 0 {
			return s.wire.Send(streamedAnswer(nil, true))
		}
	case s.mode() == fullDuplex:
		if err := s.answerDuplex(common, metadata); err != nil {
			return err
		}
	case s.mode() == streamed:
		if err := s.answerStreamed(common, metadata); err != nil {
			return err
		}
	default:
		if err := s.answerBuffered(common, metadata); err != nil {
			return err
		}
	}
	for _, m := range s.held {
		if err := s.wire.Send(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *toyStream) answerDuplex(common *procv3.CommonResponse, metadata *structpb.Struct) error {
	p := s.toy
	body := s.body
	switch {
	case p.has("cuts the body"):
		body = body[:len(body)-1]
	case p.has("mixes bodies up"):
		if old, ok := lastBody.Swap(bytes.Clone(body)).([]byte); ok {
			body = old
		}
	case p.has("marshals the body anew"):
		var all map[string]any
		_ = json.Unmarshal(body, &all)
		body, _ = json.Marshal(all)
	case p.has("echoes parts without the end"):
		body = nil
	}
	var answers []*procv3.ProcessingResponse
	if p.has("edits headers with the body") {
		answers = append(answers, headersAnswer(&procv3.CommonResponse{}, metadata))
	} else {
		answers = append(answers, headersAnswer(common, metadata))
	}
	size := 60_000
	if p.has("sends large parts") {
		size = 1 << 20
	}
	trailers := len(s.held) > 0 && !p.has("ends the body before trailers")
	for first := true; first || len(body) > 0; first = false {
		n := min(size, len(body))
		part := streamedAnswer(body[:n], n == len(body) && !trailers && !p.has("no end"))
		if p.has("an end in every part") {
			part = streamedAnswer(body[:n], true)
		}
		if p.has("replaces a duplex body") {
			part = bodyAnswer(&procv3.CommonResponse{BodyMutation: &procv3.BodyMutation{Mutation: &procv3.BodyMutation_Body{Body: body[:n]}}})
		}
		if p.has("edits headers with the body") {
			part.GetRequestBody().Response.HeaderMutation = common.HeaderMutation
		}
		answers = append(answers, part)
		body = body[n:]
	}
	if p.has("body before headers") {
		answers = append(answers[1:], answers[0])
	}
	for _, m := range answers {
		if err := s.wire.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// lastBody is what a mutant mixes up.
var lastBody atomic.Value

func (s *toyStream) answerStreamed(common *procv3.CommonResponse, metadata *structpb.Struct) error {
	if err := s.wire.Send(headersAnswer(common, metadata)); err != nil {
		return err
	}
	for range s.parts {
		if err := s.wire.Send(bodyAnswer(&procv3.CommonResponse{})); err != nil {
			return err
		}
	}
	return nil
}

func (s *toyStream) answerBuffered(common *procv3.CommonResponse, metadata *structpb.Struct) error {
	p := s.toy
	body := bytes.Replace(s.body, []byte(`"toy"`), []byte(`"longer-toy"`), 1)
	length := len(body)
	if p.has("leaves content-length") {
		length = len(s.body)
	}
	if p.has("cuts a buffered body") {
		body = body[:len(body)-1]
		length--
	}
	common.HeaderMutation.SetHeaders = append(common.HeaderMutation.SetHeaders, &corev3.HeaderValueOption{
		Header: &corev3.HeaderValue{Key: "content-length", RawValue: []byte(strconv.Itoa(length))}})
	common.BodyMutation = &procv3.BodyMutation{Mutation: &procv3.BodyMutation_Body{Body: body}}
	if p.has("streams a buffered body") {
		common.BodyMutation = streamedAnswer(body, true).GetRequestBody().GetResponse().GetBodyMutation()
	}
	answer := bodyAnswer(common)
	answer.DynamicMetadata = metadata
	if err := s.wire.Send(answer); err != nil {
		return err
	}
	if p.has("answers a buffered body twice") {
		return s.wire.Send(answer)
	}
	return nil
}

func (s *toyStream) replyHeaders(m *procv3.ProcessingRequest, h *procv3.HttpHeaders, alone bool) error {
	p := s.toy
	switch {
	case p.has("waits for the request though the reply is there") && s.begun && !s.decided:
		return nil
	case p.has("breaks on a reply alone") && alone:
		return status.Error(codes.FailedPrecondition, "no request")
	case p.has("leaves reply headers unanswered"):
		return nil
	case p.has("breaks on served metadata") && m.GetMetadataContext() != nil:
		return status.Error(codes.Internal, "served")
	case p.has("leaves reply headers of NONE unanswered") && s.config.GetResponseBodyMode() == none:
		return nil
	}
	for _, f := range h.GetHeaders().GetHeaders() {
		if p.has("breaks on error replies") && f.GetKey() == ":status" && valueOf(f) == "503" {
			return status.Error(codes.Internal, "503")
		}
	}
	edits := &procv3.HeaderMutation{}
	if p.has("echoes reply headers") {
		for _, f := range h.GetHeaders().GetHeaders() {
			edits.SetHeaders = append(edits.SetHeaders, &corev3.HeaderValueOption{Header: f})
		}
	}
	if by := m.GetMetadataContext().GetFilterMetadata()[lbNamespace].GetFields()[served].GetStringValue(); by != "" && !p.has("does not tell who served") {
		edits.SetHeaders = append(edits.SetHeaders, &corev3.HeaderValueOption{Header: &corev3.HeaderValue{Key: servedResult, RawValue: []byte(by)}})
	}
	answer := &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseHeaders{
		ResponseHeaders: &procv3.HeadersResponse{Response: &procv3.CommonResponse{HeaderMutation: edits}}}}
	if err := s.wire.Send(answer); err != nil {
		return err
	}
	if p.has("a body for a reply without one") && h.GetEndOfStream() {
		return s.replyBody(&procv3.HttpBody{EndOfStream: true})
	}
	return nil
}

func (s *toyStream) replyBody(b *procv3.HttpBody) error {
	p := s.toy
	part, end := b.GetBody(), b.GetEndOfStream()
	switch {
	case p.has("dies of usage") && bytes.Contains(part, []byte(`"usage":"many"`)):
		p.dead.Store(true)
		return status.Error(codes.Internal, "usage")
	case p.has("holds events back") && !end && bytes.HasPrefix(part, []byte("data:")):
		s.body = append(s.body, part...)
		return nil
	case p.has("loses a part of the reply") && !end:
		part = nil
	case p.has("loses a reply's end"):
		end = false
	case p.has("ends a reply before its trailers"):
		end = true
	}
	mutation := streamedAnswer(part, end).GetRequestBody().GetResponse().GetBodyMutation()
	if s.config.GetResponseBodyMode() != fullDuplex && !p.has("streams every reply") {
		mutation = nil
	}
	return s.wire.Send(&procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseBody{
		ResponseBody: &procv3.BodyResponse{Response: &procv3.CommonResponse{BodyMutation: mutation}}}})
}

func (s *toyStream) refuse(code int, why string) error {
	err := s.wire.Send(&procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ImmediateResponse{
		ImmediateResponse: &procv3.ImmediateResponse{Status: &typev3.HttpStatus{Code: typev3.StatusCode(code)}, Body: []byte(why)}}})
	if err != nil {
		return err
	}
	return errToyAnswered
}

func headersAnswer(common *procv3.CommonResponse, metadata *structpb.Struct) *procv3.ProcessingResponse {
	return &procv3.ProcessingResponse{DynamicMetadata: metadata, Response: &procv3.ProcessingResponse_RequestHeaders{
		RequestHeaders: &procv3.HeadersResponse{Response: common}}}
}

func bodyAnswer(common *procv3.CommonResponse) *procv3.ProcessingResponse {
	return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestBody{RequestBody: &procv3.BodyResponse{Response: common}}}
}

func streamedAnswer(body []byte, end bool) *procv3.ProcessingResponse {
	return bodyAnswer(&procv3.CommonResponse{BodyMutation: &procv3.BodyMutation{Mutation: &procv3.BodyMutation_StreamedResponse{
		StreamedResponse: &procv3.StreamedBodyResponse{Body: body, EndOfStream: end}}}})
}

// startToy serves a toy, and one without endpoints, and returns the target that
// they are. Where a bug makes it hang, patience is what a check waits.
func startToy(t *testing.T, bug string, patience time.Duration) *target {
	t.Helper()
	full := &atomic.Bool{}
	var targets [2]*target
	for i, endpoints := range [][]string{{"127.0.0.1:7001", "127.0.0.1:7002", "[::1]:7003"}, nil} {
		p := &toy{endpoints: endpoints, full: full, bug: bug}
		address := serveToy(t, p)
		o := &options{model: "toy", endpoints: endpoints, limit: toyLimit, patience: patience}
		got, done, err := o.dial(address, address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
		targets[i] = got
	}
	got := targets[0]
	got.bystander, got.saturate, got.objective = targets[1], full.Store, "batch"
	got.fixtures, got.headers = true, []string{selectionHeader, strings.Join(got.endpoints, ",")}
	return got
}

func serveToy(t *testing.T, p *toy) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(maxMessage)}
	if p.has("takes 4 MiB messages") {
		options = nil
	}
	server := grpc.NewServer(options...)
	procv3.RegisterExternalProcessorServer(server, p)
	probe := health.NewServer()
	state := healthv1.HealthCheckResponse_SERVING
	if p.has("not serving") {
		state = healthv1.HealthCheckResponse_NOT_SERVING
	}
	probe.SetServingStatus("", state)
	if !p.has("health of the server alone") {
		probe.SetServingStatus(procv3.ExternalProcessor_ServiceDesc.ServiceName, state)
	}
	healthv1.RegisterHealthServer(server, probe)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(fmt.Errorf("serve the toy: %w", err))
		}
	})
	return listener.Addr().String()
}
