package router

import (
	"slices"
	"strings"

	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metadata"
)

// Header fields with which a client could route its request itself.
var (
	routingHeaders  = []string{"x-gateway-model-name-rewrite", "x-gateway-model-name", "x-selected-model", "x-ai-eg-model"}
	routingPrefixes = []string{"x-gateway-destination-endpoint", "x-vsr-", "x-semantic-epp-"}
)

// debugHeader is the one x-vsr- field that clients may send.
const debugHeader = "x-vsr-debug"

// readHeaders copies the request's header fields for plugins. Those that only
// the picker may set are dropped, and marked for removal; objective and
// fairness stay where the operator trusts them.
func (x *exchange) readHeaders() {
	x.headers = make(map[string]string, x.head.Headers.Len())
	cfg := x.rules.Config()
	for name, value := range x.head.Headers.All() {
		switch {
		case routes(name) || slices.Contains(cfg.ModelHeaders, name):
			x.remove = append(x.remove, name)
		case untrusted(name) && !slices.Contains(cfg.TrustedHeaders, name):
		default:
			x.headers[name] = value
		}
	}
	// Plugins key their state by the request's id. A client may send the same
	// one twice, so they see ours.
	x.headers["x-request-id"] = x.id
}

func routes(name string) bool {
	if !strings.HasPrefix(name, "x-") || name == debugHeader {
		return false
	}
	return slices.Contains(routingHeaders, name) ||
		slices.ContainsFunc(routingPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

func untrusted(name string) bool {
	return name == metadata.ObjectiveKey || name == metadata.FlowFairnessIDKey
}

// objectives is the priority that the request's objective names; 0 without one.
func (x *exchange) objectives() giesched.RequestObjectives {
	priority, _ := x.router.store.Priority(x.headers[metadata.ObjectiveKey])
	return giesched.RequestObjectives{Priority: priority}
}
