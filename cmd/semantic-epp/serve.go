package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap/zapcore"
	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"

	"semantic-epp/api"
	"semantic-epp/endpoints"
	"semantic-epp/endpoints/cluster"
	"semantic-epp/extproc"
	"semantic-epp/plugins/semantic"
	"semantic-epp/router"
	"semantic-epp/telemetry"
)

const onnxruntimeHelp = "`path` of libonnxruntime.so (default: $ONNXRUNTIME_SHARED_LIBRARY_PATH, what make deps fetched, or the system's)"

// serveOptions are the flags of serve. Names that GIE's picker has too mean the
// same there.
type serveOptions struct {
	configFile, configText, endpointsFile string
	grpcPort, plaintextPort               int
	healthPort, metricsPort, apiPort      int
	apiBind                               string
	secureServing                         bool
	certPath                              string
	metricsAuth                           bool
	kubernetes                            kubernetesOptions
	refreshMetrics, refreshPrometheus     time.Duration
	verbosity                             int

	onnxruntime       string
	maxRequestBytes   int64
	bufferBudget      int64
	decisionTimeout   time.Duration
	drainTimeout      time.Duration
	allowModeOverride bool
	assumedBodyMode   string
}

func newServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve ext_proc (this is also what happens without a command)",
		Long: `Serve answers a gateway's ext_proc filter until SIGTERM or Ctrl-C, then lets the
exchanges under way end. It is ready when the gRPC health service says SERVING.`,
		Example: "  semantic-epp serve --config-file config.yaml --endpoints-file endpoints.yaml --plaintext-port 50051",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), o) },
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (o *serveOptions) addFlags(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.configFile, "config-file", "", "path of the `file` with the EndpointPickerConfig (default: an embedded one, see `config default`)")
	f.StringVar(&o.configText, "config-text", "", "the configuration as `text`, in place of a file")
	f.StringVar(&o.endpointsFile, "endpoints-file", "", "path of the `file` with endpoints and objectives; it is followed when it changes")
	o.kubernetes.addFlags(f)
	f.IntVar(&o.grpcPort, "grpc-port", 9002, "`port` of ext_proc")
	f.BoolVar(&o.secureServing, "secure-serving", true, "use TLS on --grpc-port")
	f.StringVar(&o.certPath, "cert-path", "", "`folder` with tls.crt and tls.key (default: a self-signed certificate)")
	f.IntVar(&o.plaintextPort, "plaintext-port", 0, "`port` of ext_proc without TLS, beside --grpc-port (0: none)")
	f.IntVar(&o.healthPort, "grpc-health-port", 9003, "`port` of the gRPC health service (0: only on the ext_proc ports)")
	f.IntVar(&o.metricsPort, "metrics-port", 9090, "`port` of /metrics (0: none)")
	f.IntVar(&o.apiPort, "api-port", 0, "`port` of the HTTP API: classify, explain, models (0: none)")
	f.StringVar(&o.apiBind, "api-bind", "127.0.0.1", "`address` that the HTTP API listens on; it has no authentication")
	f.BoolVar(&o.metricsAuth, "metrics-endpoint-auth", false, "not supported; GIE's picker asks Kubernetes who may read /metrics")
	f.DurationVar(&o.refreshMetrics, "refresh-metrics-interval", 50*time.Millisecond, "shortest `time` between two polls of a model server")
	f.DurationVar(&o.refreshPrometheus, "refresh-prometheus-metrics-interval", 5*time.Second, "`time` between updates of the pool's gauges")
	f.StringVar(&o.onnxruntime, "onnxruntime", "", onnxruntimeHelp)
	f.Int64Var(&o.maxRequestBytes, "max-request-bytes", extproc.DefaultMaxRequestBytes, "largest request body in `bytes`; larger ones get 413")
	f.Int64Var(&o.bufferBudget, "buffer-budget-bytes", extproc.DefaultBufferBudgetBytes, "`bytes` of request bodies held at once; beyond, requests get 503")
	f.DurationVar(&o.decisionTimeout, "decision-timeout", extproc.DefaultDecisionTimeout, "`time` for a whole decision; beyond, the request gets 503")
	f.DurationVar(&o.drainTimeout, "drain-timeout", 30*time.Second, "`time` that exchanges under way have after SIGTERM")
	f.BoolVar(&o.allowModeOverride, "allow-mode-override", false, "ask gateways that send no bodies for them; they must allow it")
	f.StringVar(&o.assumedBodyMode, "assumed-body-mode", "BUFFERED", "body `mode` of gateways that do not tell theirs: BUFFERED or FULL_DUPLEX_STREAMED")
	f.IntVarP(&o.verbosity, "v", "v", 2, "log `level`: 0 errors and start, 2 a line a request, 4 GIE's start, 5 everything")
}

