package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serving runs Serve until stop is called, which returns what Serve did.
func serving(t *testing.T, handler http.Handler) (address string, stop func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, listener, handler) }()
	return listener.Addr().String(), func() error {
		cancel()
		return <-served
	}
}

func newClient(t *testing.T) *http.Client {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func TestServeAnswersAndStops(t *testing.T) {
	address, stop := serving(t, New(&double{}))
	client := newClient(t)
	reply, err := client.Get("http://" + address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if body, err := io.ReadAll(reply.Body); err != nil || !strings.Contains(string(body), "healthy") {
		t.Errorf("%s, %v", body, err)
	}
	head, err := client.Head("http://" + address + "/health")
	if err != nil {
		t.Fatal(err)
	}
	if head.ContentLength != reply.ContentLength || head.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d, %d bytes; GET: %d bytes", head.StatusCode, head.ContentLength, reply.ContentLength)
	}
	if err := head.Body.Close(); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://" + address + "/health"); err == nil {
		t.Error("still answers")
	}
}

func TestARequestInHandIsAnsweredWhileStopping(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	address, stop := serving(t, New(&double{during: func() { close(began); <-goOn }}))
	status := make(chan int, 1)
	client := newClient(t)
	go func() {
		reply, err := client.Post("http://"+address+"/api/v1/classify/intent", "application/json", strings.NewReader(`{"text": "an integral"}`))
		if err != nil {
			status <- 0
			return
		}
		reply.Body.Close()
		status <- reply.StatusCode
	}()
	<-began
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the listener is closed
		conn, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	close(goOn)
	if got := <-status; got != http.StatusOK {
		t.Errorf("status %d", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServeSaysWhyItCannotServe(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := Serve(t.Context(), listener, New(&double{})); !errors.Is(err, net.ErrClosed) {
		t.Errorf("error %v", err)
	}
}

func TestTooLargeABodyIsRefusedOnTheWire(t *testing.T) {
	address, stop := serving(t, New(&double{}))
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	body := `{"text": "` + strings.Repeat("x", maxBodyBytes) + `"}`
	reply, err := newClient(t).Post("http://"+address+"/api/v1/explain", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", reply.StatusCode)
	}
}
