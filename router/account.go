package router

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	errcommon "sigs.k8s.io/gateway-api-inference-extension/pkg/common/error"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requestcontrol"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/metrics"

	"semantic-epp/extproc"
	"semantic-epp/payload"
	"semantic-epp/plugins/parser"
	"semantic-epp/telemetry"
)

// decisionLevel is the verbosity at which each request is one log line, as
// GIE's default.
const decisionLevel = 2

// admitted counts a request that goes to a model. GIE's server recorded its
// metrics; we stand in its place, so we do.
func (x *exchange) admitted() {
	telemetry.Decided(x.model, x.choice.Rule, string(x.choice.Reason))
	metrics.RecordRequestCounter(x.incoming, x.model, x.objectives().Priority)
	metrics.RecordRequestSizes(x.incoming, x.model, x.size)
	metrics.IncRunningRequests(x.incoming)
	x.running = true
}

// refused counts a request that the picker answers with an error.
func (x *exchange) refused(err error) {
	status := http.StatusInternalServerError
	var refusal *payload.Error
	switch {
	case errors.As(err, &refusal):
		status = refusal.Status
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		status = http.StatusServiceUnavailable
	}
	telemetry.Refused(strconv.Itoa(status))
	metrics.RecordRequestErrCounter(x.incoming, x.model, gieCode(status))
}

// gieCode is GIE's name for an HTTP status.
func gieCode(status int) string {
	switch status {
	case http.StatusBadRequest:
		return errcommon.BadRequest
	case http.StatusForbidden:
		return errcommon.Forbidden
	case http.StatusNotFound:
		return errcommon.NotFound
	case http.StatusTooManyRequests:
		return errcommon.ResourceExhausted
	case http.StatusServiceUnavailable:
		return errcommon.ServiceUnavailable
	}
	return errcommon.Internal
}

// ended counts the end of a request that went to a model.
func (x *exchange) ended(outcome extproc.Outcome) {
	if !x.running {
		return
	}
	metrics.DecRunningRequests(x.incoming)
	switch outcome {
	case extproc.Unobserved:
		telemetry.Unobserved()
		return
	case extproc.Aborted:
		metrics.RecordRequestErrCounter(x.incoming, x.model, errcommon.Unknown)
		return
	case extproc.Completed:
	default:
		return
	}
	if x.status >= http.StatusBadRequest {
		metrics.RecordRequestErrCounter(x.incoming, x.model, errcommon.ModelServerError)
		return
	}
	ctx, now := context.Background(), time.Now()
	metrics.RecordRequestLatencies(ctx, x.incoming, x.model, x.start, now)
	metrics.RecordResponseSizes(x.incoming, x.model, x.replySize)
	if x.usage == nil {
		return
	}
	u, ok := x.usage.Usage()
	if !ok {
		return
	}
	metrics.RecordInputTokens(x.incoming, x.model, int(u.PromptTokens))
	metrics.RecordOutputTokens(x.incoming, x.model, int(u.CompletionTokens))
	metrics.RecordPromptCachedTokens(x.incoming, x.model, int(u.CachedTokens))
	metrics.RecordNormalizedTimePerOutputToken(ctx, x.incoming, x.model, x.start, now, int(u.CompletionTokens))
}

// log writes the one line of a decided request. It holds no text of the
// client's: names are those of the configuration or of endpoints.
func (x *exchange) log(took time.Duration) {
	logger := x.router.logger.V(decisionLevel)
	if !logger.Enabled() || x.api == payload.ModelList {
		return
	}
	address := ""
	if x.picked != nil {
		address = x.picked.endpoint.GetMetadata().NamespacedName.Name + " " + x.picked.address
	}
	logger.Info("decision",
		"requestId", x.id, "api", x.api.String(), "requestedModel", x.incoming,
		"category", x.choice.Domain.Category, "confidence", x.choice.Domain.Confidence,
		"model", x.model, "rule", x.choice.Rule, "reason", string(x.choice.Reason),
		"endpoint", address, "durationMs", float64(took.Microseconds())/1000)
}

func usageOf(u payload.Usage) requestcontrol.Usage { return *parser.UsageOf(u) }
