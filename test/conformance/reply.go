package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/protobuf/types/known/structpb"
)

// A chat reply, whole and as server-sent events.
var (
	replyBody = `{"id":"c","object":"chat.completion","model":"%s","choices":[{"index":0,"message":{"role":"assistant","content":"4"},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}`
	replyEvents = []string{
		"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"4\"}}]}\n\n",
		"data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}}\n\n",
		"data: [DONE]\n\n",
	}
	jsonHead   = []string{":status", "200", "content-type", "application/json"}
	eventsHead = []string{":status", "200", "content-type", "text/event-stream", "transfer-encoding", "chunked"}
)

// replyChecks are about what comes back from the model server.
var replyChecks = []check{
	{id: "reply-headers", level: must, source: api,
		says: "The headers of a reply get one answer.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, replyHead(false, jsonHead...), 1); err != nil {
				return err
			}
			return o.exactly("response headers")
		})},
	{id: "reply-bodyless", level: must, source: api,
		says: "A reply of headers alone gets one answer.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, replyHead(true, ":status", "204"), 1); err != nil {
				return err
			}
			if err := o.exactly("response headers"); err != nil {
				return err
			}
			return x.finish()
		})},
	{id: "reply-duplex-whole", level: must, source: api,
		says: "In FULL_DUPLEX_STREAMED, a reply goes back whole as streamed_response, with one end_of_stream, at its end.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			body := []byte(fmt.Sprintf(replyBody, t.model))
			if err := x.duplexReply(o, jsonHead, body[:50], body[50:]); err != nil {
				return err
			}
			return o.backWhole(x, body)
		})},
	{id: "reply-duplex-events", level: must, source: api,
		says: "In FULL_DUPLEX_STREAMED, server-sent events go back whole, with one end_of_stream, at their end.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			var parts [][]byte
			for _, event := range replyEvents {
				parts = append(parts, []byte(event))
			}
			if err := x.duplexReply(o, eventsHead, append(parts, nil)...); err != nil {
				return err
			}
			return o.backWhole(x, []byte(strings.Join(replyEvents, "")))
		})},
	{id: "reply-events-at-once", level: should, source: envoy,
		says: "An event goes back before the next one comes: otherwise streaming is none.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, replyHead(false, eventsHead...), 1); err != nil {
				return err
			}
			for i, event := range replyEvents {
				if err := x.replyTo(o, replyPart([]byte(event), false), i+2); err != nil {
					return err
				}
			}
			return nil
		})},
	{id: "reply-trailers", level: must, source: api,
		says: "A reply that ends by trailers goes back without end_of_stream, then the trailers are answered.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			body := []byte(fmt.Sprintf(replyBody, t.model))
			if err := x.send(replyHead(false, jsonHead...), replyPart(body, false), replyTrailers()); err != nil {
				return err
			}
			if err := x.collect(o, "the reply", func(o *outcome) bool { return o.trailers > 0 }); err != nil {
				return err
			}
			if o.ends > 0 {
				return errors.New("the body has end_of_stream, though trailers follow")
			}
			if string(o.body) != string(body) {
				return fmt.Errorf("%d of %d bytes went back", len(o.body), len(body))
			}
			return o.ordered("response headers", "response body", "response trailers")
		})},
	{id: "reply-buffered", level: must, source: api,
		says: "In BUFFERED, the headers and the body of a reply get one answer each, not streamed_response.",
		run: onReply(buffered, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, replyHead(false, jsonHead...), 1); err != nil {
				return err
			}
			if err := x.replyTo(o, replyPart([]byte(fmt.Sprintf(replyBody, t.model)), true), 2); err != nil {
				return err
			}
			if err := o.exactly("response headers", "response body"); err != nil {
				return err
			}
			if err := o.notStreamed(); err != nil {
				return err
			}
			return x.finish()
		})},
	{id: "reply-streamed", level: must, source: api,
		says: "In STREAMED, every part of a reply gets exactly one answer, not streamed_response.",
		run: onReply(streamed, func(t *target, x *exchange, o *outcome) error {
			messages := []*procv3.ProcessingRequest{replyHead(false, eventsHead...)}
			for i, event := range replyEvents {
				messages = append(messages, replyPart([]byte(event), i+1 == len(replyEvents)))
			}
			for i, m := range messages {
				if err := x.replyTo(o, m, i+1); err != nil {
					return err
				}
			}
			if err := o.exactly("response headers", "response body", "response body", "response body"); err != nil {
				return err
			}
			if err := o.notStreamed(); err != nil {
				return err
			}
			return x.finish()
		})},
	{id: "reply-none", level: must, source: api,
		says: "In NONE, the headers of a reply are answered though its body will not come.",
		run: onReply(none, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, replyHead(false, jsonHead...), 1); err != nil {
				return err
			}
			if err := o.exactly("response headers"); err != nil {
				return err
			}
			return x.finish()
		})},
	{id: "reply-no-hop-headers", level: should, source: gieIssue,
		says: "The answer does not set transfer-encoding anew, which truncates events over HTTP/2.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, replyHead(false, eventsHead...), 1); err != nil {
				return err
			}
			for _, e := range o.edits {
				if strings.EqualFold(e.GetHeader().GetKey(), "transfer-encoding") {
					return fmt.Errorf("transfer-encoding is set to %q", valueOf(e.GetHeader()))
				}
			}
			return nil
		})},
	{id: "reply-error", level: must, source: api,
		says: "A reply with an error status goes back as any other.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			body := []byte("upstream connect error or disconnect/reset before headers")
			if err := x.duplexReply(o, []string{":status", "503", "content-type", "text/plain"}, body); err != nil {
				return err
			}
			return o.backWhole(x, body)
		})},
	{id: "reply-served", level: must, source: proposal,
		says: "A reply that tells who served it (envoy.lb/x-gateway-destination-endpoint-served) is answered, be it the pick or another endpoint.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			return x.replyTo(o, servedBy(nowhere), 1)
		})},
	{id: "fixture-served", level: should, source: proposal, needs: needFixtures,
		says: "With GIE's destination-endpoint-served-verifier, the reply's x-conformance-test-served-endpoint says who served it.",
		run: onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
			if err := x.replyTo(o, servedBy(nowhere), 1); err != nil {
				return err
			}
			for _, e := range o.edits {
				if e.GetHeader().GetKey() == servedResult && valueOf(e.GetHeader()) == nowhere {
					return nil
				}
			}
			return errors.New("no answer sets " + servedResult + " to the endpoint that served")
		})},
	{id: "reply-before-request-ends", level: must, source: envoy,
		says: "A reply that the gateway makes up before the request was complete is answered.",
		run: func(ctx context.Context, t *target) error {
			x, err := t.open(ctx)
			if err != nil {
				return err
			}
			defer x.close()
			r := t.chat(fullDuplex, 0).chunks(50)
			if err := x.send(r.head(t), r.rest()[0]); err != nil {
				return err
			}
			o := &outcome{}
			if err := x.duplexReply(o, []string{":status", "408", "content-type", "text/plain"}, []byte("timeout")); err != nil {
				return err
			}
			return o.backWhole(x, []byte("timeout"))
		}},
	{id: "reply-alone", level: must, source: envoy,
		says: "A stream that begins with a reply, as one that an earlier filter made up, is answered.",
		run: func(ctx context.Context, t *target) error {
			x, err := t.open(ctx)
			if err != nil {
				return err
			}
			defer x.close()
			head := replyHead(false, ":status", "401", "content-type", "text/plain")
			head.ProtocolConfig = &procv3.ProtocolConfiguration{RequestBodyMode: fullDuplex, ResponseBodyMode: fullDuplex}
			if err := x.send(head, replyPart([]byte("who are you?"), true)); err != nil {
				return err
			}
			o := &outcome{}
			if err := x.collect(o, "the reply", func(o *outcome) bool { return o.ends > 0 }); err != nil {
				return err
			}
			return o.backWhole(x, []byte("who are you?"))
		}},
	{id: "reply-wrong-usage", level: must, source: gieIssue, turn: last,
		says: "A reply with usage of another type goes back as it is, and the picker lives on.",
		run: func(ctx context.Context, t *target) error {
			for _, usage := range []string{`"many"`, `{"prompt_tokens":"nine"}`, `[]`, `{"prompt_tokens":-1e400}`} {
				body := []byte(`{"id":"c","object":"chat.completion","choices":[],"usage":` + usage + `}`)
				check := onReply(fullDuplex, func(t *target, x *exchange, o *outcome) error {
					if err := x.duplexReply(o, jsonHead, body); err != nil {
						return err
					}
					return o.backWhole(x, body)
				})
				if err := check(ctx, t); err != nil {
					return fmt.Errorf("usage %s: %w", usage, err)
				}
			}
			return t.alive(ctx)
		}},
}

