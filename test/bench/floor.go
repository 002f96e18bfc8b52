package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extproc "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// floor is the server called AH: the least that any picker which reads bodies
// must do. It holds the request body, chunk by chunk as it came, to its end;
// then it answers the headers and gives the chunks back. Reply messages it
// answers at once. It looks at nothing.
type floor struct {
	extproc.UnimplementedExternalProcessorServer
}

// Process serves one HTTP exchange.
func (floor) Process(stream extproc.ExternalProcessor_ProcessServer) error {
	var held []*extproc.ProcessingResponse
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) || status.Code(err) == codes.Canceled {
			return nil
		}
		if err != nil {
			return err
		}
		switch m := message.Request.(type) {
		case *extproc.ProcessingRequest_RequestHeaders:
			held = append(held, floorHeaders())
		case *extproc.ProcessingRequest_RequestBody:
			held = append(held, requestBodyAnswer(m.RequestBody))
			if !m.RequestBody.EndOfStream {
				continue
			}
			for _, answer := range held {
				if err := stream.Send(answer); err != nil {
					return err
				}
			}
			held = nil
		case *extproc.ProcessingRequest_ResponseHeaders:
			err = stream.Send(&extproc.ProcessingResponse{Response: &extproc.ProcessingResponse_ResponseHeaders{
				ResponseHeaders: &extproc.HeadersResponse{}}})
		case *extproc.ProcessingRequest_ResponseBody:
			err = stream.Send(responseBodyAnswer(m.ResponseBody))
		default:
			err = status.Errorf(codes.Unimplemented, "the floor does not answer %T", m)
		}
		if err != nil {
			return err
		}
	}
}

// floorHeaders is what every picker's answer carries: one header and the order
// to choose the route again.
func floorHeaders() *extproc.ProcessingResponse {
	return &extproc.ProcessingResponse{Response: &extproc.ProcessingResponse_RequestHeaders{
		RequestHeaders: &extproc.HeadersResponse{Response: &extproc.CommonResponse{
			ClearRouteCache: true,
			HeaderMutation: &extproc.HeaderMutation{SetHeaders: []*core.HeaderValueOption{{
				Header: &core.HeaderValue{Key: destinationHeader, RawValue: []byte("127.0.0.1:8000")},
			}}},
		}}}}
}

func requestBodyAnswer(body *extproc.HttpBody) *extproc.ProcessingResponse {
	return &extproc.ProcessingResponse{Response: &extproc.ProcessingResponse_RequestBody{RequestBody: streamed(body)}}
}

func responseBodyAnswer(body *extproc.HttpBody) *extproc.ProcessingResponse {
	return &extproc.ProcessingResponse{Response: &extproc.ProcessingResponse_ResponseBody{ResponseBody: streamed(body)}}
}

// streamed gives a chunk back unchanged, as FULL_DUPLEX_STREAMED wants it.
func streamed(body *extproc.HttpBody) *extproc.BodyResponse {
	return &extproc.BodyResponse{Response: &extproc.CommonResponse{
		BodyMutation: &extproc.BodyMutation{Mutation: &extproc.BodyMutation_StreamedResponse{
			StreamedResponse: &extproc.StreamedBodyResponse{Body: body.Body, EndOfStream: body.EndOfStream},
		}}}}
}

// serveFloor answers ext_proc on listener with the floor until ctx ends.
func serveFloor(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer()
	extproc.RegisterExternalProcessorServer(server, floor{})
	return serveUntil(ctx, server, listener)
}

// serveUntil serves on listener until ctx ends, and then ends at once: no
// client of a benchmark is worth a drain.
func serveUntil(ctx context.Context, server *grpc.Server, listener net.Listener) error {
	defer context.AfterFunc(ctx, server.Stop)()
	if err := server.Serve(listener); err != nil {
		return fmt.Errorf("serve ext_proc on %s: %w", listener.Addr(), err)
	}
	return nil
}
