package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// refusalChecks are about requests that get no endpoint.
var refusalChecks = []check{
	{id: "malformed-refused", level: should, source: envoy,
		says: "A body that is no JSON is refused with 4xx, not by ending the stream, which becomes an empty 500.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.body = []byte(`{"model":`)
			return refusedWith4xx(ctx, t, r)
		}},
	{id: "no-model-refused", level: should, source: envoy,
		says: "A chat without a model is picked for, or refused with 4xx.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.body = []byte(`{"messages":[{"role":"user","content":"hi"}]}`)
			return pickedOr4xx(ctx, t, r)
		}},
	{id: "unknown-model", level: must, source: api,
		says: "A model that nobody serves gets a destination or 4xx; the request does not hang and the stream does not break.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.body = chatBody("conformance-nobody-serves-this", 0)
			return pickedOr4xx(ctx, t, r)
		}},
	{id: "unknown-path", level: must, source: api,
		says: "A path that is no inference API gets a destination or 4xx.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.path = "/conformance/no/such/api"
			return pickedOr4xx(ctx, t, r)
		}},
	{id: "refusal-comes-first", level: must, source: gateway,
		says: "An immediate response comes in place of the answer to the headers: after it, AgentGateway has called the model server already.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, t.chat(fullDuplex, 0).subset())
			if err != nil {
				return err
			}
			if o.immediate == nil || len(o.sequence) > 1 {
				return fmt.Errorf("want an immediate response alone, got %s", o.got())
			}
			return nil
		}},
	{id: "over-limit", level: should, source: envoy, needs: needLimit,
		says: "A body beyond the picker's limit is refused with 413: in FULL_DUPLEX_STREAMED, Envoy sets no limit.",
		run: func(ctx context.Context, t *target) error {
			return refused(ctx, t, t.chat(fullDuplex, t.limit+1).chunks(largePart), http.StatusRequestEntityTooLarge)
		}},
	{id: "over-limit-unannounced", level: should, source: envoy, needs: needLimit,
		says: "A body beyond the picker's limit is refused with 413 without a content-length to show it.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, t.limit+1).chunks(largePart)
			r.trailers = true // which excludes content-length
			return refused(ctx, t, r, http.StatusRequestEntityTooLarge)
		}},
	{id: "no-endpoint", level: must, source: proposal, needs: needBystander,
		says: "Without a ready endpoint, a request is answered with 503.",
		run: func(ctx context.Context, t *target) error {
			return refused(ctx, t.bystander, t.chat(fullDuplex, 0), http.StatusServiceUnavailable)
		}},
	{id: "no-endpoint-bodyless", level: must, source: proposal, needs: needBystander,
		says: "Without a ready endpoint, a request without a body is answered with 503 too.",
		run: func(ctx context.Context, t *target) error {
			return refused(ctx, t.bystander, get(), http.StatusServiceUnavailable)
		}},
	{id: "saturated", level: must, source: proposal, needs: needSaturation, turn: alone,
		says: "While all model servers are full, a sheddable request is answered with 429.",
		run: func(ctx context.Context, t *target) error {
			t.saturate(true)
			defer t.saturate(false)
			// A picker sees the load when it reads the metrics next.
			var last error
			for end := time.Now().Add(t.patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				last = refused(ctx, t, t.chat(fullDuplex, 0).with(objectiveHeader, t.objective), http.StatusTooManyRequests)
				if last == nil {
					return nil
				}
			}
			return last
		}},
	{id: "unsaturated", level: must, source: proposal, needs: needSaturation, turn: alone,
		says: "Once the model servers have room again, so do sheddable requests.",
		run: func(ctx context.Context, t *target) error {
			var last error
			for end := time.Now().Add(t.patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				o, err := t.settle(ctx, t.chat(fullDuplex, 0).with(objectiveHeader, t.objective))
				if err != nil {
					return err
				}
				if _, last = o.picked(); last == nil {
					return nil
				}
			}
			return last
		}},
}

func refusedWith4xx(ctx context.Context, t *target, r request) error {
	o, err := t.settle(ctx, r)
	if err != nil {
		return err
	}
	if code := o.immediate.GetStatus().GetCode(); code < 400 || code > 499 {
		return fmt.Errorf("want an immediate response of 4xx, got %s", o.got())
	}
	return nil
}

func pickedOr4xx(ctx context.Context, t *target, r request) error {
	o, err := t.settle(ctx, r)
	if err != nil {
		return err
	}
	if code := o.immediate.GetStatus().GetCode(); code >= 400 && code <= 499 {
		return nil
	}
	_, err = o.picked()
	return err
}
