package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	v1 "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"

	"semantic-epp/endpoints"
)

// requestTimeout bounds one question to the API server at the start.
const requestTimeout = 10 * time.Second

// recheck is how often routes are compared with what model servers report of
// themselves, which no event of Kubernetes tells.
const recheck = 5 * time.Second

// A Source fills a Store from a cluster. Its methods but Run are safe for
// concurrent use and take no lock.
type Source struct {
	cfg      Config
	selector labels.Selector // nil with pools
	kinds    kinds
	manager  manager.Manager
	reader   client.Reader
	events   events.EventRecorder
	polling  context.Context // bounds the polling of endpoints

	view      atomic.Pointer[view]
	elsewhere *prometheus.CounterVec

	mu      sync.Mutex // guards elected and told, and orders OnReady
	elected bool
	told    string
	missing atomic.Pointer[string] // what readiness lacks, "" when nothing
}

// view is all that is known at one moment beside the endpoints. It never changes.
type view struct {
	pools    []string            // that exist, sorted
	leads    map[string][]string // model → pools
	rewrites *rewrites
	problems []Problem
}

// New asks the API server what it has and what of it we may read. ctx bounds the
// asking.
func New(ctx context.Context, cfg Config) (*Source, error) {
	selector, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("endpoints from Kubernetes: %w", err)
	}
	s := newSource(cfg, selector)
	patient := rest.CopyConfig(cfg.REST)
	patient.Timeout = requestTimeout
	server, err := discovery.NewDiscoveryClientForConfig(patient)
	if err != nil {
		return nil, fmt.Errorf("make a client for the API server: %w", err)
	}
	if s.kinds, err = discover(server, &s.cfg); err != nil {
		return nil, err
	}
	options, err := s.options()
	if err != nil {
		return nil, err
	}
	if s.manager, err = ctrl.NewManager(cfg.REST, options); err != nil {
		return nil, fmt.Errorf("make the controller manager: %w", err)
	}
	if s.kinds, err = s.permitted(ctx); err != nil {
		return nil, err
	}
	s.reader = s.manager.GetCache()
	s.events = s.manager.GetEventRecorder("semantic-epp")
	if err := s.control(); err != nil {
		return nil, fmt.Errorf("make the controller: %w", err)
	}
	return s, nil
}

func newSource(cfg Config, selector labels.Selector) *Source {
	s := &Source{
		cfg:      cfg,
		selector: selector,
		polling:  context.Background(),
		elected:  !cfg.LeaderElection,
		elsewhere: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "semantic_epp_served_elsewhere_total",
			Help: "Replies that another endpoint gave than was picked, by the pool of the picked one.",
		}, []string{"pool"}),
	}
	s.view.Store(&view{rewrites: &rewrites{}})
	s.told = s.lacks()
	s.missing.Store(new(s.told))
	return s
}

func (s *Source) permitted(ctx context.Context) (kinds, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return s.kinds.permitted(ctx, s.manager.GetAPIReader(), s.cfg.Namespace, func(kind schema.GroupVersionKind) {
		s.cfg.Logger.Info("may not be read and is left out; allow get, list and watch for it, or ignore this",
			"kind", kind.Kind, "group", kind.Group, "namespace", s.cfg.Namespace)
	})
}

func (s *Source) options() (ctrl.Options, error) {
	scheme := runtime.NewScheme()
	for _, install := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1.Install, v1alpha2.Install} {
		if err := install(scheme); err != nil {
			return ctrl.Options{}, fmt.Errorf("make the scheme: %w", err)
		}
	}
	of := map[client.Object]cache.ByObject{&corev1.Pod{}: {Label: s.selector, Transform: strip}}
	if len(s.cfg.Pools) == 1 { // so that a Role may name the pool
		of[s.pools()] = cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", s.cfg.Pools[0])}
	}
	return ctrl.Options{
		Scheme: scheme,
		Logger: s.cfg.Logger,
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{s.cfg.Namespace: {}},
			DefaultTransform:  cache.TransformStripManagedFields(),
			ByObject:          of,
		},
		Metrics:                       metricsserver.Options{BindAddress: "0"}, // the command serves them
		HealthProbeBindAddress:        "0",
		LeaderElection:                s.cfg.LeaderElection,
		LeaderElectionID:              s.cfg.LeaseName,
		LeaderElectionNamespace:       s.cfg.Namespace,
		LeaderElectionReleaseOnCancel: true,
		// One process may follow clusters more than once, in tests at least.
		Controller: ctrlconfig.Controller{SkipNameValidation: new(true)},
	}, nil
}

