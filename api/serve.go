package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
)

const (
	// drainTimeout is how long requests may go on after the end of Serve's
	// context.
	drainTimeout = 10 * time.Second

	readHeaderTimeout = 5 * time.Second
	readTimeout       = 30 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Serve serves handler on listener until ctx ends, lets the requests in hand
// finish, for ten seconds at most, and returns nil; or it returns why it could
// not serve. It closes the listener. Handlers find the logger of ctx in their
// contexts.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	requests, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      readTimeout + requestTimeout + drainTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(logr.ToSlogHandler(logr.FromContextOrDiscard(ctx)), slog.LevelError),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return errors.Join(fmt.Errorf("serve the API: %w", err), server.Close())
	case <-ctx.Done():
	}
	draining, done := context.WithTimeout(requests, drainTimeout)
	defer done()
	err := server.Shutdown(draining)
	if errors.Is(err, context.DeadlineExceeded) {
		abandon()
		err = server.Close()
	}
	<-served
	if err != nil {
		return fmt.Errorf("stop the API: %w", err)
	}
	return nil
}