// check finds what flags cannot say.
func (o *serveOptions) check() error {
	var errs []error
	if o.metricsAuth {
		errs = append(errs, errors.New("--metrics-endpoint-auth is not supported: guard the port with a NetworkPolicy, and leave it out"))
	}
	errs = append(errs, o.kubernetes.check(o.endpointsFile))
	if o.plaintextPort != 0 && !o.secureServing {
		errs = append(errs, errors.New("--plaintext-port stands beside TLS; with --secure-serving=false --grpc-port is plaintext already"))
	}
	if o.certPath != "" && !o.secureServing {
		errs = append(errs, errors.New("--cert-path has no meaning with --secure-serving=false"))
	}
	if o.grpcPort == 0 {
		errs = append(errs, errors.New("--grpc-port 0: gateways need to know the port"))
	}
	for name, port := range map[string]int{"grpc-port": o.grpcPort, "plaintext-port": o.plaintextPort, "grpc-health-port": o.healthPort, "metrics-port": o.metricsPort, "api-port": o.apiPort} {
		if port < 0 || port > 65535 {
			errs = append(errs, fmt.Errorf("--%s %d: use 0 to 65535", name, port))
		}
	}
	return errors.Join(errs...)
}

// newLogger writes JSON lines to stderr. Every V level is "info" there: zap has
// no names for them.
func newLogger(verbosity int) logr.Logger {
	level := func(l zapcore.Level, out zapcore.PrimitiveArrayEncoder) {
		zapcore.LowercaseLevelEncoder(max(l, zapcore.InfoLevel), out)
	}
	return zap.New(zap.WriteTo(os.Stderr), zap.Level(zapcore.Level(-verbosity)), zap.UseDevMode(false),
		zap.JSONEncoder(func(c *zapcore.EncoderConfig) { c.EncodeLevel, c.EncodeTime = level, zapcore.RFC3339NanoTimeEncoder }))
}

func serve(ctx context.Context, o serveOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	logger := newLogger(o.verbosity)
	ctrl.SetLogger(logger)
	inCluster := o.endpointsFile == "" && o.kubernetes.wanted()
	c, err := readConfiguration(ctx, o.configFile, o.configText, !inCluster)
	if err != nil {
		return err
	}
	if !inCluster && o.endpointsFile == "" && (c.taken == nil || len(c.taken.Endpoints.Endpoints) == 0) {
		return errors.New("nothing says where the model servers are: give --endpoints-file, or with Kubernetes --pool-name, --pools-of-service or --endpoint-selector")
	}
	// What serves exchanges outlives the signal, so that they can end.
	work, stop := context.WithCancel(logr.NewContext(context.WithoutCancel(ctx), logger))
	defer stop()
	open := newOpener(o.onnxruntime, func(notice string) { logger.Info(notice) })
	var server *extproc.Server // there before the source tells that it is ready
	var source *cluster.Source
	connect := func(store *endpoints.Store, plugin *semantic.Plugin) (router.Cluster, error) {
		if !inCluster {
			return nil, nil
		}
		var err error
		source, err = o.kubernetes.open(work, store, plugin, func(err error) { server.SetServing(err == nil) }, logger)
		return source, err
	}
	p, err := newPicker(work, c, open, connect, o.refreshMetrics, logger)
	if err != nil {
		return err
	}
	defer p.store.Close()
	telemetry.ClassifierInUse(func() (kind, revision, device string) {
		info := p.semantic.Rules().ClassifierInfo()
		return info.Name, info.Revision, info.Device
	})
	waitEndpoints, err := o.followEndpoints(work, c, inCluster, p.store, logger)
	if err != nil {
		return err
	}
	defer waitEndpoints()
	waitConfiguration, err := o.followConfiguration(work, c, inCluster, p, logger)
	if err != nil {
		return err
	}
	defer waitConfiguration()
	defer stop() // before waiting

	server, err = extproc.New(p.router, extproc.Config{
		MaxRequestBytes:   o.maxRequestBytes,
		BufferBudgetBytes: o.bufferBudget,
		DecisionTimeout:   o.decisionTimeout,
		AllowModeOverride: o.allowModeOverride,
		AssumedBodyMode:   o.assumedBodyMode,
		Logger:            logger,
	})
	if err != nil {
		return err
	}
	registerMetrics(server, p.store, source, o.metricsPool())
	listeners, err := o.listen()
	if err != nil {
		return err
	}
	var background errgroup.Group
	background.Go(func() error { p.store.Report(work, o.metricsPool(), o.refreshPrometheus); return nil })
	background.Go(func() error { return serveMetrics(work, listeners.metrics) })
	if listeners.api != nil {
		handler := api.New(&backend{plugin: p.semantic, ready: func() error { return ready(p.store, source) }})
		background.Go(func() error { return api.Serve(work, listeners.api, handler) })
	}
	defer func() {
		if err := background.Wait(); err != nil {
			logger.Error(err, "metrics or the API were not served to the end")
		}
	}()
	defer stop()

	logger.Info("serving", "version", version, "configuration", c.name, "endpoints", len(p.store.Snapshot().Endpoints),
		"grpcPort", o.grpcPort, "tls", o.secureServing, "plaintextPort", o.plaintextPort,
		"grpcHealthPort", o.healthPort, "metricsPort", o.metricsPort, "apiPort", o.apiPort)
	serving, end := context.WithCancelCause(ctx)
	defer end(nil)
	if source == nil {
		server.SetServing(true)
	} else {
		background.Go(func() error {
			if err := source.Run(work); err != nil {
				end(fmt.Errorf("follow Kubernetes: %w", err))
			}
			return nil
		})
	}
	err = server.Serve(serving, extproc.Listeners{
		Secure:       listeners.secure,
		Plain:        listeners.plaintext,
		Health:       listeners.health,
		CertDir:      o.certPath,
		DrainTimeout: o.drainTimeout,
	})
	if cause := context.Cause(serving); err == nil && ctx.Err() == nil && cause != nil {
		return cause
	}
	if err == nil {
		logger.Info("stopped")
	}
	return err
}

