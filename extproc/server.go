package extproc

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/health"
)

// What a Config with zero values asks for.
const (
	DefaultMaxRequestBytes   = 32 << 20
	DefaultBufferBudgetBytes = 512 << 20
	DefaultDecisionTimeout   = 180 * time.Millisecond // Envoy's message_timeout is 200 ms
)

// Config is what an operator sets. A zero field means its default.
type Config struct {
	// MaxRequestBytes is the size of the largest request body let through;
	// larger ones are answered with 413. Default DefaultMaxRequestBytes.
	MaxRequestBytes int64

	// BufferBudgetBytes bounds the bytes of all request bodies held at once;
	// a request beyond it is answered with 503 and Retry-After. At least
	// MaxRequestBytes. Default DefaultBufferBudgetBytes.
	BufferBudgetBytes int64

	// DecisionTimeout is the time that Exchange.Request has; then the request
	// is answered with 503. Default DefaultDecisionTimeout.
	DecisionTimeout time.Duration

	// AllowModeOverride asks gateways that send no request bodies, or the
	// beginnings of them, for whole ones. Set it only where every gateway has
	// allow_mode_override: one that has not ignores the wish silently, and its
	// requests pass unseen or wait in vain.
	AllowModeOverride bool

	// AssumedBodyMode is taken for the mode of both directions where a gateway
	// declares none, as Envoy did before protocol_config: "BUFFERED", the
	// default, or "FULL_DUPLEX_STREAMED".
	AssumedBodyMode string

	// Logger is put into the context of every exchange, for
	// logr.FromContext; the zero Logger discards.
	Logger logr.Logger
}

// A Server is the gRPC service envoy.service.ext_proc.v3.ExternalProcessor.
type Server struct {
	extprocv3.UnimplementedExternalProcessorServer

	handler         Handler
	maxRequestBytes int64
	decisionTimeout time.Duration
	allowOverride   bool
	assumedMode     bodyMode
	log             logr.Logger
	budget          budget
	metrics         *metrics
	health          *health.Server
}

var _ extprocv3.ExternalProcessorServer = (*Server)(nil)

// New returns a Server whose health is NOT_SERVING until SetServing says
// otherwise, or an error that names every bad setting.
func New(handler Handler, cfg Config) (*Server, error) {
	s := &Server{
		handler:         handler,
		maxRequestBytes: cmp.Or(cfg.MaxRequestBytes, DefaultMaxRequestBytes),
		decisionTimeout: cmp.Or(cfg.DecisionTimeout, DefaultDecisionTimeout),
		allowOverride:   cfg.AllowModeOverride,
		log:             cfg.Logger,
		health:          health.NewServer(),
	}
	s.budget.limit = cmp.Or(cfg.BufferBudgetBytes, max(DefaultBufferBudgetBytes, s.maxRequestBytes))
	var errs []error
	if handler == nil {
		errs = append(errs, errors.New("no handler"))
	}
	if s.maxRequestBytes < 0 || s.maxRequestBytes > maxMaxRequestBytes {
		errs = append(errs, fmt.Errorf("max request bytes %d: want 1 to %d", s.maxRequestBytes, maxMaxRequestBytes))
	}
	if s.budget.limit < s.maxRequestBytes {
		errs = append(errs, fmt.Errorf("buffer budget of %d bytes cannot hold one request of the allowed %d bytes: raise the one or lower the other",
			s.budget.limit, s.maxRequestBytes))
	}
	if s.decisionTimeout < 0 {
		errs = append(errs, fmt.Errorf("decision timeout %v: want a positive duration", s.decisionTimeout))
	}
	switch cfg.AssumedBodyMode {
	case "", buffered.String():
		s.assumedMode = buffered
	case fullDuplex.String():
		s.assumedMode = fullDuplex
	default:
		errs = append(errs, fmt.Errorf("assumed body mode %q: want %v or %v", cfg.AssumedBodyMode, buffered, fullDuplex))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("ext_proc server: %w", err)
	}
	s.metrics = newMetrics(&s.budget)
	s.SetServing(false)
	return s, nil
}

// Collectors returns the metrics of this server, for registration. All labels
// are bounded by the code.
func (s *Server) Collectors() []prometheus.Collector { return s.metrics.all() }

// Process serves one stream, on one goroutine. A panic ends that stream alone,
// with codes.Internal.
func (s *Server) Process(wire extprocv3.ExternalProcessor_ProcessServer) (err error) {
	x := &stream{srv: s, wire: wire, ctx: wire.Context()}
	log, lookupErr := logr.FromContext(x.ctx)
	if lookupErr != nil {
		log = s.log
		x.ctx = logr.NewContext(x.ctx, log)
	}
	x.log = log
	s.metrics.streams.Inc()
	defer s.metrics.streams.Dec()
	defer s.contain(log, &err)
	defer x.release()
	return x.run()
}