// onReply is a check of a reply: the request has been answered, o is empty.
// What the picker does with the request is other checks' matter, so that it is
// always sent in FULL_DUPLEX_STREAMED.
func onReply(mode bodyMode, judge func(t *target, x *exchange, o *outcome) error) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		r := t.chat(fullDuplex, 0)
		r.reply = mode
		x, o, err := t.ask(ctx, r)
		if err != nil {
			return err
		}
		defer x.close()
		if err := wantPassed(o); err != nil {
			return err
		}
		return judge(t, x, &outcome{})
	}
}

// replyTo sends a message of the reply and waits until there are so many
// answers to the reply.
func (x *exchange) replyTo(o *outcome, m *procv3.ProcessingRequest, answers int) error {
	if err := x.send(m); err != nil {
		return err
	}
	return x.collect(o, kindOfRequest(m), func(o *outcome) bool { return len(o.sequence) >= answers })
}

// duplexReply sends a reply whose last part has the end mark, and waits for its
// end.
func (x *exchange) duplexReply(o *outcome, head []string, parts ...[]byte) error {
	messages := []*procv3.ProcessingRequest{replyHead(false, head...)}
	for i, part := range parts {
		messages = append(messages, replyPart(part, i+1 == len(parts)))
	}
	if err := x.send(messages...); err != nil {
		return err
	}
	return x.collect(o, "the reply", func(o *outcome) bool { return o.ends > 0 })
}

// backWhole wants a reply to have gone back whole, in order, with one end.
func (o *outcome) backWhole(x *exchange, want []byte) error {
	if err := o.ordered("response headers", "response body"); err != nil {
		return err
	}
	if string(o.body) != string(want) {
		return fmt.Errorf("sent %s, went back %s", brief(want), brief(o.body))
	}
	return x.finish()
}

func brief(b []byte) string { return strconv.Quote(string(b[:min(len(b), 80)])) }

// servedBy are the headers of a reply with what a gateway tells of its origin.
func servedBy(endpoint string) *procv3.ProcessingRequest {
	r := request{namespace: lbNamespace, metadata: &structpb.Struct{Fields: map[string]*structpb.Value{
		served: structpb.NewStringValue(endpoint)}}}
	return r.message(replyHead(false, jsonHead...), true)
}
