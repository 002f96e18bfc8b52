package extproc

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// contain, when deferred, turns a panic into codes.Internal. What was panicked
// with is logged only when the runtime made it: another value may quote a
// prompt.
func (s *Server) contain(log logr.Logger, err *error) {
	p := recover()
	if p == nil {
		return
	}
	cause := fmt.Errorf("panic with a %T", p)
	if fault, ok := p.(runtime.Error); ok {
		cause = fault
	}
	s.metrics.panics.Inc()
	log.Error(cause, "ext_proc stream panicked", "stack", string(debug.Stack()))
	*err = status.Error(codes.Internal, "internal error")
}
