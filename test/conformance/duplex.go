package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

const (
	manyChunks = 1000
	largeBody  = 8 << 20
	largePart  = 1 << 20
	// oneMessage is a body in one message beyond what a gRPC server of Go takes
	// unless told otherwise (4 MiB).
	oneMessage = 6 << 20
	// smallMessage is what every gateway takes (GIE v1.5.0 sends 62,000 bytes of
	// a body at a time, since some take no message over 64 KiB).
	smallMessage = 64 << 10
)

// duplexChecks are about request bodies in FULL_DUPLEX_STREAMED, the mode of
// InferencePools.
var duplexChecks = []check{
	{id: "duplex-order", level: must, source: api,
		says: "The answer to the headers comes first and once, then the body.",
		run: onPick(func(_ *target, o *outcome) error {
			return o.ordered("request headers", "request body")
		})},
	{id: "duplex-streamed-response", level: must, source: api,
		says: "The body comes back as streamed_response, no other mutation.",
		run: onPick(func(_ *target, o *outcome) error {
			for _, part := range o.parts {
				if part.GetResponse().GetBodyMutation().GetStreamedResponse() == nil {
					return fmt.Errorf("a body answer has %T in place of streamed_response (Envoy answers 500 to it)", part.GetResponse().GetBodyMutation().GetMutation())
				}
			}
			return nil
		})},
	{id: "duplex-one-end", level: must, source: api,
		says: "Exactly one part has end_of_stream, the last one.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, t.chat(fullDuplex, 200_000).chunks(50_000))
			if err != nil {
				return err
			}
			if o.ends != 1 || o.afterEnd {
				return fmt.Errorf("%d parts have end_of_stream, a part after the end: %v", o.ends, o.afterEnd)
			}
			return nil
		}},
	{id: "duplex-body-whole", level: must, source: api,
		says: "The body that goes on says what the client's said, in a model name at most different.",
		run:  whole(func(t *target) request { return t.chat(fullDuplex, 0) }, sameJSON)},
	{id: "duplex-body-exact", level: should, source: gieIssue,
		says: "But for the model, the body goes on byte for byte: large integers, numbers' spelling, order of keys.",
		run:  whole(func(t *target) request { return t.chat(fullDuplex, 0) }, sameBytes)},
	{id: "duplex-edits-with-headers", level: must, source: gateway,
		says: "Header edits, dynamic metadata and clear_route_cache are in the answer to the headers: later ones have no effect.",
		run: onPick(func(_ *target, o *outcome) error {
			if o.lateMetadata {
				return errors.New("a body answer has dynamic metadata")
			}
			for _, part := range o.parts {
				if c := part.GetResponse(); c.GetHeaderMutation() != nil || c.GetClearRouteCache() {
					return errors.New("a body answer has header edits or clear_route_cache")
				}
			}
			return nil
		})},
	{id: "duplex-bodyless", level: must, source: api,
		says: "Headers with end_of_stream get one answer, and no body.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, get())
			if err != nil {
				return err
			}
			return o.ordered("request headers")
		}},
	{id: "duplex-empty-end", level: must, source: envoy,
		says: "The end may come as an empty part of its own.",
		run: whole(func(t *target) request {
			r := t.chat(fullDuplex, 0)
			r.emptyEnd = true
			return r
		}, sameJSON)},
	{id: "duplex-trailers", level: must, source: api,
		says: "A body that ends by trailers is answered with headers, body without end_of_stream, trailers.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.trailers = true
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			if o.ends > 0 {
				return errors.New("the body has end_of_stream, though trailers follow")
			}
			if err := o.ordered("request headers", "request body", "request trailers"); err != nil {
				return err
			}
			return sameJSON(r.body, o.body)
		}},
	{id: "duplex-trailers-alone", level: must, source: api,
		says: "A request of headers and trailers is answered with headers and trailers, or refused.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, request{mode: fullDuplex, reply: fullDuplex, trailers: true})
			if err != nil || o.immediate != nil {
				return err
			}
			return o.ordered("request headers", "request trailers")
		}},
	{id: "duplex-empty-body", level: must, source: api,
		says: "A POST whose body is empty is answered, or refused with 4xx.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.body = []byte{}
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			if code := o.immediate.GetStatus().GetCode(); o.immediate != nil && (code < 400 || code > 499) {
				return fmt.Errorf("got %s", o.got())
			}
			return nil
		}},
	{id: "duplex-many-parts", level: must, source: api,
		says: "A body of 1,000 parts goes on whole.",
		run: whole(func(t *target) request {
			return t.chat(fullDuplex, 100*manyChunks).chunks(100)
		}, sameJSON)},
	{id: "duplex-one-byte-parts", level: must, source: api,
		says: "A body in parts of one byte goes on whole.",
		run:  whole(func(t *target) request { return t.chat(fullDuplex, 0).chunks(1) }, sameJSON)},
	{id: "duplex-large-body", level: must, source: envoy,
		says: "A body of 8 MiB, or of the picker's limit, goes on whole.",
		run: whole(func(t *target) request {
			size := largeBody
			if t.limit > 0 {
				size = min(size, t.limit-1024)
			}
			return t.chat(fullDuplex, size).chunks(min(largePart, size/8))
		}, sameJSON)},
	{id: "duplex-large-message", level: should, source: envoy,
		says: "A message of 6 MiB is taken: Envoy sends 10 MB at once where its buffers allow.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, oneMessage)
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			if o.immediate.GetStatus().GetCode() == http.StatusRequestEntityTooLarge {
				return nil
			}
			if err := wantPassed(o); err != nil {
				return err
			}
			return sameJSON(r.body, o.body)
		}},
	{id: "duplex-small-messages", level: should, source: gieIssue,
		says: "No part of the body that goes on is larger than 64 KiB.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, t.chat(fullDuplex, 300_000).chunks(largePart))
			if err != nil {
				return err
			}
			if err := wantPassed(o); err != nil {
				return err
			}
			if o.largest > smallMessage {
				return fmt.Errorf("a part has %d bytes", o.largest)
			}
			return nil
		}},
	{id: "duplex-late-end", level: should, source: gieIssue,
		says: "A second end mark after the request was answered gets no answer.",
		run: func(ctx context.Context, t *target) error {
			x, o, err := t.ask(ctx, t.chat(fullDuplex, 0))
			if err != nil {
				return err
			}
			defer x.close()
			if err := wantPassed(o); err != nil {
				return err
			}
			if err := x.send(requestPart(nil, true)); err != nil {
				return err
			}
			return x.finish()
		}},
}

