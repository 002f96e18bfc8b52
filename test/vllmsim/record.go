package vllmsim

import (
	"net/http"
	"sync"
)

// A Request is a request as it arrived, for byte-exact checks.
type Request struct {
	Method, Path, Proto string
	Header              http.Header
	Body                []byte
	Trailer             http.Header
}

// A record keeps the last requests.
type record struct {
	mu    sync.Mutex
	keep  int
	last  []Request
	total int
}

func (r *record) add(req Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total++
	if len(r.last) == r.keep {
		r.last = append(r.last[:0], r.last[1:]...)
	}
	r.last = append(r.last, req)
}

// Requests returns the last requests, the oldest first. Scrapes of /metrics and
// health probes are not among them.
func (s *Server) Requests() []Request {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return append([]Request(nil), s.record.last...)
}

// Received is the number of requests so far, those that Requests no longer
// returns included.
func (s *Server) Received() int {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return s.record.total
}
