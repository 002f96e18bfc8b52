package extproc

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// benchServer, in the environment, makes this binary a server of that name.
const benchServer = "EXTPROC_BENCH_SERVER"

// BenchmarkAgainstFloor compares the CPU time of a Server with that of the
// least that any picker must do: keep a request to its end and send it back,
// with plain grpc-go. The servers are processes of their own, and take turns.
// An exchange is headers, a body in pieces of 64 KB, the head of the reply and
// 1 KB of reply; 16 are under way at a time. One iteration is 160 of them for
// either server.
func BenchmarkAgainstFloor(b *testing.B) {
	for _, kilobytes := range []int{1, 64, 220} {
		b.Run(fmt.Sprintf("%dKB", kilobytes), func(b *testing.B) {
			floor, ours := startBenchServer(b, "floor"), startBenchServer(b, "ours")
			body := bytes.Repeat([]byte("0123456789abcdef"), kilobytes<<10/16)
			for _, s := range []*benchProcess{floor, ours} { // connections, pools
				s.exchanges(b, body, 160)
			}
			var spent [2]time.Duration
			n := 0
			for b.Loop() {
				for i, s := range []*benchProcess{floor, ours} {
					before := s.cpu(b)
					s.exchanges(b, body, 160)
					spent[i] += s.cpu(b) - before
				}
				n += 160
			}
			b.ReportMetric(float64(spent[0].Microseconds())/float64(n), "floor-cpu-µs/req")
			b.ReportMetric(float64(spent[1].Microseconds())/float64(n), "ours-cpu-µs/req")
			b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
		})
	}
}

// BenchmarkChunk compares the CPU time of a chunk of server-sent events on its
// way through; one iteration is 4 streams of 500 chunks for either server.
func BenchmarkChunk(b *testing.B) {
	floor, ours := startBenchServer(b, "floor"), startBenchServer(b, "ours")
	var spent [2]time.Duration
	n := 0
	for b.Loop() {
		for i, s := range []*benchProcess{floor, ours} {
			before := s.cpu(b)
			s.chunks(b, 4, 500)
			spent[i] += s.cpu(b) - before
		}
		n += 4 * 500
	}
	b.ReportMetric(float64(spent[0].Nanoseconds())/float64(n)/1e3, "floor-cpu-µs/chunk")
	b.ReportMetric(float64(spent[1].Nanoseconds())/float64(n)/1e3, "ours-cpu-µs/chunk")
	b.ReportMetric(float64(spent[1])/float64(spent[0]), "ratio")
}

// A benchProcess is a server in a process of its own.
type benchProcess struct {
	client extprocv3.ExternalProcessorClient
	ask    io.Writer
	told   *bufio.Scanner
}

func startBenchServer(b *testing.B, name string) *benchProcess {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchServer+"="+name)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	p := &benchProcess{ask: in, told: bufio.NewScanner(out)}
	p.told.Scan()
	conn, err := grpc.NewClient(p.told.Text(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = conn.Close()
		_ = in.Close() // which ends the process
		_ = cmd.Wait()
	})
	p.client = extprocv3.NewExternalProcessorClient(conn)
	return p
}

// cpu is the CPU time that the process has used.
func (p *benchProcess) cpu(b *testing.B) time.Duration {
	fmt.Fprintln(p.ask)
	p.told.Scan()
	n, err := strconv.ParseInt(p.told.Text(), 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return time.Duration(n)
}

func (p *benchProcess) exchanges(b *testing.B, body []byte, n int) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range n / 16 {
				if err := exchange(p.client, body); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// exchange is one HTTP exchange as a gateway would have it.
func exchange(client extprocv3.ExternalProcessorClient, body []byte) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := client.Process(ctx)
	if err != nil {
		return err
	}
	head := requestHeaders(!eos, "content-length", strconv.Itoa(len(body)), "content-type", "application/json", "user-agent", "bench")
	if err := c.Send(declare(head, fullDuplex, fullDuplex)); err != nil {
		return err
	}
	for rest := body; len(rest) > 0; {
		part := rest[:min(len(rest), 64<<10)]
		rest = rest[len(part):]
		if err := c.Send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestBody{
			RequestBody: &extprocv3.HttpBody{Body: part, EndOfStream: len(rest) == 0}}}); err != nil {
			return err
		}
	}
	for ended := false; !ended; {
		answer, err := c.Recv()
		if err != nil {
			return err
		}
		ended = answer.GetRequestBody().GetResponse().GetBodyMutation().GetStreamedResponse().GetEndOfStream()
	}
	if err := c.Send(responseHeaders(!eos, "content-type", "application/json")); err != nil {
		return err
	}
	if err := c.Send(responseBody(strings.Repeat("x", 1024), eos)); err != nil {
		return err
	}
	for range 2 {
		if _, err := c.Recv(); err != nil {
			return err
		}
	}
	return nil
}

