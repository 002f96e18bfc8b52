package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// destinationChecks are about the answer that makes a picker a picker.
var destinationChecks = []check{
	{id: "destination-header", level: must, source: proposal,
		says: "The answer to a request sets the header x-gateway-destination-endpoint.",
		run: onPick(func(_ *target, o *outcome) error {
			_, err := o.destinationHeader()
			return err
		})},
	{id: "destination-metadata", level: must, source: proposal,
		says: "The same answer sets x-gateway-destination-endpoint in the dynamic metadata of envoy.lb.",
		run: onPick(func(_ *target, o *outcome) error {
			if o.metadata[destination] == "" {
				return errors.New("dynamic_metadata has no envoy.lb/" + destination)
			}
			return nil
		})},
	{id: "destination-agrees", level: must, source: proposal,
		says: "Header and metadata do not name different endpoints.",
		run: onPick(func(_ *target, o *outcome) error {
			header, _ := o.destinationHeader()
			if metadata := o.metadata[destination]; header != "" && metadata != "" && header != metadata {
				return fmt.Errorf("the header says %q, the metadata %q", header, metadata)
			}
			return nil
		})},
	{id: "destination-format", level: must, source: proposal,
		says: "The value is ip:port, or several of them with commas between.",
		run: onPick(func(_ *target, o *outcome) error {
			_, err := o.picked()
			return err
		})},
	{id: "destination-single", level: should, source: gateway,
		says: "The value is one ip:port: AgentGateway and Envoy AI Gateway answer 503 to a list.",
		run: onPick(func(_ *target, o *outcome) error {
			if list, err := o.picked(); err != nil || len(list) != 1 {
				return fmt.Errorf("got %q, %w", list, err)
			}
			return nil
		})},
	{id: "destination-in-pool", level: must, source: proposal, needs: needEndpoints,
		says: "Every endpoint named belongs to the pool.",
		run: onPick(func(t *target, o *outcome) error {
			return o.pickedFrom(t.endpoints)
		})},
	{id: "destination-bodyless", level: must, source: proposal,
		says: "A request without a body gets a destination too.",
		run: func(ctx context.Context, t *target) error {
			o, err := t.settle(ctx, get())
			if err != nil {
				return err
			}
			_, err = o.picked()
			return err
		}},
	{id: "destination-not-the-clients", level: must, source: proposal,
		says: "A destination that the client sends is overwritten, not added to and not obeyed.",
		run: func(ctx context.Context, t *target) error {
			const forged = "192.0.2.1:1"
			o, err := t.settle(ctx, t.chat(fullDuplex, 0).with(destination, forged))
			if err != nil {
				return err
			}
			list, err := o.picked()
			if err != nil {
				return err
			}
			if slices.Contains(list, forged) {
				return fmt.Errorf("the client's %s was picked", forged)
			}
			return o.eachDestination(func(e *corev3.HeaderValueOption) error {
				// In ext_proc, a gateway replaces the value where neither append nor
				// append_action says otherwise.
				//lint:ignore SA1019 a picker may still set the deprecated field, and gateways still read it
				appends := e.GetAppend().GetValue()
				if action := e.GetAppendAction(); appends || action == corev3.HeaderValueOption_ADD_IF_ABSENT || action == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS {
					return fmt.Errorf("the header is set with append %v, append_action %v, which does not set it whether the client did or not", appends, action)
				}
				return nil
			})
		}},
	{id: "destination-header-once", level: must, source: proposal,
		says: "An answer sets the destination header once.",
		run: onPick(func(_ *target, o *outcome) error {
			n := 0
			_ = o.eachDestination(func(*corev3.HeaderValueOption) error { n++; return nil })
			if n > 1 {
				return fmt.Errorf("it is set %d times", n)
			}
			return nil
		})},
	{id: "header-one-value", level: must, source: api,
		says: "A header that is set has value or raw_value, never both.",
		run: onPick(func(_ *target, o *outcome) error {
			for _, e := range o.edits {
				if h := e.GetHeader(); h.GetValue() != "" && len(h.GetRawValue()) > 0 {
					return fmt.Errorf("header %s has both", h.GetKey())
				}
			}
			return nil
		})},
	{id: "headers-in-value", level: should, source: gateway,
		says: "Header fields are read from value as well, and pseudo header fields wherever they stand: AgentGateway puts them last.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.pseudoLast = true
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			_, err = o.picked()
			return err
		}},
	{id: "fixture-selection", level: should, source: proposal, needs: needFixtures | needEndpoints,
		says: "With GIE's header-based-testing-filter, test-epp-endpoint-selection names the endpoint.",
		run: func(ctx context.Context, t *target) error {
			for _, endpoint := range t.endpoints {
				chosen := *t
				chosen.headers = []string{selectionHeader, endpoint}
				o, err := chosen.settle(ctx, chosen.chat(fullDuplex, 0))
				if err != nil {
					return err
				}
				if err := o.pickedFrom([]string{endpoint}); err != nil {
					return err
				}
			}
			return nil
		}},
}

// onPick is a check of the answers to an ordinary request in
// FULL_DUPLEX_STREAMED mode.
func onPick(judge func(*target, *outcome) error) func(context.Context, *target) error {
	return func(ctx context.Context, t *target) error {
		x, o, err := t.ask(ctx, t.chat(fullDuplex, 0))
		if err != nil {
			return err
		}
		defer x.close()
		if err := wantPassed(o); err != nil {
			return err
		}
		return judge(t, o)
	}
}

// eachDestination calls f with every setting of the destination header.
func (o *outcome) eachDestination(f func(*corev3.HeaderValueOption) error) error {
	for _, e := range o.edits {
		if strings.EqualFold(e.GetHeader().GetKey(), destination) {
			if err := f(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// destinationHeader is the header's value.
func (o *outcome) destinationHeader() (value string, err error) {
	_ = o.eachDestination(func(e *corev3.HeaderValueOption) error {
		value = valueOf(e.GetHeader())
		return nil
	})
	if value == "" {
		return "", errors.New("no answer sets the header " + destination + "; got " + o.got())
	}
	return value, nil
}

// picked are the endpoints that the answers name.
func (o *outcome) picked() ([]string, error) {
	if err := wantPassed(o); err != nil {
		return nil, err
	}
	value := o.metadata[destination]
	if header, err := o.destinationHeader(); err == nil {
		value = header
	} else if value == "" {
		return nil, err
	}
	list := strings.Split(value, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
		if _, err := netip.ParseAddrPort(list[i]); err != nil {
			return nil, fmt.Errorf("destination %q is not ip:port: %w", value, err)
		}
	}
	return list, nil
}

// pickedFrom wants all endpoints that the answers name to be among allowed.
func (o *outcome) pickedFrom(allowed []string) error {
	list, err := o.picked()
	if err != nil {
		return err
	}
	for _, endpoint := range list {
		if !slices.Contains(allowed, endpoint) {
			return fmt.Errorf("picked %s, which is not among %v", endpoint, allowed)
		}
	}
	return nil
}

func valueOf(h *corev3.HeaderValue) string {
	if raw := h.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return h.GetValue()
}
