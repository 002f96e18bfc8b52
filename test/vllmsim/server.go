package vllmsim

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// maxBodyBytes bounds a request body; a bigger one gets 413.
const maxBodyBytes = 64 << 20

// A Server is a running simulated model server.
type Server struct {
	cfg       Config
	listener  net.Listener
	http      http.Server
	stop      context.CancelFunc // ends the requests in flight
	inFlight  flight
	served    chan struct{} // closed when Serve returned
	serveErr  error
	engine    *engine
	adapters  adapters
	behaviour atomic.Pointer[Behaviour]
	record    record
	replies   atomic.Int64 // numbers the ids of replies
}

// Start starts a server; Close stops it.
func Start(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("configure simulated vLLM server: %w", err)
	}
	listener, err := net.Listen("tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("start simulated vLLM server %s: %w", cfg.Name, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{
		cfg:      cfg,
		listener: listener,
		stop:     stop,
		served:   make(chan struct{}),
		engine:   newEngine(cfg),
		adapters: newAdapters(cfg),
		record:   record{keep: cfg.KeepRequests},
	}
	s.SetBehaviour(Behaviour{})
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = http.Server{
		Handler:     s.inFlight.count(s.routes()),
		Protocols:   &protocols,
		BaseContext: func(net.Listener) context.Context { return ctx },
		ErrorLog:    log.New(io.Discard, "", 0), // cut connections are on purpose
	}
	go func() {
		defer close(s.served)
		s.serveErr = s.http.Serve(listener)
	}()
	return s, nil
}

// Addr is the address at which the server listens, "ip:port".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Port is the port at which the server listens.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// URL is the root of the server's interface, without a slash at its end.
func (s *Server) URL() string { return "http://" + s.Addr() }

// Close stops the server as a crash would: requests in flight lose their
// connection. It returns when all of them have ended. Only the first call does
// anything.
func (s *Server) Close() error {
	s.stop()
	err := s.http.Close()
	<-s.served
	s.inFlight.wait()
	if s.serveErr != http.ErrServerClosed {
		return fmt.Errorf("serve simulated vLLM server %s: %w", s.cfg.Name, s.serveErr)
	}
	if err != nil {
		return fmt.Errorf("close simulated vLLM server %s: %w", s.cfg.Name, err)
	}
	return nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /metrics", s.metricsPage)
	mux.HandleFunc("GET /v1/models", s.recorded(s.models))
	mux.HandleFunc("POST /v1/chat/completions", s.recorded(s.generating(chat{})))
	mux.HandleFunc("POST /v1/completions", s.recorded(s.generating(completions{})))
	mux.HandleFunc("POST /v1/responses", s.recorded(s.generating(responses{})))
	mux.HandleFunc("POST /v1/messages", s.recorded(s.generating(messages{})))
	mux.HandleFunc("POST /v1/embeddings", s.recorded(s.embeddings))
	if s.cfg.MaxLoras > 0 {
		mux.HandleFunc("POST /v1/load_lora_adapter", s.recorded(s.loadAdapter))
		mux.HandleFunc("POST /v1/unload_lora_adapter", s.recorded(s.unloadAdapter))
	}
	mux.HandleFunc("/", s.recorded(func(w http.ResponseWriter, _ *http.Request, _ []byte) {
		writeJSON(w, http.StatusNotFound, map[string]string{"detail": "Not Found"})
	}))
	return mux
}

// recorded reads the whole request, keeps it and passes it on.
func (s *Server) recorded(next func(http.ResponseWriter, *http.Request, []byte)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
		if err != nil {
			writeJSON(w, http.StatusRequestEntityTooLarge, openAIError(http.StatusRequestEntityTooLarge, err.Error()))
			return
		}
		s.record.add(Request{
			Method: r.Method, Path: r.URL.RequestURI(), Proto: r.Proto,
			Header: r.Header.Clone(), Body: body, Trailer: r.Trailer.Clone(),
		})
		w.Header().Set("X-Inference-Pod", s.cfg.Name)
		next(w, r, body)
	}
}

// A flight counts the handlers that run, so that Close can wait for them: the
// HTTP server does not.
type flight struct {
	mu     sync.Mutex
	n      int
	closed bool
	empty  chan struct{} // made by wait
}

func (f *flight) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.enter() {
			panic(http.ErrAbortHandler)
		}
		defer f.leave()
		next.ServeHTTP(w, r)
	})
}

func (f *flight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.n++
	return true
}

func (f *flight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.closed && f.n == 0 {
		close(f.empty)
	}
}

// wait lets nobody in any more and returns when all have left.
func (f *flight) wait() {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		f.empty = make(chan struct{})
		if f.n == 0 {
			close(f.empty)
		}
	}
	empty := f.empty
	f.mu.Unlock()
	<-empty
}
