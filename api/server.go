package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/go-logr/logr"
)

const (
	// maxBodyBytes bounds a request.
	maxBodyBytes = 1 << 20

	// maxRequests is how many requests with a body are in hand at once, so that
	// bodies take a bounded share of the memory.
	maxRequests = 64

	// maxConcurrency is how many texts are classified at once, as in vLLM
	// Semantic Router: the API is not to crowd out the gateway's requests.
	maxConcurrency = 8

	// requestTimeout is how long an answer may take, reading the body apart.
	requestTimeout = 30 * time.Second
)

// server is the handler of the API.
type server struct {
	backend  Backend
	routes   map[string]route
	requests chan struct{} // one for each request with a body in hand
	slots    chan struct{} // one for each text that is classified
	now      func() time.Time
	started  time.Time
	system   func() systemInfo
}

// A route is what answers on a path.
type route struct {
	method string // GET serves HEAD as well
	answer func(ctx context.Context, body []byte) (reply, error)
}

// A reply is an answer of the API: a status and what is written as JSON.
type reply struct {
	status int
	body   any
}

func ok(body any) reply { return reply{http.StatusOK, body} }

// New returns the handler of the API.
func New(backend Backend) http.Handler { return newServer(backend) }

func newServer(backend Backend) *server {
	s := &server{
		backend:  backend,
		requests: make(chan struct{}, maxRequests),
		slots:    make(chan struct{}, maxConcurrency),
		now:      time.Now,
		started:  time.Now(),
		system:   thisSystem,
	}
	s.routes = map[string]route{
		"/api/v1/classify/intent": {http.MethodPost, s.intent},
		"/api/v1/classify/batch":  {http.MethodPost, s.batch},
		"/api/v1/explain":         {http.MethodPost, s.explain},
		"/info/models":            {http.MethodGet, s.infoModels},
		"/info/classifier":        {http.MethodGet, s.infoClassifier},
		"/v1/models":              {http.MethodGet, s.models},
		"/health":                 {http.MethodGet, s.health},
		"/ready":                  {http.MethodGet, s.ready},
		"/openapi.json":           {http.MethodGet, s.openAPI},
	}
	return s
}

// ServeHTTP answers one request.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, err := s.answer(w, r)
	if err != nil {
		f := failureOf(err)
		if f.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		answer = s.errorReply(f)
	}
	body, err := json.Marshal(answer.body)
	if err != nil { // such as a number that JSON has not
		logr.FromContextOrDiscard(r.Context()).Error(errors.New("reply is not JSON"), "API reply failed", "path", r.URL.Path)
		answer = s.errorReply(&failure{http.StatusInternalServerError, "JSON_ENCODE_ERROR", "the reply cannot be written as JSON"})
		body, _ = json.Marshal(answer.body) // strings always marshal
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)+1))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(answer.status)
	_, _ = w.Write(append(body, '\n')) // a client that is gone needs no answer
}

// answer finds the route of a request, reads its body and answers.
func (s *server) answer(w http.ResponseWriter, r *http.Request) (answer reply, err error) {
	defer contain(r.Context(), &err)
	route, known := s.routes[r.URL.Path]
	if !known {
		return reply{}, &failure{http.StatusNotFound, "NOT_FOUND", "no such path: GET /openapi.json describes all there are"}
	}
	allow := route.method
	if allow == http.MethodGet {
		allow = "GET, HEAD"
	}
	if r.Method != route.method && (r.Method != http.MethodHead || route.method != http.MethodGet) {
		w.Header().Set("Allow", allow)
		return reply{}, &failure{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", "this path takes " + allow}
	}
	var body []byte
	if route.method == http.MethodPost {
		select {
		case s.requests <- struct{}{}:
			defer func() { <-s.requests }()
		default:
			return reply{}, problems[Overloaded]
		}
		if body, err = readBody(w, r); err != nil {
			return reply{}, err
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	return route.answer(ctx, body)
}

// errorReply is the reply for a failure.
func (s *server) errorReply(f *failure) reply {
	type detail struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Timestamp string `json:"timestamp"`
	}
	return reply{f.status, struct {
		Error detail `json:"error"`
	}{detail{f.code, f.message, s.now().UTC().Format(time.RFC3339)}}}
}

// timed calls f, which classifies one text, when there is a slot for it, and
// returns how long it took, the wait apart.
func (s *server) timed(ctx context.Context, f func() error) (took time.Duration, err error) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer contain(ctx, &err)
	start := s.now()
	err = f()
	return s.now().Sub(start), err
}

// contain, when deferred, turns a panic into an error. What was panicked with
// is logged only when the runtime made it: another value may quote a prompt.
func contain(ctx context.Context, err *error) {
	p := recover()
	if p == nil {
		return
	}
	cause := fmt.Errorf("panic with a %T", p)
	if fault, ok := p.(runtime.Error); ok {
		cause = fault
	}
	logr.FromContextOrDiscard(ctx).Error(cause, "API request panicked", "stack", string(debug.Stack()))
	*err = &failure{http.StatusInternalServerError, "INTERNAL_ERROR", "internal error: the picker's log has the cause"}
}
