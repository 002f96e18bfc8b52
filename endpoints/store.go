package endpoints

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"

	"semantic-epp/config"
)

// An Endpoint is one replica of a model server.
type Endpoint struct {
	fwkdl.Endpoint
	// Address is where requests go, "ip:port".
	Address string
	// Load counts the requests on their way there.
	Load *Load
	// Pools are the names of the InferencePools that select it, sorted; none
	// where endpoints come from elsewhere.
	Pools []string
	// Models are the names of the models that its pod, or else its pools, are
	// declared to serve, sorted; none where nothing is declared.
	Models []string
}

// In says whether the endpoint belongs to one of the pools.
func (e *Endpoint) In(pools []string) bool {
	return slices.ContainsFunc(e.Pools, func(pool string) bool { return slices.Contains(pools, pool) })
}

// A Replica is an endpoint as a source of endpoints describes it. Metadata must
// have a name that no other replica has; the fields are those of [Endpoint].
type Replica struct {
	Metadata *fwkdl.EndpointMetadata
	Pools    []string
	Models   []string
}

// A Snapshot is the set of endpoints at one moment. It never changes; when the
// set or what an endpoint serves does, there is a new one.
type Snapshot struct {
	// Endpoints are sorted by namespace and name.
	Endpoints []*Endpoint
}

// A Factory makes endpoints and polls them: GIE's datalayer.Runtime.
type Factory interface {
	NewEndpoint(ctx context.Context, meta *fwkdl.EndpointMetadata, pool datalayer.PoolInfo) fwkdl.Endpoint
	ReleaseEndpoint(ep fwkdl.Endpoint)
}

// A Store keeps the endpoints and the priorities of objectives. Reading takes
// no lock.
type Store struct {
	factory    Factory
	snapshot   atomic.Pointer[Snapshot]
	objectives atomic.Pointer[map[string]int]
	pools      atomic.Pointer[[]string]

	mu        sync.Mutex // orders writers
	endpoints map[types.NamespacedName]*Endpoint
}

// NewStore returns an empty store.
func NewStore(factory Factory) *Store {
	s := &Store{factory: factory, endpoints: map[types.NamespacedName]*Endpoint{}}
	s.snapshot.Store(&Snapshot{})
	s.objectives.Store(&map[string]int{})
	return s
}

// Snapshot is the endpoints now.
func (s *Store) Snapshot() *Snapshot { return s.snapshot.Load() }

// Priority is the priority of an objective, false when it is not known.
func (s *Store) Priority(objective string) (int, bool) {
	p, ok := (*s.objectives.Load())[objective]
	return p, ok
}

// Names lists the endpoints, for GIE's plugin handle.
func (s *Store) Names() []types.NamespacedName {
	eps := s.Snapshot().Endpoints
	names := make([]types.NamespacedName, len(eps))
	for i, ep := range eps {
		names[i] = ep.GetMetadata().NamespacedName
	}
	return names
}

// A Change is what Set did, in numbers of endpoints.
type Change struct{ Added, Updated, Removed int }

// Apply makes the store hold just the endpoints and objectives of a file. ctx
// bounds the polling of new endpoints, not the call.
func (s *Store) Apply(ctx context.Context, file *config.Endpoints) (Change, error) {
	replicas := make([]Replica, len(file.Endpoints))
	for i := range file.Endpoints {
		replicas[i].Metadata = metadata(&file.Endpoints[i])
	}
	change, err := s.Set(ctx, replicas)
	objectives := make(map[string]int, len(file.Objectives))
	for _, o := range file.Objectives {
		objectives[o.Name] = o.Priority
	}
	s.SetObjectives(objectives)
	return change, err
}

// SetObjectives makes the store hold just these objectives, priority by name.
// The map must not change afterwards.
func (s *Store) SetObjectives(priorities map[string]int) { s.objectives.Store(&priorities) }

// SetPools says which pools there are, so that those without endpoints are
// reported too. The slice must not change afterwards.
func (s *Store) SetPools(names []string) { s.pools.Store(&names) }

