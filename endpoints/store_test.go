package endpoints_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"

	"semantic-epp/config"
	"semantic-epp/endpoints"
	"semantic-epp/plugins/metricssource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// modelServer serves a metrics page whose queue can be set.
type modelServer struct {
	*httptest.Server
	waiting atomic.Int64
	broken  atomic.Bool
	polls   atomic.Int64
}

func newModelServer(t *testing.T, model string) *modelServer {
	s := &modelServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.polls.Add(1)
		if s.broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "vllm:num_requests_waiting{model_name=%q} %d\nvllm:num_requests_running{model_name=%q} 0\n", model, s.waiting.Load(), model)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *modelServer) endpoint(t *testing.T, name string) config.Endpoint {
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, _ := strconv.Atoi(port)
	return config.Endpoint{Name: name, Namespace: "default", Address: host, Port: n}
}

// newStore returns a store that polls every 10 ms.
func newStore(t *testing.T) *endpoints.Store {
	interval := config.Duration(10 * time.Millisecond)
	source, err := metricssource.New("source", metricssource.Parameters{BusyInterval: interval, IdleInterval: interval})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { source.Close() })
	runtime := datalayer.NewRuntime(10 * time.Millisecond)
	cfg := &datalayer.Config{Sources: []datalayer.DataSourceConfig{{Plugin: source}}}
	if err := runtime.Configure(cfg, true, "", logr.Discard()); err != nil {
		t.Fatal(err)
	}
	store := endpoints.NewStore(runtime)
	t.Cleanup(store.Close)
	return store
}

func apply(t *testing.T, store *endpoints.Store, eps ...config.Endpoint) endpoints.Change {
	t.Helper()
	change, err := store.Apply(t.Context(), &config.Endpoints{Endpoints: eps})
	if err != nil {
		t.Fatal(err)
	}
	return change
}

// eventually waits for a condition that polling brings about.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("never happened: %s", what)
}

func TestStoreFollowsTheMetrics(t *testing.T) {
	server, store := newModelServer(t, "llama"), newStore(t)
	server.waiting.Store(5)
	apply(t, store, server.endpoint(t, "a"))
	queue := func() int { return store.Snapshot().Endpoints[0].GetMetrics().WaitingQueueSize }
	eventually(t, "the queue shows", func() bool { return queue() == 5 })
	server.waiting.Store(0)
	eventually(t, "the queue is gone", func() bool { return queue() == 0 })
	eventually(t, "the served model is known", func() bool { return store.Snapshot().Endpoints[0].Load.Served() == "llama" })
}

func TestAnEndpointThatDoesNotAnswerIsDown(t *testing.T) {
	server, store := newModelServer(t, "llama"), newStore(t)
	apply(t, store, server.endpoint(t, "a"))
	load := store.Snapshot().Endpoints[0].Load
	eventually(t, "it was polled", func() bool { return server.polls.Load() > 0 })
	server.broken.Store(true)
	eventually(t, "it is down", load.Down)
	server.broken.Store(false)
	eventually(t, "it is up again", func() bool { return !load.Down() })
}

func TestApplyKeepsWhatStays(t *testing.T) {
	first, second, store := newModelServer(t, "x"), newModelServer(t, "y"), newStore(t)
	a, b := first.endpoint(t, "a"), second.endpoint(t, "b")
	if got := apply(t, store, a, b); got != (endpoints.Change{Added: 2}) {
		t.Errorf("first version: %+v", got)
	}
	kept := store.Snapshot().Endpoints[0]
	a.Labels = map[string]string{"app": "x"}
	if got := apply(t, store, a); got != (endpoints.Change{Updated: 1, Removed: 1}) {
		t.Errorf("second version: %+v", got)
	}
	now := store.Snapshot().Endpoints
	if len(now) != 1 || now[0] != kept || now[0].GetMetadata().Labels["app"] != "x" {
		t.Errorf("endpoint a was not kept with its new label: %v", now)
	}
	moved := second.endpoint(t, "a")
	if got := apply(t, store, moved); got != (endpoints.Change{Updated: 1}) {
		t.Errorf("third version: %+v", got)
	}
	if store.Snapshot().Endpoints[0] == kept {
		t.Error("another server under the old name kept its load")
	}
}

func TestViewsCountRequestsOnTheirWay(t *testing.T) {
	server, store := newModelServer(t, "x"), newStore(t)
	apply(t, store, server.endpoint(t, "a"))
	eventually(t, "it was polled", func() bool { return !store.Snapshot().Endpoints[0].GetMetrics().UpdateTime.IsZero() })
	eps := store.Snapshot().Endpoints
	waiting := func() int {
		views := endpoints.Views(eps, "k", eps[0].Load)
		return views[0].GetMetrics().WaitingQueueSize
	}
	var tickets []endpoints.Ticket
	for range 3 {
		tickets = append(tickets, eps[0].Load.Begin(eps[0].GetMetrics()))
	}
	if got := waiting(); got != 3 {
		t.Errorf("%d waiting while 3 are on their way", got)
	}
	polls := server.polls.Load()
	eventually(t, "two more polls", func() bool { return server.polls.Load() >= polls+2 })
	if got := waiting(); got != 3 {
		t.Errorf("%d waiting after a page that does not show the 3", got)
	}
	for _, ticket := range tickets {
		ticket.End()
	}
	if got := waiting(); got != 0 {
		t.Errorf("%d waiting after all ended", got)
	}
}

