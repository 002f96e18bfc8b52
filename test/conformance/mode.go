package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// modeChecks are about the other body modes of requests. A picker need not
// offer them, but it must say so: a gateway that waits for an answer that never
// comes times out, or hangs.
var modeChecks = []check{
	{id: "buffered-answers-headers", level: must, source: api,
		says: "In BUFFERED, the headers are answered, or refused, before the body comes: the gateway waits for that.",
		run:  answersHeaders(buffered)},
	{id: "buffered-one-answer", level: must, source: api,
		says: "In BUFFERED, headers and body get one answer each.",
		run: onBuffered(func(_ request, o *outcome) error {
			return o.exactly("request headers", "request body")
		})},
	{id: "buffered-destination", level: must, source: proposal,
		says: "In BUFFERED, the answers name a destination, in header and metadata alike.",
		run: onBuffered(func(_ request, o *outcome) error {
			header, err := o.destinationHeader()
			if err != nil {
				return err
			}
			if o.metadata[destination] != header {
				return fmt.Errorf("the header says %q, the metadata %q", header, o.metadata[destination])
			}
			return nil
		})},
	{id: "buffered-no-streamed-response", level: must, source: envoy,
		says: "In BUFFERED, the body is replaced as a whole or not at all: Envoy answers 500 to streamed_response.",
		run:  onBuffered(func(_ request, o *outcome) error { return o.notStreamed() })},
	{id: "buffered-content-length", level: must, source: api,
		says: "In BUFFERED, content-length is removed or true when the body is replaced.",
		run: onBuffered(func(r request, o *outcome) error {
			length := len(r.body)
			if len(o.parts) > 0 && o.parts[0].GetResponse().GetBodyMutation() != nil {
				length = len(o.body)
			}
			return o.trueLength(len(r.body), length)
		})},
	{id: "buffered-body-whole", level: must, source: api,
		says: "In BUFFERED, a body that replaces the client's says the same but for the model.",
		run: onBuffered(func(r request, o *outcome) error {
			if len(o.parts) == 0 || o.parts[0].GetResponse().GetBodyMutation() == nil {
				return nil
			}
			return sameJSON(r.body, o.body)
		})},
	{id: "buffered-bodyless", level: must, source: api,
		says: "In BUFFERED, headers with end_of_stream get one answer, with a destination.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, request{mode: buffered, reply: buffered})
			if err != nil {
				return err
			}
			if err := o.exactly("request headers"); err != nil {
				return err
			}
			_, err = o.picked()
			return err
		}},
	{id: "buffered-trailers", level: should, source: envoy,
		says: "In BUFFERED with trailers, the body is answered though it has no end_of_stream: Envoy sends the trailers only after that.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(buffered, 0)
			r.trailers = true
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			if err := refusedMode(o, "BUFFERED"); err != nil {
				return err
			}
			return o.exactly("request headers", "request body", "request trailers")
		}},
	{id: "buffered-empty-end", level: should, source: gateway,
		says: "In BUFFERED, a body with its end in an empty message is answered once.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(buffered, 0)
			r.emptyEnd, r.pseudoLast = true, true
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			if err := refusedMode(o, "BUFFERED"); err != nil {
				return err
			}
			return o.exactly("request headers", "request body")
		}},
	{id: "streamed-answers-headers", level: must, source: api,
		says: "In STREAMED, the headers are answered, or refused, before the body comes.",
		run:  answersHeaders(streamed)},
	{id: "streamed-each-answered", level: must, source: api,
		says: "In STREAMED, every message gets exactly one answer, unless the mode is refused.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(streamed, 10_000).chunks(3_000)
			return eachAnswered(ctx, t, r, "STREAMED")
		}},
	{id: "streamed-eager", level: must, source: api,
		says: "In STREAMED with send_body_without_waiting_for_header_response, every message gets exactly one answer, headers first, unless the mode is refused.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(streamed, 10_000).chunks(3_000)
			r.eager = true
			return eachAnswered(ctx, t, r, "STREAMED")
		}},
	{id: "partial-answers-headers", level: must, source: api,
		says: "In BUFFERED_PARTIAL, the headers are answered, or refused, before the body comes.",
		run:  answersHeaders(bufferedPartial)},
	{id: "none-answers-headers", level: must, source: api,
		says: "In NONE, the headers of a POST are answered, or refused, though no body will come.",
		run:  answersHeaders(none)},
	{id: "none-destination", level: must, source: proposal,
		says: "In NONE, a POST gets a destination, an error, or the wish for its body (mode_override).",
		run: func(ctx context.Context, t *target) error {
			x, o, err := t.ask(ctx, t.chat(none, 0))
			if err != nil {
				return err
			}
			defer x.close()
			if o.immediate != nil || o.override {
				return nil
			}
			_, err = o.picked()
			return err
		}},
	{id: "undeclared-bodyless", level: should, source: api,
		says: "Without protocol_config, which is newer than the protocol, a request without a body gets a destination.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, request{undeclared: true})
			if err != nil {
				return err
			}
			_, err = o.picked()
			return err
		}},
}