// Set makes the store hold just these replicas. Endpoints that stay as they
// were keep their metrics and their load. ctx bounds the polling of new
// endpoints, not the call. An error names the endpoints that could not be
// polled; the others are in place.
func (s *Store) Set(ctx context.Context, replicas []Replica) (Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var change Change
	var errs []error
	wanted := make(map[types.NamespacedName]bool, len(replicas))
	for i := range replicas {
		meta := replicas[i].Metadata
		wanted[meta.NamespacedName] = true
		old, ok := s.endpoints[meta.NamespacedName]
		switch {
		case ok && sameTarget(old.GetMetadata(), meta):
			if s.update(old, &replicas[i]) {
				change.Updated++
			}
			continue
		case ok: // another server under the old name: its metrics and load are not ours
			s.remove(meta.NamespacedName)
			change.Updated++
		default:
			change.Added++
		}
		if err := s.add(ctx, &replicas[i]); err != nil {
			errs = append(errs, err)
		}
	}
	for name := range s.endpoints {
		if !wanted[name] {
			s.remove(name)
			change.Removed++
		}
	}
	if change != (Change{}) {
		s.publish()
	}
	return change, errors.Join(errs...)
}

// update tells whether anything but the target changed. Snapshots share the
// endpoints, so a change of ours makes a new one around the same server.
func (s *Store) update(old *Endpoint, r *Replica) bool {
	same := slices.Equal(old.Pools, r.Pools) && slices.Equal(old.Models, r.Models)
	if same && maps.Equal(old.GetMetadata().Labels, r.Metadata.Labels) {
		return false
	}
	old.UpdateMetadata(r.Metadata)
	if !same {
		renewed := *old
		renewed.Pools, renewed.Models = r.Pools, r.Models
		s.endpoints[r.Metadata.NamespacedName] = &renewed
	}
	return true
}

func (s *Store) add(ctx context.Context, r *Replica) error {
	meta := r.Metadata
	inner := s.factory.NewEndpoint(ctx, meta, nil)
	if inner == nil {
		return fmt.Errorf("start polling endpoint %s", meta.NamespacedName)
	}
	ep := &Endpoint{
		Endpoint: inner,
		Address:  net.JoinHostPort(meta.Address, meta.Port),
		Load:     LoadOf(inner),
		Pools:    r.Pools,
		Models:   r.Models,
	}
	republish := func() {
		// From the polling goroutine, which remove waits for under the lock.
		go func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.publish()
		}()
	}
	ep.Load.changed.Store(&republish)
	s.endpoints[meta.NamespacedName] = ep
	return nil
}

func (s *Store) remove(name types.NamespacedName) {
	ep := s.endpoints[name]
	delete(s.endpoints, name)
	s.factory.ReleaseEndpoint(ep.Endpoint)
}

func (s *Store) publish() {
	eps := slices.SortedFunc(maps.Values(s.endpoints), func(a, b *Endpoint) int {
		return compare(a.GetMetadata().NamespacedName, b.GetMetadata().NamespacedName)
	})
	s.snapshot.Store(&Snapshot{Endpoints: eps})
}

func compare(a, b types.NamespacedName) int {
	if a.String() < b.String() {
		return -1
	}
	return 1
}

// Close ends the polling of all endpoints.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.endpoints {
		s.remove(name)
	}
	s.publish()
}

func metadata(ep *config.Endpoint) *fwkdl.EndpointMetadata {
	port := strconv.Itoa(ep.Port)
	return &fwkdl.EndpointMetadata{
		NamespacedName: types.NamespacedName{Namespace: ep.Namespace, Name: ep.Name},
		PodName:        ep.Name,
		Address:        ep.Address,
		Port:           port,
		MetricsHost:    net.JoinHostPort(ep.Address, port),
		Labels:         maps.Clone(ep.Labels),
	}
}

func sameTarget(a, b *fwkdl.EndpointMetadata) bool {
	return a.Address == b.Address && a.Port == b.Port
}
