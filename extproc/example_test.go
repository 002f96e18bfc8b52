package extproc_test

import (
	"context"
	"fmt"
	"net"

	"semantic-epp/extproc"
)

// teapot answers every request itself.
type teapot struct{}

func (teapot) Begin(context.Context, *extproc.RequestHead) extproc.Exchange { return teapot{} }

func (teapot) Request(context.Context, []byte) (extproc.Verdict, error) {
	return extproc.Verdict{Reply: &extproc.Reply{Status: 403, Body: []byte("tea only\n")}}, nil
}

func (teapot) ResponseHeaders(context.Context, *extproc.ResponseHead) extproc.HeaderEdits {
	return extproc.HeaderEdits{}
}
func (teapot) ResponseBody(context.Context, []byte) {}
func (teapot) End(outcome extproc.Outcome)          { fmt.Println(outcome) }

func ExampleServer_Serve() {
	server, err := extproc.New(teapot{}, extproc.Config{MaxRequestBytes: 1 << 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	stop() // at once, here; on SIGTERM in a program
	server.SetServing(true)
	fmt.Println(server.Serve(ctx, extproc.Listeners{Plain: plain}))
	// Output: <nil>
}