func TestViewAttributes(t *testing.T) {
	server, store := newModelServer(t, "x"), newStore(t)
	apply(t, store, server.endpoint(t, "a"))
	ep := store.Snapshot().Endpoints[0]
	shared, own := &endpoints.Load{}, &endpoints.Load{}
	views := endpoints.Views([]*endpoints.Endpoint{ep}, "shared", shared)
	v := &views[0]
	for i := range 5 {
		v.Put(fmt.Sprintf("key%d", i), own)
	}
	get := func(key string) fwkdl.Cloneable { value, _ := v.Get(key); return value }
	if get("shared") != fwkdl.Cloneable(shared) || get("key4") != fwkdl.Cloneable(own) || get("other") != nil {
		t.Error("attributes are mixed up")
	}
	if endpoints.LoadIn(v) != ep.Load {
		t.Error("a view does not carry its endpoint's load")
	}
	if len(v.Keys()) != 6 || len(v.Clone().Keys()) != 6 {
		t.Errorf("keys are %v", v.Keys())
	}
}

func TestWatch(t *testing.T) {
	server, store := newModelServer(t, "x"), newStore(t)
	e := server.endpoint(t, "a")
	line := fmt.Sprintf("- {name: %%s, address: %s, port: %d}\n", e.Address, e.Port)
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	write := func(text string) {
		t.Helper()
		// As editors and ConfigMap mounts do: a new file takes the old one's place.
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	name := func() string {
		eps := store.Snapshot().Endpoints
		if len(eps) == 0 {
			return ""
		}
		return eps[0].GetMetadata().NamespacedName.Name
	}
	ctx, cancel := context.WithCancel(t.Context())
	write("endpoints:\n" + fmt.Sprintf(line, "first"))
	wait, err := endpoints.Watch(ctx, path, store, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	defer wait()
	defer cancel()
	if name() != "first" {
		t.Fatalf("endpoint %q when Watch returned", name())
	}
	write("endpoints:\n" + fmt.Sprintf(line, "second"))
	eventually(t, "the second version", func() bool { return name() == "second" })
	write("endpoints: nonsense")
	time.Sleep(200 * time.Millisecond)
	if name() != "second" {
		t.Errorf("a bad version left %q", name())
	}
	write("endpoints:\n" + fmt.Sprintf(line, "third") + "objectives: [{name: batch, priority: -5}]\n")
	eventually(t, "the third version", func() bool { return name() == "third" })
	if p, ok := store.Priority("batch"); !ok || p != -5 {
		t.Errorf("objective batch has priority %d, %v", p, ok)
	}
}

func TestWatchOfABadFileFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "endpoints.yaml")
	if _, err := endpoints.Watch(t.Context(), path, newStore(t), logr.Discard()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name the missing file", err)
	}
}

// still makes endpoints that nothing polls.
type still struct{ made, released int }

func (f *still) NewEndpoint(_ context.Context, meta *fwkdl.EndpointMetadata, _ datalayer.PoolInfo) fwkdl.Endpoint {
	f.made++
	return fwkdl.NewEndpoint(meta, nil)
}

func (f *still) ReleaseEndpoint(fwkdl.Endpoint) { f.released++ }

func replica(name, address string, pools ...string) endpoints.Replica {
	return endpoints.Replica{
		Metadata: &fwkdl.EndpointMetadata{NamespacedName: types.NamespacedName{Namespace: "default", Name: name}, Address: address, Port: "8000"},
		Pools:    pools,
	}
}

func TestAnEndpointKeepsItsLoadWhenItsPoolsChange(t *testing.T) {
	factory := &still{}
	store := endpoints.NewStore(factory)
	set := func(r endpoints.Replica) endpoints.Change {
		change, err := store.Set(t.Context(), []endpoints.Replica{r})
		if err != nil {
			t.Fatal(err)
		}
		return change
	}
	set(replica("a", "10.0.0.1", "llama"))
	before := store.Snapshot().Endpoints[0]
	ticket := before.Load.Begin(before.GetMetrics())
	defer ticket.End()
	if change := set(replica("a", "10.0.0.1", "llama", "phi")); change.Updated != 1 {
		t.Errorf("change is %+v", change)
	}
	after := store.Snapshot().Endpoints[0]
	if !after.In([]string{"phi"}) || before.In([]string{"phi"}) {
		t.Errorf("pools were %v and are %v", before.Pools, after.Pools)
	}
	if after.Load.InFlight() != 1 || factory.made != 1 || factory.released != 0 {
		t.Errorf("%d in flight, made %d times, released %d times", after.Load.InFlight(), factory.made, factory.released)
	}
	snapshot := store.Snapshot()
	if change := set(replica("a", "10.0.0.1", "llama", "phi")); change != (endpoints.Change{}) || store.Snapshot() != snapshot {
		t.Errorf("without a change there is %+v, and a new snapshot: %v", change, store.Snapshot() != snapshot)
	}
	set(replica("a", "10.0.0.2", "phi"))
	if got := store.Snapshot().Endpoints[0]; got.Load.InFlight() != 0 || factory.released != 1 {
		t.Errorf("another server has %d in flight, the former was released %d times", got.Load.InFlight(), factory.released)
	}
}

func TestServedElsewhere(t *testing.T) {
	tests := map[string]struct {
		picked, served string
		want           bool
	}{
		"the picked one":                 {"10.0.0.1:8000", "10.0.0.1:8000", false},
		"another":                        {"10.0.0.1:8000", "10.0.0.2:8000", true},
		"another port":                   {"10.0.0.1:8000", "10.0.0.1:8001", true},
		"the second of a list":           {"10.0.0.1:8000, 10.0.0.2:8000", "10.0.0.2:8000", false},
		"none of a list":                 {"10.0.0.1:8000,10.0.0.2:8000", "10.0.0.3:8000", true},
		"a gateway that does not report": {"10.0.0.1:8000", "", false},
		"nothing was picked":             {"", "10.0.0.1:8000", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := endpoints.ServedElsewhere(tc.picked, tc.served); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
}
