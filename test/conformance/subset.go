package main

import (
	"context"
	"net"
	"net/http"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"
)

// nowhere is an address that no pool holds (RFC 5737).
const nowhere = "192.0.2.1:1"

// repeats is how often a choice is asked for that could be right by chance.
const repeats = 6

// subsetChecks are about the endpoints that a gateway limits the choice to.
var subsetChecks = []check{
	{id: "subset-honoured", level: must, source: proposal, needs: needEndpoints,
		says: "The pick comes from the subset hint, whichever endpoint that names.",
		run: func(ctx context.Context, t *target) error {
			return eachSubset(ctx, t, t.strangers(), func(r request, endpoint string) request { return r.subset(endpoint) })
		}},
	{id: "subset-ports", level: must, source: proposal, needs: needPorts,
		says: "The hint tells endpoints of one IP address apart by their ports.",
		run: func(ctx context.Context, t *target) error {
			return eachSubset(ctx, t, t.neighbours(), func(r request, endpoint string) request { return r.subset(endpoint) })
		}},
	{id: "subset-mixed", level: must, source: proposal, needs: needEndpoints,
		says: "Of a hint that names strangers too, the endpoint of the pool is picked.",
		run: func(ctx context.Context, t *target) error {
			return eachSubset(ctx, t, t.strangers(), func(r request, endpoint string) request { return r.subset(nowhere, endpoint) })
		}},
	{id: "subset-bodyless", level: must, source: proposal, needs: needEndpoints,
		says: "The hint binds requests without a body too.",
		run: func(ctx context.Context, t *target) error {
			return eachSubset(ctx, t, t.strangers(), func(_ request, endpoint string) request { return get().subset(endpoint) })
		}},
	{id: "subset-with-headers-only", level: should, source: proposal, needs: needEndpoints,
		says: "A hint that comes with the request headers alone holds for the whole request.",
		run: func(ctx context.Context, t *target) error {
			return eachSubset(ctx, t, t.strangers(), func(r request, endpoint string) request {
				r.headerOnly = true
				return r.subset(endpoint)
			})
		}},
	{id: "subset-unknown", level: must, source: proposal,
		says: "A hint in which no endpoint is eligible is answered with 503.",
		run: func(ctx context.Context, t *target) error {
			return refused(ctx, t, t.chat(fullDuplex, 0).subset(nowhere), http.StatusServiceUnavailable)
		}},
	{id: "subset-empty", level: must, source: proposal,
		says: "An empty hint is answered with 503.",
		run: func(ctx context.Context, t *target) error {
			return refused(ctx, t, t.chat(fullDuplex, 0).subset(), http.StatusServiceUnavailable)
		}},
	{id: "subset-empty-bodyless", level: must, source: proposal,
		says: "An empty hint is answered with 503 for requests without a body too.",
		run: func(ctx context.Context, t *target) error {
			return refused(ctx, t, get().subset(), http.StatusServiceUnavailable)
		}},
	{id: "subset-unset", level: must, source: proposal,
		says: "Metadata of the same namespace without the key limits nothing.",
		run: func(ctx context.Context, t *target) error {
			r := t.chat(fullDuplex, 0)
			r.namespace = subsetNamespace
			r.metadata = &structpb.Struct{Fields: map[string]*structpb.Value{"another-key": structpb.NewStringValue("x")}}
			o, err := t.settle(ctx, r)
			if err != nil {
				return err
			}
			_, err = o.picked()
			return err
		}},
}

// strangers are two endpoints that share their IP addresses with no other,
// where there are such.
func (t *target) strangers() []string {
	var found []string
	for _, one := range t.endpoints {
		shared := slices.ContainsFunc(t.endpoints, func(other string) bool { return other != one && hostOf(other) == hostOf(one) })
		if !shared {
			found = append(found, one)
		}
	}
	return append(found, t.endpoints...)[:2]
}

// neighbours are two endpoints of one IP address; nil when there are none.
func (t *target) neighbours() []string {
	for i, one := range t.endpoints {
		for _, other := range t.endpoints[i+1:] {
			if hostOf(one) == hostOf(other) {
				return []string{one, other}
			}
		}
	}
	return nil
}

func hostOf(endpoint string) string {
	host, _, _ := net.SplitHostPort(endpoint) // "" where it is none, which the picker's answer shows
	return host
}

// eachSubset wants each of two endpoints to be picked where the hint leaves no
// other.
func eachSubset(ctx context.Context, t *target, endpoints []string, limit func(r request, endpoint string) request) error {
	for range repeats {
		for _, endpoint := range endpoints {
			o, err := t.settle(ctx, limit(t.chat(fullDuplex, 0), endpoint))
			if err != nil {
				return err
			}
			if err := o.pickedFrom([]string{endpoint}); err != nil {
				return err
			}
		}
	}
	return nil
}

// refused wants the picker to answer the client itself.
func refused(ctx context.Context, t *target, r request, statuses ...int) error {
	o, err := t.settle(ctx, r)
	if err != nil {
		return err
	}
	return wantStatus(o, statuses...)
}