// metricsPool is the name of the pool in GIE's metrics where no InferencePool
// gives it.
func (o *serveOptions) metricsPool() string { return cmp.Or(o.kubernetes.poolName, "standalone") }

// followEndpoints fills the store: from the endpoints file, or from the
// configuration of vLLM Semantic Router, which names them itself. Kubernetes
// fills it otherwise.
func (o *serveOptions) followEndpoints(ctx context.Context, c configuration, inCluster bool, store *endpoints.Store, logger logr.Logger) (wait func(), err error) {
	if c.taken != nil {
		for _, entry := range c.taken.Report {
			if entry.Warn {
				logger.Info("configuration of vLLM Semantic Router: "+entry.Note, "key", entry.Key, "outcome", string(entry.Outcome))
			}
		}
	}
	if o.endpointsFile != "" {
		return endpoints.Watch(ctx, o.endpointsFile, store, logger)
	}
	if !inCluster {
		_, err = store.Apply(ctx, &c.taken.Endpoints)
	}
	return func() {}, err
}

// followConfiguration takes changes of the configuration file over.
func (o *serveOptions) followConfiguration(ctx context.Context, c configuration, inCluster bool, p *picker, logger logr.Logger) (wait func(), err error) {
	if o.configFile == "" {
		return func() {}, nil
	}
	l := &live{name: c.name, started: c.data, standalone: c.standalone, plugin: p.semantic}
	if o.endpointsFile == "" && !inCluster {
		l.store = p.store
	}
	return followConfiguration(ctx, l, logger)
}

// ready says what is missing for requests to be decided.
func ready(store *endpoints.Store, source *cluster.Source) error {
	if source != nil {
		return source.Ready()
	}
	if len(store.Snapshot().Endpoints) == 0 {
		return errors.New("no endpoint is known")
	}
	return nil
}

// registerMetrics puts ours beside GIE's, in the registry that GIE uses.
func registerMetrics(server *extproc.Server, store *endpoints.Store, source *cluster.Source, pool string) {
	if source != nil {
		ctrlmetrics.Registry.MustRegister(source.Collectors()...)
	}
	metrics.Register(append(telemetry.Collectors(), endpoints.NewQueueCollector(store, pool))...)
	ctrlmetrics.Registry.MustRegister(server.Collectors()...)
}

// listening are the open ports; a nil one is not wanted.
type listening struct{ secure, plaintext, health, metrics, api net.Listener }

// listen opens all ports, or none.
func (o *serveOptions) listen() (listening, error) {
	var l listening
	grpcListener := &l.secure
	if !o.secureServing {
		grpcListener = &l.plaintext
	}
	var opened []net.Listener
	for _, want := range []struct {
		flag, bind string
		port       int
		into       *net.Listener
	}{
		{"grpc-port", "", o.grpcPort, grpcListener},
		{"plaintext-port", "", o.plaintextPort, &l.plaintext},
		{"grpc-health-port", "", o.healthPort, &l.health},
		{"metrics-port", "", o.metricsPort, &l.metrics},
		{"api-port", o.apiBind, o.apiPort, &l.api},
	} {
		if want.port == 0 { // none: but --grpc-port has to be one, see check
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(want.bind, strconv.Itoa(want.port)))
		if err != nil {
			for _, l := range opened {
				l.Close()
			}
			return listening{}, fmt.Errorf("--%s: %w", want.flag, err)
		}
		opened = append(opened, listener)
		*want.into = listener
	}
	return l, nil
}

// serveMetrics serves /metrics until ctx ends.
func serveMetrics(ctx context.Context, listener net.Listener) error {
	if listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(ctrlmetrics.Registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
