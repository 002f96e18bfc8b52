package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	v1 "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"

	"semantic-epp/endpoints"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	goleak.VerifyTestMain(m)
}

// still makes endpoints that nothing polls.
type still struct{}

func (still) NewEndpoint(_ context.Context, meta *fwkdl.EndpointMetadata, _ datalayer.PoolInfo) fwkdl.Endpoint {
	return fwkdl.NewEndpoint(meta, nil)
}
func (still) ReleaseEndpoint(fwkdl.Endpoint) {}

// summary is the endpoints of a store: address and pools.
func summary(store *endpoints.Store) string {
	var all []string
	for _, ep := range store.Snapshot().Endpoints {
		all = append(all, fmt.Sprint(ep.Address, ep.Pools))
	}
	return strings.Join(all, " ")
}

// gathered are the metrics of a Source: name, label values, value.
func gathered(t *testing.T, s *Source) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var values []string
			for _, l := range m.GetLabel() {
				values = append(values, l.GetValue())
			}
			all = append(all, fmt.Sprint(f.GetName(), values, "=", m.GetGauge().GetValue()+m.GetCounter().GetValue()))
		}
	}
	return strings.Join(all, " ")
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

const poolTemplate = `
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: NAME, annotations: {semantic-epp/models: "MODELS"}}
spec:
  selector: {matchLabels: {app: NAME}}
  targetPorts: [{number: 8000}]
  endpointPickerRef: {name: epp, port: {number: 9002}}`

func poolYAML(name, models string) string {
	return strings.NewReplacer("NAME", name, "MODELS", models).Replace(poolTemplate)
}

func podYAML(name, ip, app, ready string) string {
	return strings.NewReplacer("NAME", name, "ADDRESS", ip, "APP", app, "READY", ready).Replace(`
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: APP}}
status: {podIP: ADDRESS, conditions: [{type: Ready, status: "READY"}]}`)
}

func routeYAML(lines string) string {
	return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route, creationTimestamp: "2026-01-01T00:00:00Z"}
