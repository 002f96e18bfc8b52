package vllmsim

// A Behaviour changes how a running server answers. The zero Behaviour is a
// healthy server.
type Behaviour struct {
	// Fail answers every request for tokens or embeddings with this status.
	Fail int
	// Hang accepts requests and never answers them: they run until their
	// client leaves or the server closes.
	Hang bool
	// Drop cuts the connection (over HTTP/2: the stream) of every request.
	Drop Drop
	// Gzip compresses replies, whatever the client accepts.
	Gzip bool
	// Echo answers with the prompt in place of made-up words.
	Echo bool
	// Load is what /metrics shows in place of the true load, unless nil.
	Load *Load
	// MetricsStatus is the status of /metrics when it is not 0.
	MetricsStatus int
}

// A Drop says when a connection is cut.
type Drop int

const (
	// DropNever is a healthy connection.
	DropNever Drop = iota
	// DropBeforeHeaders cuts after the request was read.
	DropBeforeHeaders
	// DropAfterHeaders cuts after the head of the reply and some of its body.
	DropAfterHeaders
)

// A Load is what the load gauges say.
type Load struct {
	Running, Waiting int
	KVCacheUsage     float64 // 0 to 1
}

// SetBehaviour changes the behaviour for requests from now on.
func (s *Server) SetBehaviour(b Behaviour) { s.behaviour.Store(&b) }

// Behaviour returns what SetBehaviour set last.
func (s *Server) Behaviour() Behaviour { return *s.behaviour.Load() }
