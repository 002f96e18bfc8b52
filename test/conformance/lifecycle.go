package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// concurrent is how many exchanges are under way at once where that matters.
const concurrent = 50

// lifecycleChecks are about streams that end early or come at once, and health.
var lifecycleChecks = []check{
	{id: "health", level: should, source: grpcRule, needs: needHealth,
		says: "The gRPC health service says SERVING for the whole server.",
		run:  serving("")},
	{id: "health-of-service", level: should, source: envoy, needs: needHealth,
		says: "The gRPC health service says SERVING for envoy.service.ext_proc.v3.ExternalProcessor, by which Envoy asks.",
		run:  serving(procv3.ExternalProcessor_ServiceDesc.ServiceName)},
	{id: "concurrent", level: must, source: api,
		says: "Fifty exchanges at once get each their own body back.",
		run: func(ctx context.Context, t *target) error {
			var wg sync.WaitGroup
			errs := make([]error, concurrent)
			for i := range errs {
				wg.Go(func() {
					errs[i] = whole(func(t *target) request { return t.chat(fullDuplex, 1000*i).chunks(500) }, sameJSON)(ctx, t)
				})
			}
			wg.Wait()
			return errors.Join(errs...)
		}},
	{id: "half-close-after-request", level: must, source: grpcRule,
		says: "A gateway that half-closes right after its request still gets all answers.",
		run: func(ctx context.Context, t *target) error {
			x, err := t.open(ctx)
			if err != nil {
				return err
			}
			defer x.close()
			r := t.chat(fullDuplex, 0)
			if err := x.send(append([]*procv3.ProcessingRequest{r.head(t)}, r.rest()...)...); err != nil {
				return err
			}
			if err := x.wire.CloseSend(); err != nil {
				return err
			}
			o := &outcome{}
			if err := x.collect(o, "the request", r.answered); err != nil {
				return err
			}
			return wantPassed(o)
		}},
	{id: "half-close-mid-body", level: must, source: grpcRule,
		says: "A stream that is half-closed in the middle of a body ends.",
		run: func(ctx context.Context, t *target) error {
			_, err := t.cutShort(ctx)
			return err
		}},
	{id: "half-close-not-ok", level: should, source: envoy,
		says: "It does not end with OK and without an answer: Envoy takes that as leave to forward the request, without its body.",
		run: func(ctx context.Context, t *target) error {
			end, err := t.cutShort(ctx)
			if err == nil && errors.Is(end, io.EOF) {
				err = errors.New("the stream ended with OK, unanswered")
			}
			return err
		}},
	{id: "cancel-mid-body", level: must, source: envoy,
		says: "After many clients left in the middle of their bodies, the picker serves as before.",
		run: func(ctx context.Context, t *target) error {
			return t.leave(ctx, func(x *exchange) error {
				r := t.chat(fullDuplex, 100_000).chunks(10_000)
				return x.send(append([]*procv3.ProcessingRequest{r.head(t)}, r.rest()[:5]...)...)
			})
		}},
	{id: "cancel-mid-reply", level: must, source: envoy,
		says: "After many clients left in the middle of their replies, the picker serves as before.",
		run: func(ctx context.Context, t *target) error {
			return t.leave(ctx, func(x *exchange) error {
				r, o := t.chat(fullDuplex, 0), &outcome{}
				if err := x.play(t, &r, o); err != nil {
					return err
				}
				return x.send(replyHead(false, eventsHead...), replyPart([]byte(replyEvents[0]), false))
			})
		}},
	{id: "close-at-once", level: must, source: grpcRule,
		says: "A stream that is closed before its first message ends.",
		run: func(ctx context.Context, t *target) error {
			x, err := t.open(ctx)
			if err != nil {
				return err
			}
			defer x.close()
			return x.finish()
		}},
	{id: "body-without-headers", level: must, source: api,
		says: "A body without headers before it (request_header_mode SKIP) is answered or ends the stream; nothing hangs.",
		run: func(ctx context.Context, t *target) error {
			x, err := t.open(ctx)
			if err != nil {
				return err
			}
			defer x.close()
			m := requestPart(chatBody(t.model, 0), true)
			m.ProtocolConfig = &procv3.ProtocolConfiguration{RequestBodyMode: fullDuplex, ResponseBodyMode: fullDuplex}
			if err := x.send(m); err != nil {
				return err
			}
			_, err = x.next("a body without headers")
			if ended := (errEnded{}); errors.As(err, &ended) && !errors.Is(ended.cause, io.EOF) {
				err = nil
			}
			return err
		}},
}

// serving is a check of what health says of a service.
func serving(service string) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		ctx, cancel := context.WithTimeout(ctx, t.patience)
		defer cancel()
		reply, err := t.health.Check(ctx, &healthv1.HealthCheckRequest{Service: service})
		if err != nil {
			return fmt.Errorf("ask for the health of %q: %w", service, err)
		}
		if reply.GetStatus() != healthv1.HealthCheckResponse_SERVING {
			return fmt.Errorf("the health of %q is %v", service, reply.GetStatus())
		}
		return nil
	}
}

// cutShort half-closes a stream in the middle of a body and returns how it
// ended, nil when the picker answered the client first.
func (t *target) cutShort(ctx context.Context) (end, err error) {
	x, err := t.open(ctx)
	if err != nil {
		return nil, err
	}
	defer x.close()
	r := t.chat(fullDuplex, 1000).chunks(100)
	if err := x.send(r.head(t), r.rest()[0]); err != nil {
		return nil, err
	}
	if err := x.wire.CloseSend(); err != nil {
		return nil, err
	}
	_, err = x.next("a half-closed stream")
	if ended := (errEnded{}); errors.As(err, &ended) {
		return ended.cause, nil
	}
	return nil, err
}

// leave brings many streams to a point and cancels them; the picker must serve
// then.
func (t *target) leave(ctx context.Context, to func(*exchange) error) error {
	for range concurrent {
		x, err := t.open(ctx)
		if err != nil {
			return err
		}
		err = to(x)
		time.Sleep(time.Millisecond) // for some of it to arrive: cancelling drops what is queued
		x.close()
		if err != nil {
			return err
		}
	}
	return t.alive(ctx)
}

// alive wants an ordinary request to be picked for.
func (t *target) alive(ctx context.Context) error {
	o, err := t.settle(ctx, t.chat(fullDuplex, 0))
	if err != nil {
		return fmt.Errorf("an ordinary request after that: %w", err)
	}
	_, err = o.picked()
	return err
}