spec:
  parentRefs: [{name: gw}]
  rules:` + strings.ReplaceAll(lines, "\n    ", "\n  ")
}

// run starts a Source and stops it with the test.
func run(t *testing.T, cfg Config) (s *Source, stop func()) {
	t.Helper()
	s, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopped with %v", err)
		}
	}
	t.Cleanup(stop)
	return s, stop
}

func TestTheStoreFollowsTheCluster(t *testing.T) {
	api := newAPIServer(t, coreKinds, poolKinds, routeKinds, v15Kinds)
	api.apply(t, podYAML("l1", "10.0.0.1", "llama", "True"))
	store := endpoints.NewStore(still{})
	var told atomic.Int32 // 1 ready, -1 not
	s, _ := run(t, Config{REST: api.config(), Store: store, Namespace: "default", PickerService: "epp", OnReady: func(err error) {
		if err == nil {
			told.Store(1)
		} else {
			told.Store(-1)
		}
	}})
	now := func(want string) {
		t.Helper()
		eventually(t, "endpoints "+want, func() bool { return summary(store) == want })
	}
	eventually(t, "it waits for a pool", func() bool {
		return s.Ready() != nil && strings.Contains(s.Ready().Error(), "names Service epp")
	})
	if len(store.Snapshot().Endpoints) != 0 {
		t.Errorf("without a pool there are endpoints %s", summary(store))
	}
	api.apply(t, poolYAML("llama", "llama3-8b"))
	now("10.0.0.1:8000[llama]")
	eventually(t, "it is ready", func() bool { return s.Ready() == nil && told.Load() == 1 })

	api.apply(t, poolYAML("phi", "phi4-mini")+"\n---"+podYAML("p1", "10.0.0.2", "phi", "False"))
	api.apply(t, podYAML("p1", "10.0.0.2", "phi", "True"))
	now("10.0.0.1:8000[llama] 10.0.0.2:8000[phi]")
	api.apply(t, podYAML("l1", "10.0.0.1", "phi", "True"))
	now("10.0.0.1:8000[phi] 10.0.0.2:8000[phi]")
	api.apply(t, podYAML("p1", "10.0.0.2", "phi", "False"))
	now("10.0.0.1:8000[phi]")
	api.apply(t, podYAML("l1", "10.0.0.9", "llama", "True"))
	now("10.0.0.9:8000[llama]")
	if got := s.PoolsOf("phi4-mini"); len(got) != 1 || got[0] != "phi" {
		t.Errorf("phi4-mini is in %v", got)
	}

	api.apply(t, routeYAML(catchAll(toLlama)))
	eventually(t, "the wrong route is found", func() bool { return len(s.Problems()) == 1 && s.Problems()[0].Kind == WrongPool })
	eventually(t, "an Event tells it", func() bool {
		for _, e := range api.all("events.k8s.io/v1/events") {
			about := e["regarding"].(map[string]any)
			if e["reason"] == "RouteToWrongPool" && about["name"] == "phi" && about["kind"] == "InferencePool" && e["type"] == "Warning" {
				return true
			}
		}
		return false
	})
	if got := gathered(t, s); got != "semantic_epp_route_mismatches[wrong-pool phi]=1" {
		t.Errorf("metrics are %s", got)
	}
	api.apply(t, routeYAML(onHeader("phi4-mini", toPhi)+catchAll(toLlama)))
	eventually(t, "the route is mended", func() bool { return len(s.Problems()) == 0 })

	api.apply(t, `
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceObjective
metadata: {name: batch}
spec: {priority: -1, poolRef: {name: phi, group: inference.networking.k8s.io}}
---
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceObjective
metadata: {name: of-another}
spec: {priority: 7, poolRef: {name: other, group: inference.networking.k8s.io}}
---
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferenceModelRewrite
metadata: {name: canary}
spec: {poolRef: {name: phi, group: inference.networking.k8s.io}, rules: [{matches: [{model: {value: small}}], targets: [{weight: 1, modelRewrite: phi4-mini}]}]}`)
	eventually(t, "the objective counts", func() bool { p, ok := store.Priority("batch"); return ok && p == -1 })
	if _, ok := store.Priority("of-another"); ok {
		t.Error("another picker's objective counts")
	}
	eventually(t, "the rewrite counts", func() bool {
		target, by, ok := s.Rewrite("small")
		return ok && target == "phi4-mini" && by == "canary"
	})

	api.remove("v1/pods", "l1")
	now("")
	for _, pool := range []string{"llama", "phi"} {
		api.remove(Group+"/v1/inferencepools", pool)
	}
	eventually(t, "without a pool it is not ready", func() bool { return s.Ready() != nil && told.Load() == -1 })
}

func TestASelectorNeedsNoPool(t *testing.T) {
	api := newAPIServer(t, coreKinds)
	api.apply(t, podYAML("a", "10.0.0.1", "llama", "True")+"\n---"+podYAML("b", "10.0.0.2", "other", "True"))
	store := endpoints.NewStore(still{})
	s, _ := run(t, Config{REST: api.config(), Store: store, Namespace: "default", Selector: "app=llama", TargetPorts: []int{8000, 8001}})
	eventually(t, "it is ready", func() bool { return s.Ready() == nil })
	if got := summary(store); got != "10.0.0.1:8000[] 10.0.0.1:8001[]" {
		t.Errorf("endpoints are %s", got)
	}
	api.apply(t, podYAML("b", "10.0.0.2", "llama", "True"))
	eventually(t, "a new label counts", func() bool { return len(store.Snapshot().Endpoints) == 4 })
	api.apply(t, podYAML("a", "10.0.0.1", "other", "True"))
	eventually(t, "a lost label counts", func() bool { return summary(store) == "10.0.0.2:8000[] 10.0.0.2:8001[]" })
}

func TestOnlyTheLeaderIsReady(t *testing.T) {
	api := newAPIServer(t, coreKinds, poolKinds)
	api.apply(t, poolYAML("llama", "llama3-8b")+"\n---"+podYAML("a", "10.0.0.1", "llama", "True"))
	start := func() (*Source, *endpoints.Store, func()) {
		store := endpoints.NewStore(still{})
		s, stop := run(t, Config{REST: api.config(), Store: store, Namespace: "default", Pools: []string{"llama"}, LeaderElection: true})
		return s, store, stop
	}
	first, _, stop := start()
	eventually(t, "the first leads", func() bool { return first.Ready() == nil })
	second, store, _ := start()
	eventually(t, "the second follows the cluster", func() bool { return summary(store) == "10.0.0.1:8000[llama]" })
	if err := second.Ready(); err == nil || !strings.Contains(err.Error(), "leader") {
		t.Errorf("the second is ready, or says why not in other words: %v", err)
	}
	stop()
	eventually(t, "the second leads", func() bool { return second.Ready() == nil })
}

func TestWhatTheAPIServerHas(t *testing.T) {
	tests := map[string]struct {
		kinds     []map[string]map[string]string
		group     string
		forbidden []string
		want      string // of pool, objective, rewrite, route
		err       string
	}{
		"GIE v1.0 and v1.1":                  {kinds: []map[string]map[string]string{poolKinds, v10Kinds}, want: "InferencePool v1, InferenceObjective, -, -"},
		"GIE v1.5 and the Gateway API":       {kinds: []map[string]map[string]string{poolKinds, v15Kinds, routeKinds}, want: "InferencePool v1, InferenceObjective, InferenceModelRewrite, HTTPRoute"},
		"pools alone":                        {kinds: []map[string]map[string]string{poolKinds}, want: "InferencePool v1, -, -, -"},
		"pools of the former group":          {kinds: []map[string]map[string]string{poolKinds, v10Kinds}, group: OldGroup, want: "InferencePool v1alpha2, InferenceObjective, -, -"},
		"pools of a group that is not there": {kinds: []map[string]map[string]string{poolKinds, v15Kinds}, group: OldGroup, err: "no InferencePool in inference.networking.x-k8s.io/v1alpha2"},
		"no CRDs":                            {err: "install the CRDs"},
		"routes may not be read": {kinds: []map[string]map[string]string{poolKinds, v15Kinds, routeKinds}, forbidden: []string{"httproutes"},
			want: "InferencePool v1, InferenceObjective, InferenceModelRewrite, -"},
		"pods may not be read": {kinds: []map[string]map[string]string{poolKinds}, forbidden: []string{"pods"}, err: "list Pod in namespace default"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			api := newAPIServer(t, append(tc.kinds, coreKinds)...)
			api.forbidden = tc.forbidden
			s, err := New(t.Context(), Config{REST: api.config(), Store: endpoints.NewStore(still{}), Namespace: "default", Pools: []string{"a"}, PoolGroup: tc.group})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error is %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			or := func(kind string) string {
				if kind == "" {
					return "-"
				}
				return kind
			}
			got := fmt.Sprintf("%s %s, %s, %s, %s", s.kinds.pool.Kind, s.kinds.pool.Version, or(s.kinds.objective.Kind), or(s.kinds.rewrite.Kind), or(s.kinds.route.Kind))
			if got != tc.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestAnAPIServerThatFailsIsNoMissingCRD(t *testing.T) {
	api := newAPIServer(t, coreKinds)
	server, err := discovery.NewDiscoveryClientForConfig(api.config())
	if err != nil {
		t.Fatal(err)
	}
	api.CloseClientConnections()
	api.Close()
	if _, err := discover(server, &Config{}); err == nil || strings.Contains(err.Error(), "install the CRDs") {
		t.Errorf("error is %v", err)
	}
}

// sourceWith is a Source on a fake client, to be reconciled by hand.
func sourceWith(t *testing.T, cfg Config, breaks interceptor.Funcs, objects ...client.Object) *Source {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, install := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1.Install, v1alpha2.Install} {
		if err := install(scheme); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Store, cfg.Namespace, cfg.REST = endpoints.NewStore(still{}), "default", newAPIServer(t).config()
	selector, err := cfg.complete()
	if err != nil {
		t.Fatal(err)
	}
	s := newSource(cfg, selector)
	s.kinds = kinds{pool: poolKind, objective: objectiveKind, rewrite: rewriteKind}
	s.reader = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithInterceptorFuncs(breaks).Build()
	s.events = events.NewFakeRecorder(100)
	return s
}

func inferencePool(name, app string) *v1.InferencePool {
	return &v1.InferencePool{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: v1.InferencePoolSpec{
		Selector:          v1.LabelSelector{MatchLabels: map[v1.LabelKey]v1.LabelValue{"app": v1.LabelValue(app)}},
		TargetPorts:       []v1.Port{{Number: 8000}},
		EndpointPickerRef: v1.EndpointPickerRef{Name: "epp", Port: &v1.Port{Number: 9002}},
	}}
}

func TestABrokenReadChangesNothing(t *testing.T) {
	pod := readyPod("a", "10.0.0.1", "app", "llama")
	var broken atomic.Value
	broken.Store("")
	s := sourceWith(t, Config{Pools: []string{"llama"}}, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			if strings.HasSuffix(fmt.Sprintf("%T", list), broken.Load().(string)+"List") && broken.Load() != "" {
				return errors.New("out of order")
			}
			return c.List(ctx, list, opts...)
		},
	}, inferencePool("llama", "llama"), &pod)
	if _, err := s.reconcile(t.Context(), everything{}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"InferencePool", "Pod", "InferenceObjective", "InferenceModelRewrite"} {
		broken.Store(kind)
		_, err := s.reconcile(t.Context(), everything{})
		if err == nil || !strings.Contains(err.Error(), "out of order") {
			t.Errorf("%s: error is %v", kind, err)
		}
		if got := summary(s.cfg.Store); got != "10.0.0.1:8000[llama]" || s.Ready() != nil {
			t.Errorf("%s: endpoints are %q, ready is %v", kind, got, s.Ready())
		}
	}
}

func TestWhichPoolsAreOurs(t *testing.T) {
	gateway, port := v1.Group("gateway.networking.k8s.io"), &v1.Port{Number: 9003}
	tests := map[string]struct {
		cfg    Config
		change func(*v1.InferencePool)
		want   bool
	}{
		"by name":                      {cfg: Config{Pools: []string{"x", "llama"}}, want: true},
		"by another name":              {cfg: Config{Pools: []string{"x"}}},
		"by its Service":               {cfg: Config{PickerService: "epp"}, want: true},
		"by its Service and port":      {cfg: Config{PickerService: "epp", PickerPort: 9002}, want: true},
		"on another port":              {cfg: Config{PickerService: "epp", PickerPort: 9002}, change: func(p *v1.InferencePool) { p.Spec.EndpointPickerRef.Port = port }},
		"of another Service":           {cfg: Config{PickerService: "other"}},
		"of something that is not one": {cfg: Config{PickerService: "epp"}, change: func(p *v1.InferencePool) { p.Spec.EndpointPickerRef.Group = &gateway }},
		"on its way out": {cfg: Config{Pools: []string{"llama"}}, change: func(p *v1.InferencePool) {
			now := metav1.Now()
			p.DeletionTimestamp, p.Finalizers = &now, []string{"test/keep"}
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, pod := inferencePool("llama", "llama"), readyPod("a", "10.0.0.1", "app", "llama")
			if tc.change != nil {
				tc.change(p)
			}
			s := sourceWith(t, tc.cfg, interceptor.Funcs{}, p, &pod)
			if _, err := s.reconcile(t.Context(), everything{}); err != nil {
				t.Fatal(err)
			}
			if got := len(s.cfg.Store.Snapshot().Endpoints) == 1; got != tc.want {
				t.Errorf("its pod is an endpoint: %v", got)
			}
			if (s.Ready() == nil) != tc.want {
				t.Errorf("ready is %v", s.Ready())
			}
		})
	}
}

func TestPoolsThatAreMissingAreTold(t *testing.T) {
	s := sourceWith(t, Config{Pools: []string{"llama", "phi"}}, interceptor.Funcs{}, inferencePool("llama", "llama"))
	if _, err := s.reconcile(t.Context(), everything{}); err != nil {
		t.Fatal(err)
	}
	if p := s.Problems(); s.Ready() != nil || len(p) != 1 || p[0].Pool != "phi" || p[0].Kind != PoolMissing {
		t.Errorf("ready is %v, problems are %v", s.Ready(), p)
	}
}

func TestRepliesOfOthersAreCounted(t *testing.T) {
	s := sourceWith(t, Config{Pools: []string{"llama"}}, interceptor.Funcs{})
	s.CountElsewhere(&endpoints.Endpoint{Pools: []string{"llama"}})
	s.CountElsewhere(&endpoints.Endpoint{})
	if got := gathered(t, s); got != "semantic_epp_served_elsewhere_total[]=1 semantic_epp_served_elsewhere_total[llama]=1" {
		t.Errorf("metrics are %s", got)
	}
}

func TestPoolsOfTheFormerGroup(t *testing.T) {
	api := newAPIServer(t, coreKinds, v10Kinds)
	api.apply(t, podYAML("a", "10.0.0.1", "llama", "True")+`
---
apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferencePool
metadata: {name: llama, labels: {semantic-epp/models: llama3-8b}}
spec: {selector: {app: llama}, targetPortNumber: 8080, extensionRef: {name: epp, portNumber: 9002}}`)
	for name, cfg := range map[string]Config{
		"by name":    {Pools: []string{"llama"}},
		"by Service": {PickerService: "epp", PickerPort: 9002},
	} {
		t.Run(name, func(t *testing.T) {
			store := endpoints.NewStore(still{})
			cfg.REST, cfg.Store, cfg.Namespace, cfg.PoolGroup = api.config(), store, "default", OldGroup
			s, _ := run(t, cfg)
			eventually(t, "it is ready", func() bool { return s.Ready() == nil })
			if got := summary(store); got != "10.0.0.1:8080[llama]" || len(s.PoolsOf("llama3-8b")) != 1 {
				t.Errorf("endpoints are %s, llama3-8b is in %v", got, s.PoolsOf("llama3-8b"))
			}
		})
	}
}
