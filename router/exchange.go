package router

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requestcontrol"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metadata"

	"semantic-epp/endpoints"
	"semantic-epp/extproc"
	"semantic-epp/payload"
	"semantic-epp/plugins/semantic"
	"semantic-epp/scheduling"
	"semantic-epp/telemetry"
)

// An exchange is one request and its reply.
type exchange struct {
	router  *Router
	rules   *semantic.Rules // the same from the request's beginning to its end
	head    *extproc.RequestHead
	headers map[string]string // without what clients must not say
	remove  []string
	api     payload.API
	id      string
	start   time.Time

	// Known once the request is decided.
	incoming string // the client's model name, as a bounded label
	choice   scheduling.Decision
	model    string // the model that serves, "" while none was chosen
	size     int
	ticket   endpoints.Ticket // at the picked endpoint
	picked   *pick
	running  bool

	// Known once the reply began.
	status       int
	replyHeaders map[string]string
	usage        *payload.UsageReader
	replySize    int
}

// A pick is the endpoint that was picked, with what the response hooks need.
type pick struct {
	request  *giesched.LLMRequest
	endpoint giesched.Endpoint
	address  string
}

func newExchange(r *Router, head *extproc.RequestHead) *exchange {
	x := &exchange{
		router:   r,
		rules:    r.semantic.Rules(),
		head:     head,
		api:      payload.APIOf(head.Method, head.Path),
		id:       r.requestID(),
		start:    time.Now(),
		incoming: telemetry.Unknown,
	}
	x.readHeaders()
	return x
}

// Request decides about the request.
func (x *exchange) Request(ctx context.Context, body []byte) (extproc.Verdict, error) {
	decided := time.Now()
	x.size = len(body)
	verdict, err := x.decide(ctx, body)
	took := time.Since(decided)
	telemetry.Verdict(took)
	if err != nil {
		x.refused(err)
		return extproc.Verdict{}, err
	}
	x.log(took)
	return verdict, nil
}

func (x *exchange) decide(ctx context.Context, body []byte) (extproc.Verdict, error) {
	switch x.api {
	case payload.ModelList:
		return x.modelList(), nil
	case payload.Other:
		return x.otherPath(ctx, body)
	}
	request, err := payload.Parse(x.api, body)
	if err != nil {
		return extproc.Verdict{}, err
	}
	model := x.asked(request.Model)
	auto := x.rules.Auto(model)
	if !auto && !x.known(model) {
		return x.unknownModel(request)
	}
	x.incoming = model
	x.choice = scheduling.For(model)
	if auto {
		x.choice = x.rules.Decide(ctx, semantic.PromptOf(x.id, request, x.header))
	}
	if x.choice.Denied {
		return extproc.Verdict{}, x.denied()
	}
	if a := x.choice.Action; a != nil && a.Respond != nil {
		return x.respond(request, a.Respond)
	}
	llm, err := x.llmRequest(ctx, request, body)
	if err != nil {
		return extproc.Verdict{}, err
	}
	if err := x.pick(ctx, llm); err != nil {
		return extproc.Verdict{}, err
	}
	verdict := x.verdict()
	if verdict.Body, err = x.edited(request); err != nil {
		return extproc.Verdict{}, err
	}
	x.admitted()
	return verdict, nil
}

// asked is the model that the client asked for, after the rewrites that
// Kubernetes knows.
func (x *exchange) asked(model string) string {
	if x.router.cluster != nil {
		if target, _, ok := x.router.cluster.Rewrite(model); ok {
			return target
		}
	}
	return model
}

// known says whether the configuration or an endpoint knows a model.
func (x *exchange) known(model string) bool {
	models, catalog := x.router.models(x.rules), x.rules.Catalog()
	return catalog.Known(model) || len(models.endpoints(model, catalog)) > 0
}

// unknownModel refuses a model that nobody knows, or lets the request pass to
// a gateway that may know more.
func (x *exchange) unknownModel(request *payload.Request) (extproc.Verdict, error) {
	if x.rules.Config().UnknownModel == "pass" {
		x.choice = scheduling.For(telemetry.Unknown)
		telemetry.Decided(telemetry.Unknown, "", string(scheduling.Explicit))
		return extproc.Verdict{HeaderEdits: extproc.HeaderEdits{Remove: x.remove}}, nil
	}
	return extproc.Verdict{}, &payload.Error{
		Status:  http.StatusNotFound,
		Code:    "model_not_found",
		Param:   "model",
		Message: "The model `" + request.Model + "` does not exist. GET /v1/models lists the models.",
	}
}

// otherPath serves a path that is not read from the declared default's
// endpoints, untouched.
func (x *exchange) otherPath(ctx context.Context, body []byte) (extproc.Verdict, error) {
	x.choice = scheduling.For(x.rules.Config().OtherPaths)
	x.choice.Reason = scheduling.Default
	llm := &giesched.LLMRequest{
		RequestId:        x.id,
		Headers:          x.headers,
		Objectives:       x.objectives(),
		RequestSizeBytes: len(body),
		Body:             &giesched.LLMRequestBody{Payload: giesched.RawPayload(body)},
	}
	if err := x.pick(ctx, llm); err != nil {
		return extproc.Verdict{}, err
	}
	x.admitted()
	return x.verdict(), nil
}

