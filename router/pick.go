package router

import (
	"cmp"
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/log"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"
	attrprefix "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/attribute/prefix"

	"semantic-epp/endpoints"
	"semantic-epp/payload"
	"semantic-epp/plugins/parser"
	"semantic-epp/plugins/semantic"
	"semantic-epp/scheduling"
)

// maxScored is how many endpoints go on to the scorers: beyond, only those that
// hold the prompt's prefix and the least loaded do.
const maxScored = 32

// llmRequest is GIE's view of the request.
func (x *exchange) llmRequest(ctx context.Context, request *payload.Request, body []byte) (*giesched.LLMRequest, error) {
	view := parser.BodyOf(request, body)
	if x.router.parser != nil {
		parsed, err := x.router.parser.ParseRequest(ctx, body, x.headers)
		if err != nil {
			return nil, &payload.Error{Status: http.StatusBadRequest, Message: "The configured parser cannot read the request."}
		}
		parsed.Payload = giesched.RawPayload(body)
		view = parsed
	}
	return &giesched.LLMRequest{
		RequestId:        x.id,
		TargetModel:      x.choice.Best(),
		Body:             view,
		Headers:          x.headers,
		Objectives:       x.objectives(),
		RequestSizeBytes: len(body),
	}, nil
}

// pick takes GIE's steps from candidates to a picked endpoint, on the endpoints
// of the decided models alone.
func (x *exchange) pick(ctx context.Context, llm *giesched.LLMRequest) error {
	choice, candidates := x.candidates(ctx)
	best := choice.Eligible[0].Model
	if len(candidates) == 0 {
		if x.rules.Catalog().External(best) {
			x.served(best)
			return nil
		}
		return unavailable("No replica of the model `" + best + "` is known. Retry later.")
	}
	llm.TargetModel = best
	views := endpoints.Views(candidates, semantic.ChoiceKey, choice)
	eps := make([]giesched.Endpoint, len(views))
	for i := range views {
		eps[i] = &views[i]
	}
	if llm.Objectives.Priority < 0 && x.saturated(ctx, views) {
		return tooMany("All replicas of the model `" + best + "` are saturated, and the request's objective may be shed. Retry later.")
	}
	for _, p := range x.router.producers {
		if err := p.PrepareRequestData(ctx, llm, eps); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			log.FromContext(ctx).Error(err, "data producer has no data for this request", "plugin", p.TypedName().String(), "requestId", x.id)
		}
	}
	if len(eps) > maxScored {
		eps = promising(eps)
	}
	for _, p := range x.router.admitters {
		if err := p.AdmitRequest(ctx, llm, eps); err != nil {
			log.FromContext(ctx).V(2).Info("request was not admitted", "plugin", p.TypedName().String(), "requestId", x.id)
			return tooMany("The request was not admitted. Retry later.")
		}
	}
	result, err := x.router.scheduler.Schedule(ctx, llm, eps)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil || result == nil || result.ProfileResults[result.PrimaryProfileName] == nil ||
		len(result.ProfileResults[result.PrimaryProfileName].TargetEndpoints) == 0 {
		return unavailable("No replica of the model `" + best + "` can take the request. Retry later.")
	}
	x.commit(ctx, llm, result, choice)
	return nil
}

// commit binds the request to the endpoint that was picked.
func (x *exchange) commit(ctx context.Context, llm *giesched.LLMRequest, result *giesched.SchedulingResult, choice *semantic.Choice) {
	target := result.ProfileResults[result.PrimaryProfileName].TargetEndpoints[0]
	model, ok := choice.ModelFor(target)
	if !ok {
		model = choice.Eligible[0]
	}
	x.served(model.Model)
	meta := target.GetMetadata()
	x.picked = &pick{request: llm, endpoint: target, address: net.JoinHostPort(meta.Address, meta.Port)}
	if load := endpoints.LoadIn(target); load != nil {
		x.ticket = load.Begin(target.GetMetrics())
	}
	for _, p := range x.router.preRequest {
		p.PreRequest(ctx, llm, result)
	}
}

// served notes the model that the request goes to.
func (x *exchange) served(model string) {
	x.model = model
	if model != x.choice.Best() {
		x.choice.Reason = scheduling.Spilled
	}
}

