package extproc

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

func counted(c prometheus.Metric) float64 {
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue() + m.GetGauge().GetValue()
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serving runs a server until stop, which returns what Serve returned.
func serving(t *testing.T, h Handler, on Listeners) (srv *Server, stop func() error) {
	t.Helper()
	srv, err := New(h, Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, on) }()
	stopped := false
	stop = func() error {
		stopped = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		if !stopped {
			_ = stop()
		}
	})
	return srv, stop
}

func dial(t *testing.T, l net.Listener, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func exchangeOnce(t *testing.T, conn *grpc.ClientConn) error {
	t.Helper()
	c, err := extprocv3.NewExternalProcessorClient(conn).Process(t.Context())
	if err != nil {
		return err
	}
	_ = c.Send(declare(requestHeaders(eos), fullDuplex, fullDuplex))
	if _, err := c.Recv(); err != nil {
		return err
	}
	_ = c.CloseSend()
	if _, err := c.Recv(); !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func TestHealth(t *testing.T) {
	plain, secure, probes := listen(t), listen(t), listen(t)
	srv, stop := serving(t, &double{}, Listeners{Plain: plain, Secure: secure, Health: probes})
	insecureTLS := credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	clients := map[string]*grpc.ClientConn{
		"plain": dial(t, plain, insecure.NewCredentials()), "secure": dial(t, secure, insecureTLS), "health": dial(t, probes, insecure.NewCredentials()),
	}
	for _, want := range []healthv1.HealthCheckResponse_ServingStatus{
		healthv1.HealthCheckResponse_NOT_SERVING, healthv1.HealthCheckResponse_SERVING, healthv1.HealthCheckResponse_NOT_SERVING,
	} {
		srv.SetServing(want == healthv1.HealthCheckResponse_SERVING)
		for name, conn := range clients {
			for _, service := range []string{"", "envoy.service.ext_proc.v3.ExternalProcessor"} {
				got, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{Service: service})
				if err != nil || got.GetStatus() != want {
					t.Errorf("%s, service %q: got %v, %v, want %v", name, service, got.GetStatus(), err, want)
				}
			}
		}
	}
	if err := exchangeOnce(t, clients["health"]); status.Code(err) != codes.Unimplemented {
		t.Errorf("ext_proc on the health listener: got %v, want %v", err, codes.Unimplemented)
	}
	for _, name := range []string{"plain", "secure"} {
		if err := exchangeOnce(t, clients[name]); err != nil {
			t.Errorf("exchange over %s: %v", name, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

// Envoy's gRPC health checks negotiate no ALPN unless told to.
func TestTLSWithoutALPN(t *testing.T) {
	secure := listen(t)
	serving(t, &double{}, Listeners{Secure: secure})
	conn, err := tls.Dial("tcp", secure.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")); err != nil {
		t.Fatal(err)
	}
	frame := make([]byte, 9)
	if _, err := io.ReadFull(conn, frame); err != nil || frame[3] != 4 {
		t.Errorf("got frame %x, %v, want SETTINGS", frame, err)
	}
}

// writePair writes a new self-signed pair and returns its serial number.
func writePair(t *testing.T, dir string) string {
	t.Helper()
	pair, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(pair.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"tls.crt": {Type: "CERTIFICATE", Bytes: pair.Certificate[0]}, "tls.key": {Type: "EC PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return leaf.SerialNumber.String()
}

func TestCertificateFilesAreReloaded(t *testing.T) {
	dir, secure := t.TempDir(), listen(t)
	first := writePair(t, dir)
	serving(t, &double{}, Listeners{Secure: secure, CertDir: dir})
	served := func() string {
		conn, err := tls.Dial("tcp", secure.Addr().String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.ConnectionState().NegotiatedProtocol; got != "h2" {
			t.Errorf("negotiated %q, want h2", got)
		}
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if got := served(); got != first {
		t.Fatalf("serial number %s, want that of the file, %s", got, first)
	}
	second := writePair(t, dir)
	if got := served(); got != second {
		t.Errorf("after the files changed: serial number %s, want %s", got, second)
	}
	if err := os.WriteFile(filepath.Join(dir, "tls.crt"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(); got != second {
		t.Errorf("with a broken file: serial number %s, want the last good one, %s", got, second)
	}
	third := writePair(t, dir)
	if got := served(); got != third {
		t.Errorf("once whole again: serial number %s, want %s", got, third)
	}
}

func TestServeRefusesBadListeners(t *testing.T) {
	tests := map[string]struct {
		on   Listeners
		want string
	}{
		"none":               {on: Listeners{Health: listen(t)}, want: "no listener"},
		"no such directory":  {on: Listeners{Secure: listen(t), CertDir: "/nonexistent"}, want: "/nonexistent/tls.crt"},
		"a listener is dead": {on: Listeners{Plain: closed(listen(t))}, want: "closed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			srv, err := New(&double{}, Config{})
			if err != nil {
				t.Fatal(err)
			}
			if err := srv.Serve(t.Context(), tt.on); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Serve = %v, want an error that names %s", err, tt.want)
			}
		})
	}
}

func closed(l net.Listener) net.Listener {
	_ = l.Close()
	return l
}

func TestDrain(t *testing.T) {
	t.Run("streams in flight end well", func(t *testing.T) {
		plain, probes := listen(t), listen(t)
		srv, stop := serving(t, &double{}, Listeners{Plain: plain, Health: probes, DrainDelay: 20 * time.Millisecond})
		srv.SetServing(true)
		c, err := extprocv3.NewExternalProcessorClient(dial(t, plain, insecure.NewCredentials())).Process(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Send(declare(requestHeaders(eos), fullDuplex, fullDuplex))
		if _, err := c.Recv(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- stop() }()
		for probe := healthv1.NewHealthClient(dial(t, probes, insecure.NewCredentials())); ; time.Sleep(time.Millisecond) {
			if got, err := probe.Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
				t.Fatalf("health must answer while draining: %v", err)
			} else if got.GetStatus() == healthv1.HealthCheckResponse_NOT_SERVING {
				break
			}
		}
		time.Sleep(50 * time.Millisecond) // well into GracefulStop
		_ = c.Send(responseHeaders(eos))
		if answer, err := c.Recv(); err != nil || answer.GetResponseHeaders() == nil {
			t.Errorf("a stream in flight got %v, %v while draining", answer, err)
		}
		_ = c.CloseSend()
		_, _ = c.Recv()
		if err := <-done; err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
	})
	t.Run("streams that stay are cut off", func(t *testing.T) {
		plain := listen(t)
		h := &double{}
		_, stop := serving(t, h, Listeners{Plain: plain, DrainTimeout: 50 * time.Millisecond})
		c, err := extprocv3.NewExternalProcessorClient(dial(t, plain, insecure.NewCredentials())).Process(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Send(declare(requestHeaders(eos), fullDuplex, fullDuplex))
		if _, err := c.Recv(); err != nil {
			t.Fatal(err)
		}
		if err := stop(); err != nil {
			t.Errorf("Serve = %v, want nil", err)
		}
		if _, err := c.Recv(); err == nil {
			t.Error("the stream outlived the server")
		}
		h.wantEnds(t, Aborted)
	})
}

func TestMetrics(t *testing.T) {
	r := newRig(t, &double{}, Config{})
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.srv.Collectors()...)
	if err := r.play(t, declare(requestHeaders(eos), fullDuplex, buffered), "request-headers", responseHeaders(eos), "response-headers", responseBody("late", eos)); err != nil {
		t.Fatal(err)
	}
	if err := r.play(t, declare(requestHeaders(!eos), none, none), "immediate 500 semantic_epp_body_mode +content-type=application/json"); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"semantic_epp_extproc_streams_total request FULL_DUPLEX_STREAMED": 1,
		"semantic_epp_extproc_streams_total response BUFFERED":            1,
		"semantic_epp_extproc_streams_total request NONE":                 1,
		"semantic_epp_extproc_refusals_total body_mode":                   1,
		"semantic_epp_extproc_exchanges_total completed":                  1,
		"semantic_epp_extproc_exchanges_total answered":                   1,
		"semantic_epp_extproc_messages_out_of_order_total":                1,
		"semantic_epp_extproc_panics_total":                               0,
		"semantic_epp_extproc_streams":                                    0,
		"semantic_epp_extproc_buffered_bytes":                             0,
	}
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline) && counted(r.srv.metrics.streams) > 0; {
		time.Sleep(time.Millisecond) // until the streams' goroutines are through
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s = %v, want %v", name, got[name], value)
		}
	}
}
