package extproc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
)

const (
	// DefaultDrainTimeout is how long streams may go on after the end of Serve's
	// context.
	DefaultDrainTimeout = 30 * time.Second

	// maxMaxRequestBytes keeps sizes within what gRPC can receive.
	maxMaxRequestBytes = 1 << 30

	// streamWorkers is how many goroutines are kept for streams, with the
	// stacks that these have grown; more streams get goroutines of their own.
	streamWorkers = 64

	// messageOverhead is what a message may be larger than the body in it.
	messageOverhead = 1 << 20
)

// Listeners are where a Server serves. At least one of Secure and Plain is
// needed; Serve closes all of them.
type Listeners struct {
	// Secure takes TLS connections, as InferencePool gateways open them.
	Secure net.Listener
	// Plain takes plaintext HTTP/2, as ext_proc policies expect it.
	Plain net.Listener
	// Health serves nothing but the gRPC health service, in plaintext. The
	// other two serve it as well.
	Health net.Listener

	// CertDir holds tls.crt and tls.key for Secure; they are loaded again when
	// they change. "" means a self-signed certificate made in memory.
	CertDir string

	// DrainDelay is the time between health turning NOT_SERVING and the
	// refusal of new connections: what gateways need to notice. Default none.
	DrainDelay time.Duration
	// DrainTimeout is the time that streams then have to end by themselves.
	// Default DefaultDrainTimeout.
	DrainTimeout time.Duration
}

// SetServing sets what the gRPC health service says, for "" and for
// envoy.service.ext_proc.v3.ExternalProcessor. Once Serve drains, it stays
// NOT_SERVING.
func (s *Server) SetServing(serving bool) {
	status := healthv1.HealthCheckResponse_NOT_SERVING
	if serving {
		status = healthv1.HealthCheckResponse_SERVING
	}
	s.health.SetServingStatus("", status)
	s.health.SetServingStatus(extprocv3.ExternalProcessor_ServiceDesc.ServiceName, status)
}

// Serve serves until ctx ends and the streams in flight have drained, or until
// a listener breaks. It returns nil after a drain, also after one that had to
// cut streams off at DrainTimeout. A Server serves once.
func (s *Server) Serve(ctx context.Context, on Listeners) error {
	picker, probes := s.newGRPCServer(), grpc.NewServer()
	healthv1.RegisterHealthServer(probes, s.health)
	defer probes.Stop()
	defer picker.Stop()

	var (
		broken  = make(chan error, 3)
		running int
	)
	serve := func(server *grpc.Server, l net.Listener) {
		running++
		go func() {
			err := server.Serve(l)
			if errors.Is(err, grpc.ErrServerStopped) {
				err = nil
			}
			broken <- err
		}()
	}
	secure, err := s.secure(on)
	if err != nil {
		on.close()
		return fmt.Errorf("serve ext_proc: %w", err)
	}
	for _, l := range []net.Listener{secure, on.Plain} {
		if l != nil {
			serve(picker, l)
		}
	}
	if on.Health != nil {
		serve(probes, on.Health)
	}

	select {
	case <-ctx.Done():
		s.drain(picker, on)
	case err = <-broken:
		running--
		if err != nil {
			err = fmt.Errorf("serve ext_proc: %w", err)
		}
		s.health.Shutdown()
		picker.Stop()
	}
	probes.Stop()
	for range running {
		err = errors.Join(err, <-broken)
	}
	return err
}

// drain lets the streams in flight end, while health says NOT_SERVING.
func (s *Server) drain(server *grpc.Server, on Listeners) {
	s.health.Shutdown()
	time.Sleep(on.DrainDelay)
	timeout := time.AfterFunc(cmp.Or(on.DrainTimeout, DefaultDrainTimeout), func() {
		s.log.Info("drain timeout passed, cutting the remaining streams off")
		server.Stop()
	})
	defer timeout.Stop()
	server.GracefulStop()
}

// newGRPCServer returns a server for gateways. Streams are not bounded in
// number (gRPC's default): gateways bound them, and bytes have a budget.
func (s *Server) newGRPCServer() *grpc.Server {
	server := grpc.NewServer(
		grpc.ForceServerCodecV2(newCodec()),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxRecvMsgSize(int(s.maxRequestBytes)+messageOverhead),
		// Gateways ping as they like; a gateway that vanished is noticed within
		// a minute and a half, and its streams end.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
	)
	extprocv3.RegisterExternalProcessorServer(server, s)
	healthv1.RegisterHealthServer(server, s.health)
	return server
}

// secure puts TLS on the Secure listener; nil when there is none. TLS lies
// below gRPC, not in its credentials, since those turn away clients that
// negotiate no ALPN, such as Envoy's health checks in their default form.
func (s *Server) secure(on Listeners) (net.Listener, error) {
	if on.Secure == nil {
		if on.Plain == nil {
			return nil, errors.New("no listener: give a secure or a plain one")
		}
		return nil, nil
	}
	certificates, err := newCertificates(on.CertDir, s.log)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(on.Secure, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2"},
		GetCertificate: certificates.get,
	}), nil
}

func (on Listeners) close() {
	for _, l := range []net.Listener{on.Secure, on.Plain, on.Health} {
		if l != nil {
			_ = l.Close() // nothing was served on it
		}
	}
}