// chunks plays replies of server-sent events, each chunk awaited.
func (p *benchProcess) chunks(b *testing.B, streams, n int) {
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c, err := p.client.Process(ctx)
			if err != nil {
				b.Error(err)
				return
			}
			sends := []message{declare(requestHeaders(eos), fullDuplex, fullDuplex), responseHeaders(!eos, "content-type", "text/event-stream")}
			chunk := responseBody("data: "+strings.Repeat("x", 200)+"\n\n", !eos)
			for i := range n + len(sends) {
				m := chunk
				if i < len(sends) {
					m = sends[i]
				}
				if err := c.Send(m); err != nil {
					b.Error(err)
					return
				}
				if _, err := c.Recv(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// runBenchServer serves until its standard input ends, and tells the CPU time
// it has used at every line that comes in.
func runBenchServer(name string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() {
		if name == "floor" {
			server := grpc.NewServer(grpc.MaxRecvMsgSize(33 << 20))
			extprocv3.RegisterExternalProcessorServer(server, floor{})
			context.AfterFunc(ctx, server.Stop)
			served <- server.Serve(l)
			return
		}
		srv, err := New(splicer{}, Config{})
		if err == nil {
			err = srv.Serve(ctx, Listeners{Plain: l, DrainTimeout: time.Millisecond})
		}
		served <- err
	}()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			return err
		}
		fmt.Println(used.Utime.Nano() + used.Stime.Nano())
	}
	stop()
	return <-served
}

// floor holds a request to its end and sends it back piece by piece.
type floor struct {
	extprocv3.UnimplementedExternalProcessorServer
}

func (floor) Process(wire extprocv3.ExternalProcessor_ProcessServer) error {
	var held [][]byte
	edits, _ := headerMutation(HeaderEdits{Set: []Header{{"x-model", "big"}}}, keepLength)
	for {
		m, err := wire.Recv()
		if err != nil {
			return err
		}
		switch k := m.Request.(type) {
		case *extprocv3.ProcessingRequest_RequestHeaders:
			if k.RequestHeaders.EndOfStream {
				err = wire.Send(continueRequest)
			}
		case *extprocv3.ProcessingRequest_RequestBody:
			held = append(held, k.RequestBody.Body)
			if !k.RequestBody.EndOfStream {
				continue
			}
			err = wire.Send(requestHeadersAnswer(&extprocv3.CommonResponse{HeaderMutation: edits, ClearRouteCache: true}, nil))
			for i, part := range held {
				if err == nil {
					err = wire.Send(streamedRequestBody(part, i == len(held)-1))
				}
			}
		case *extprocv3.ProcessingRequest_ResponseHeaders:
			err = wire.Send(continueResponse)
		case *extprocv3.ProcessingRequest_ResponseBody:
			err = wire.Send(streamedResponseBody(k.ResponseBody.Body, k.ResponseBody.EndOfStream))
		}
		if err != nil {
			return err
		}
	}
}

// splicer is a Handler that replaces a few bytes near the front of each body.
type splicer struct{}

func (splicer) Begin(context.Context, *RequestHead) Exchange { return splicer{} }

func (splicer) Request(_ context.Context, body []byte) (Verdict, error) {
	v := Verdict{
		HeaderEdits:     HeaderEdits{Set: []Header{{"x-model", "big"}, {"x-gateway-destination-endpoint", "10.0.0.1:8000"}}},
		Metadata:        []Metadata{{"envoy.lb", "x-gateway-destination-endpoint", "10.0.0.1:8000"}},
		ClearRouteCache: true,
	}
	if len(body) > 20 {
		v.Body = [][]byte{body[:10], []byte("a longer name"), body[20:]}
	}
	return v, nil
}

func (splicer) ResponseHeaders(context.Context, *ResponseHead) HeaderEdits {
	return HeaderEdits{Set: []Header{{"x-picked", "big"}}}
}
func (splicer) ResponseBody(context.Context, []byte) {}
func (splicer) End(Outcome)                          {}