// answersHeaders is a check that a gateway which waits for the answer to the
// headers gets it.
func answersHeaders(mode bodyMode) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		x, err := t.open(ctx)
		if err != nil {
			return err
		}
		defer x.close()
		r := t.chat(mode, 0)
		if err := x.send(r.head(t)); err != nil {
			return err
		}
		o := &outcome{}
		if err := x.collect(o, "the request headers", func(o *outcome) bool { return len(o.sequence) > 0 }); err != nil {
			return err
		}
		if o.heads == 0 && o.immediate == nil {
			return fmt.Errorf("want an answer to the headers, got %s", o.got())
		}
		return nil
	}
}

// onBuffered is a check of the answers to an ordinary request in BUFFERED mode.
func onBuffered(judge func(request, *outcome) error) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		r := t.chat(buffered, 0)
		o, err := t.settle(ctx, r)
		if err != nil {
			return err
		}
		if err := refusedMode(o, "BUFFERED"); err != nil {
			return err
		}
		return judge(r, o)
	}
}

// eachAnswered wants an answer to every message of a request, in order and not
// streamed_response.
func eachAnswered(ctx context.Context, t *target, r request, mode string) error {
	o, err := t.settle(ctx, r)
	if err != nil {
		return err
	}
	if err := refusedMode(o, mode); err != nil {
		return err
	}
	kinds := []string{"request headers"}
	for range r.rest() {
		kinds = append(kinds, "request body")
	}
	if err := o.exactly(kinds...); err != nil {
		return err
	}
	return o.notStreamed()
}

// exactly wants answers of these kinds, and no more.
func (o *outcome) exactly(kinds ...string) error {
	if got, want := strings.Join(o.sequence, ", "), strings.Join(kinds, ", "); got != want {
		return fmt.Errorf("want %s, got %s", want, o.got())
	}
	return nil
}

func (o *outcome) notStreamed() error {
	for _, part := range o.parts {
		if _, streamed := part.GetResponse().GetBodyMutation().GetMutation().(*procv3.BodyMutation_StreamedResponse); streamed {
			return errors.New("a body answer has streamed_response")
		}
	}
	return nil
}

// trueLength wants content-length to be removed, or to be the length of the
// body that goes on.
func (o *outcome) trueLength(original, now int) error {
	for _, name := range o.removed {
		if strings.EqualFold(name, "content-length") {
			return nil
		}
	}
	declared := original
	for _, e := range o.edits {
		if strings.EqualFold(e.GetHeader().GetKey(), "content-length") {
			n, err := strconv.Atoi(valueOf(e.GetHeader()))
			if err != nil {
				return fmt.Errorf("content-length is %q", valueOf(e.GetHeader()))
			}
			declared = n
		}
	}
	if declared != now {
		return fmt.Errorf("content-length says %d, the body that goes on has %d bytes", declared, now)
	}
	return nil
}