// candidates are the endpoints of the best model that has any. With spill-over
// allowed, those of the next models join as long as all so far are saturated.
func (x *exchange) candidates(ctx context.Context) (*semantic.Choice, []*endpoints.Endpoint) {
	catalog := x.rules.Catalog()
	models := x.router.models(x.rules)
	choice := &semantic.Choice{Decision: x.choice, Catalog: catalog, Eligible: x.choice.Models[:1]}
	var found []*endpoints.Endpoint
	for i, m := range x.choice.Models {
		if catalog.External(m.Model) {
			if len(found) == 0 {
				choice.Eligible = x.choice.Models[i : i+1]
				return choice, nil
			}
			continue
		}
		eps := models.endpoints(m.Model, catalog)
		if x.router.cluster != nil {
			eps = inside(eps, x.router.cluster.PoolsOf(m.Model))
		}
		eps = up(within(eps, x.head.Subset))
		if len(eps) == 0 {
			continue
		}
		if len(found) == 0 {
			choice.Eligible = x.choice.Models[i : i+1]
			found = eps
		} else {
			first := slices.Index(x.choice.Models, choice.Eligible[0])
			choice.Eligible = x.choice.Models[first : i+1]
			found = union(found, eps)
		}
		if !x.rules.Config().SpillOver || !x.allFull(ctx, endpoints.Views(found, semantic.ChoiceKey, choice)) {
			break
		}
	}
	return choice, found
}

func union(a, b []*endpoints.Endpoint) []*endpoints.Endpoint {
	all := slices.Clone(a)
	for _, ep := range b {
		if !slices.Contains(a, ep) {
			all = append(all, ep)
		}
	}
	return all
}

// saturated asks the detector about endpoints, requests on their way included.
func (x *exchange) saturated(ctx context.Context, views []endpoints.View) bool {
	eps := make([]fwkdl.Endpoint, len(views))
	for i := range views {
		eps[i] = &views[i]
	}
	return x.router.saturation.Saturation(ctx, eps) >= 1
}

// allFull says whether each single endpoint is saturated. The detector's
// average over all would also spill over from a model with an idle replica.
func (x *exchange) allFull(ctx context.Context, views []endpoints.View) bool {
	for i := range views {
		if !x.saturated(ctx, views[i:i+1]) {
			return false
		}
	}
	return true
}

// promising keeps the endpoints that have a chance: half of the places go to
// those that hold most of the prompt's prefix, the others to the least loaded.
func promising(eps []giesched.Endpoint) []giesched.Endpoint {
	type candidate struct {
		index, matched, waiting, running int
		kvUsage                          float64
	}
	candidates := make([]candidate, len(eps))
	// From a random place on: of endpoints that are alike, not always the same go on.
	first := rand.IntN(len(eps))
	for n := range eps {
		i := (first + n) % len(eps)
		ep := eps[i]
		m := ep.GetMetrics()
		candidates[n] = candidate{i, matched(ep), m.WaitingQueueSize, m.RunningRequestsSize, m.KVCacheUsagePercent}
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return b.matched - a.matched })
	n := 0
	for n < maxScored/2 && candidates[n].matched > 0 {
		n++
	}
	slices.SortFunc(candidates[n:], func(a, b candidate) int {
		switch {
		case a.waiting != b.waiting:
			return a.waiting - b.waiting
		case a.kvUsage != b.kvUsage:
			return cmp.Compare(a.kvUsage, b.kvUsage)
		}
		return a.running - b.running
	})
	kept := make([]giesched.Endpoint, maxScored)
	for i := range kept {
		kept[i] = eps[candidates[i].index]
	}
	return kept
}

// matched is how many leading blocks of the prompt an endpoint holds.
func matched(ep giesched.Endpoint) int {
	v, ok := ep.Get(attrprefix.PrefixCacheMatchInfoKey)
	if !ok {
		return 0
	}
	info, ok := v.(*attrprefix.PrefixCacheMatchInfo)
	if !ok {
		return 0
	}
	return info.MatchBlocks()
}

func unavailable(message string) *payload.Error {
	return &payload.Error{Status: http.StatusServiceUnavailable, Code: "no_replica", Message: message}
}

func tooMany(message string) *payload.Error {
	return &payload.Error{Status: http.StatusTooManyRequests, Code: "saturated", Message: message}
}