// chunks cuts the body into messages of so many bytes.
func (r request) chunks(size int) request {
	r.chunk = size
	return r
}

// whole is a check that the body of a request goes on as it should.
func whole(of func(*target) request, same func(sent, got []byte) error) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		r := of(t)
		o, err := t.settle(ctx, r)
		if err != nil {
			return err
		}
		if err := wantPassed(o); err != nil {
			return err
		}
		return same(r.body, o.body)
	}
}

// ordered wants answers of these kinds, in this order; only body answers may
// repeat.
func (o *outcome) ordered(kinds ...string) error {
	var got []string
	for i, kind := range o.sequence {
		if i == 0 || kind != o.sequence[i-1] || !strings.HasSuffix(kind, "body") {
			got = append(got, kind)
		}
	}
	if !reflect.DeepEqual(got, kinds) {
		return fmt.Errorf("want %s, got %s", strings.Join(kinds, ", "), o.got())
	}
	return nil
}

// sameJSON wants two objects to say the same but for the model. Numbers count
// as JSON readers take them, in double precision.
func sameJSON(sent, got []byte) error {
	var want, have map[string]any
	if err := json.Unmarshal(sent, &want); err != nil {
		return err
	}
	if err := json.Unmarshal(got, &have); err != nil {
		return fmt.Errorf("the %d bytes that went on, of %d, are not JSON: %w", len(got), len(sent), err)
	}
	delete(want, "model")
	delete(have, "model")
	if !reflect.DeepEqual(want, have) {
		return errors.New("the body that went on says something else")
	}
	return nil
}

// sameBytes wants two bodies to be equal but for the model's name.
func sameBytes(sent, got []byte) error {
	var want, have struct{ Model json.RawMessage }
	if err := json.Unmarshal(sent, &want); err != nil {
		return err
	}
	if err := json.Unmarshal(got, &have); err != nil {
		return fmt.Errorf("the body that went on is not JSON: %w", err)
	}
	if expected := bytes.Replace(sent, want.Model, have.Model, 1); !bytes.Equal(expected, got) {
		return fmt.Errorf("sent %.120s…, went on %.120s…", sent, got)
	}
	return nil
}