// Run follows the cluster until ctx ends, and polls endpoints as long. It may be
// called once. It returns an error where the cluster cannot be followed, or
// another replica took the lead over; the process should end then.
func (s *Source) Run(ctx context.Context) error {
	s.polling = ctx
	// Runs when we are elected, at once without an election.
	err := s.manager.Add(manager.RunnableFunc(func(ctx context.Context) error {
		s.lead()
		<-ctx.Done()
		return nil
	}))
	if err != nil {
		return fmt.Errorf("follow the cluster: %w", err)
	}
	if err := s.manager.Start(ctx); err != nil {
		return fmt.Errorf("follow the cluster: %w", err)
	}
	return nil
}

func (s *Source) lead() {
	s.mu.Lock()
	s.elected = true
	s.mu.Unlock()
	s.ready()
}

// ready finds out what readiness lacks and tells it where that changed.
func (s *Source) ready() {
	s.mu.Lock()
	defer s.mu.Unlock()
	missing := s.lacks()
	s.missing.Store(&missing)
	if missing == s.told {
		return
	}
	if s.cfg.OnReady != nil {
		s.cfg.OnReady(s.Ready())
	}
	s.told = missing
}

func (s *Source) lacks() string {
	v := s.view.Load()
	switch {
	case v.leads == nil:
		return "the cluster has not been read yet"
	case s.selector == nil && len(v.pools) == 0 && s.cfg.PickerService != "":
		return fmt.Sprintf("no InferencePool of namespace %s names Service %s as its endpointPickerRef", s.cfg.Namespace, s.cfg.PickerService)
	case s.selector == nil && len(v.pools) == 0:
		return fmt.Sprintf("namespace %s has no InferencePool %s", s.cfg.Namespace, strings.Join(s.cfg.Pools, ", "))
	case !s.elected:
		return "another replica is the leader"
	}
	return ""
}

// Ready is nil while the picker may get traffic: the cluster has been read, a
// pool exists, and we lead where there is an election. Else it says what is
// missing.
func (s *Source) Ready() error {
	if missing := *s.missing.Load(); missing != "" {
		return errors.New(missing)
	}
	return nil
}

// Pools are the names of the pools that are followed and exist, sorted. The
// caller must not change them.
func (s *Source) Pools() []string { return s.view.Load().pools }

// PoolsOf are the pools that requests for a model reach: those that the
// HTTPRoutes lead to, or without such routes those that serve it. It is empty
// for models that no pool is known to serve. The caller must not change them.
func (s *Source) PoolsOf(model string) []string { return s.view.Load().leads[model] }

// Rewrite applies InferenceModelRewrite to the name that a client asked for. by
// names the object whose rule it was; ok is false where none applies.
func (s *Source) Rewrite(model string) (target, by string, ok bool) {
	v := s.view.Load()
	r := v.rewrites.find(model, v.leads[model], len(v.pools) <= 1)
	if r == nil {
		return "", "", false
	}
	return r.draw(), r.object, true
}

// Problems are the present differences between pools and routes, sorted.
func (s *Source) Problems() []Problem { return slices.Clone(s.view.Load().problems) }

// CountElsewhere counts a reply that another endpoint gave than the picked one;
// see [endpoints.ServedElsewhere].
func (s *Source) CountElsewhere(picked *endpoints.Endpoint) {
	pool := ""
	if len(picked.Pools) > 0 {
		pool = picked.Pools[0]
	}
	s.elsewhere.WithLabelValues(pool).Inc()
}

// Collectors are the metrics of the Source, to be registered once.
func (s *Source) Collectors() []prometheus.Collector {
	return []prometheus.Collector{mismatches{s}, s.elsewhere}
}