// modelList answers with every model that a client may name.
func (x *exchange) modelList() extproc.Verdict {
	created := x.router.started.Unix()
	catalog := x.rules.Catalog()
	var entries []payload.ModelEntry
	for _, name := range x.rules.Config().AutoModels {
		entries = append(entries, payload.ModelEntry{ID: name, Created: created, OwnedBy: "semantic-epp", Root: name})
	}
	for _, name := range x.router.models(x.rules).names {
		entries = append(entries, payload.ModelEntry{ID: name, Created: created, OwnedBy: "semantic-epp", Root: name, Parent: catalog.Base(name)})
	}
	return extproc.Verdict{Reply: &extproc.Reply{
		Status: http.StatusOK,
		Set:    []extproc.Header{{Name: "content-type", Value: "application/json"}},
		Body:   payload.ModelListBody(entries),
	}}
}

// verdict writes the pick for the gateway.
func (x *exchange) verdict() extproc.Verdict {
	v := extproc.Verdict{ClearRouteCache: true}
	v.Remove = x.remove
	for _, name := range x.rules.Config().ModelHeaders {
		v.Set = append(v.Set, extproc.Header{Name: name, Value: x.model})
	}
	if x.picked != nil {
		v.Set = append(v.Set, extproc.Header{Name: metadata.DestinationEndpointKey, Value: x.picked.address})
		v.Metadata = []extproc.Metadata{{
			Namespace: metadata.DestinationEndpointNamespace,
			Key:       metadata.DestinationEndpointKey,
			Value:     x.picked.address,
		}}
	}
	if a := x.choice.Action; a != nil && a.Headers != nil {
		v.Remove = append(slices.Clone(v.Remove), a.Headers.Remove...)
		for _, name := range slices.Sorted(maps.Keys(a.Headers.Set)) {
			v.Set = append(v.Set, extproc.Header{Name: name, Value: a.Headers.Set[name]})
		}
	}
	// What is set needs no removing: the order of the two differs by gateway.
	v.Remove = slices.DeleteFunc(slices.Clone(v.Remove), func(name string) bool {
		return slices.ContainsFunc(v.Set, func(h extproc.Header) bool { return h.Name == name })
	})
	return v
}

// ResponseHeaders tells the client how the choice was made.
func (x *exchange) ResponseHeaders(ctx context.Context, head *extproc.ResponseHead) extproc.HeaderEdits {
	x.status = head.Status
	x.checkServed(head)
	if x.model == "" {
		return extproc.HeaderEdits{}
	}
	x.usage = payload.NewUsageReader(x.api, head.Headers.Get("content-type"), head.Headers.Get("content-encoding"))
	x.responseHeaderHooks(ctx, head)
	set := []extproc.Header{
		{Name: "x-semantic-epp-reason", Value: string(x.choice.Reason)},
		{Name: "x-vsr-selected-model", Value: x.model},
		{Name: "x-vsr-selected-reasoning", Value: onOff(x.reasons())},
	}
	if a := x.choice.Action; a != nil && a.SystemPrompt != nil && x.api.TakesInstructions() {
		set = append(set, extproc.Header{Name: "x-vsr-injected-system-prompt", Value: "true"})
	}
	if x.choice.Rule != "" {
		set = append(set, extproc.Header{Name: "x-vsr-selected-decision", Value: x.choice.Rule})
	}
	if d := x.choice.Domain; d.Category != "" {
		set = append(set,
			extproc.Header{Name: "x-vsr-selected-category", Value: d.Category},
			extproc.Header{Name: "x-vsr-selected-confidence", Value: strconv.FormatFloat(d.Confidence, 'f', 4, 64)})
	}
	return extproc.HeaderEdits{Set: set}
}

// checkServed compares the endpoint that answered, where the gateway tells it,
// with the one that was picked.
func (x *exchange) checkServed(head *extproc.ResponseHead) {
	if x.router.cluster == nil || x.picked == nil {
		return
	}
	if served := head.Headers.Get(metadata.DestinationEndpointServedKey); endpoints.ServedElsewhere(x.picked.address, served) {
		for _, ep := range x.router.store.Snapshot().Endpoints {
			if ep.Address == x.picked.address {
				x.router.cluster.CountElsewhere(ep)
			}
		}
	}
}

// ResponseBody reads the usage in passing.
func (x *exchange) ResponseBody(ctx context.Context, part []byte) {
	x.replySize += len(part)
	if x.usage != nil {
		x.usage.Write(part)
	}
	x.responseBodyHooks(ctx, false)
}

// End gives back what the request held and counts it.
func (x *exchange) End(outcome extproc.Outcome) {
	x.ticket.End()
	x.responseBodyHooks(context.Background(), true)
	x.ended(outcome)
}

func (x *exchange) responseHeaderHooks(ctx context.Context, head *extproc.ResponseHead) {
	if len(x.router.onHeaders) == 0 || x.picked == nil {
		return
	}
	x.replyHeaders = make(map[string]string, head.Headers.Len())
	for name, value := range head.Headers.All() {
		x.replyHeaders[name] = value
	}
	response := &requestcontrol.Response{RequestId: x.id, Headers: x.replyHeaders}
	for _, p := range x.router.onHeaders {
		p.ResponseHeader(ctx, x.picked.request, response, x.picked.endpoint.GetMetadata())
	}
}

func (x *exchange) responseBodyHooks(ctx context.Context, end bool) {
	if len(x.router.onBody) == 0 || x.picked == nil {
		return
	}
	response := &requestcontrol.Response{RequestId: x.id, Headers: x.replyHeaders, EndOfStream: end}
	if end && x.usage != nil {
		if u, ok := x.usage.Usage(); ok {
			response.Usage = usageOf(u)
		}
	}
	for _, p := range x.router.onBody {
		p.ResponseBody(ctx, x.picked.request, response, x.picked.endpoint.GetMetadata())
	}
}
