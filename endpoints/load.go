package endpoints

import (
	"sync"
	"sync/atomic"
	"time"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
)

// loadKey is the endpoint attribute that holds its *Load.
const loadKey = "semantic-epp/load"

// A Load is what we know of an endpoint's load beyond its metrics page: the
// requests that we sent there since. It is safe for concurrent use; the fields
// of the polling goroutine are marked.
type Load struct {
	inFlight atomic.Int64 // requests sent and not yet ended
	page     atomic.Int64 // time of the metrics that sent refers to, Unix ns
	sent     atomic.Int64 // requests sent since that page and not yet ended
	failures atomic.Int32 // polls in a row that failed
	served   atomic.Pointer[string]
	// changed is called when the served model changes.
	changed atomic.Pointer[func()]

	// Only the goroutine that polls the endpoint touches these.
	last       *datalayer.Metrics
	due        time.Time
	loraLabels []byte
	active     map[string]int
	waiting    map[string]int
	maxActive  int
}

// Clone returns the Load itself: it is shared on purpose.
func (l *Load) Clone() datalayer.Cloneable { return l }

// loads guards the first LoadOf of an endpoint.
var loads sync.Mutex

// LoadOf returns the Load of an endpoint.
func LoadOf(ep datalayer.Endpoint) *Load {
	attributes := ep.GetAttributes()
	if l, ok := attributes.Get(loadKey); ok {
		return l.(*Load)
	}
	loads.Lock()
	defer loads.Unlock()
	if l, ok := attributes.Get(loadKey); ok {
		return l.(*Load)
	}
	l := &Load{}
	attributes.Put(loadKey, l)
	return l
}

// A Ticket is one request's place in a Load.
type Ticket struct {
	load *Load
	page int64
}

// Begin counts a request that goes to the endpoint, whose metrics are m.
func (l *Load) Begin(m *datalayer.Metrics) Ticket {
	l.inFlight.Add(1)
	at := m.UpdateTime.UnixNano()
	if l.page.Swap(at) != at {
		l.sent.Store(0)
	}
	l.sent.Add(1)
	return Ticket{l, at}
}

// End counts the end of the request. The zero Ticket stands for no request.
func (t Ticket) End() {
	if t.load == nil {
		return
	}
	t.load.inFlight.Add(-1)
	if t.load.page.Load() == t.page {
		t.load.sent.Add(-1)
	}
}

// InFlight is the number of requests that were sent and have not ended.
func (l *Load) InFlight() int { return int(l.inFlight.Load()) }

// pending is how many requests are on their way that the metrics m do not show:
// those sent since, or those that neither run nor wait there, whichever is more.
func (l *Load) pending(m *datalayer.Metrics) int {
	unseen := int(l.inFlight.Load()) - m.RunningRequestsSize - m.WaitingQueueSize
	if l.page.Load() == m.UpdateTime.UnixNano() {
		unseen = max(unseen, int(l.sent.Load()))
	}
	return max(unseen, 0)
}

// downAfter is how many polls in a row must fail before an endpoint counts as
// down: one may be lost to a slow page.
const downAfter = 2

// Down says that the endpoint does not answer polls.
func (l *Load) Down() bool { return l.failures.Load() >= downAfter }

func (l *Load) polled(at time.Time, ok bool) {
	l.due = at
	if ok {
		l.failures.Store(0)
	} else if l.failures.Load() < downAfter {
		l.failures.Add(1)
	}
}

// Due says whether the endpoint should be polled at now: every busy interval
// while requests run or wait there or it does not answer, else every idle
// interval. Only the polling goroutine may call it.
func (l *Load) Due(now time.Time, busy, idle time.Duration) bool {
	interval := idle
	if l.last == nil || l.InFlight() > 0 || l.last.RunningRequestsSize+l.last.WaitingQueueSize > 0 || l.failures.Load() == 1 {
		interval = busy
	}
	// Ticks are not exact; half of the shortest interval early is on time.
	return now.Sub(l.due) >= interval-busy/2
}

// Served is the model name that the endpoint reports in its metrics, "" while
// it has not.
func (l *Load) Served() string {
	if name := l.served.Load(); name != nil {
		return *name
	}
	return ""
}

func (l *Load) servesModel(name []byte) {
	if string(name) == l.Served() {
		return
	}
	s := string(name)
	l.served.Store(&s)
	if changed := l.changed.Load(); changed != nil {
		(*changed)()
	}
}

// LoadIn returns the Load among an endpoint's attributes as the scheduler sees
// them, nil when there is none.
func LoadIn(attributes interface {
	Get(string) (datalayer.Cloneable, bool)
}) *Load {
	v, ok := attributes.Get(loadKey)
	if !ok {
		return nil
	}
	return v.(*Load)
}
