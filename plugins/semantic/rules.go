package semantic

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"

	"semantic-epp/classifier"
	"semantic-epp/classifier/cache"
	"semantic-epp/config"
	"semantic-epp/payload"
	"semantic-epp/scheduling"
	"semantic-epp/telemetry"
)

// reserve is what is left of a decision's time for picking a replica when the
// classifier is given up: a slow classifier costs the decision, never the
// request, whatever its own timeout is.
const reserve = 20 * time.Millisecond

// Rules are a configuration, ready to decide. They never change.
type Rules struct {
	config  *config.Router
	catalog *scheduling.Catalog
	policy  *scheduling.Policy
	opened  *openedOnce
	timeout time.Duration
}

// newRules makes Rules of a valid configuration.
func newRules(ctx context.Context, cfg *config.Router, opened *openedOnce) (*Rules, error) {
	if err := checkDomains(cfg, opened.Labels); err != nil {
		return nil, err
	}
	var examples scheduling.Embedder
	if opened.Embed != nil {
		examples = func(text string) ([]float32, error) { return opened.Embed(ctx, text) }
	}
	policy, err := scheduling.Compile(cfg, examples)
	if err != nil {
		return nil, err
	}
	return &Rules{
		config:  cfg,
		catalog: scheduling.NewCatalog(cfg.Models),
		policy:  policy,
		opened:  opened,
		timeout: time.Duration(cfg.Classifier.Timeout),
	}, nil
}

// checkDomains finds the conditions that wait for a category which the
// classifier never answers.
func checkDomains(cfg *config.Router, labels []string) error {
	if len(labels) == 0 {
		return nil
	}
	var errs []error
	for at, when := range cfg.Conditions() {
		for _, domain := range when.Domain {
			if !slices.Contains(labels, domain) {
				errs = append(errs, fmt.Errorf("%s.domain: the classifier knows no %q; it knows %s", at, domain, strings.Join(labels, ", ")))
			}
		}
	}
	return errors.Join(errs...)
}

// Config is the configuration. It must not be changed.
func (r *Rules) Config() *config.Router { return r.config }

// Catalog knows which endpoints serve which model.
func (r *Rules) Catalog() *scheduling.Catalog { return r.catalog }

// Auto says whether a model name asks for a decision.
func (r *Rules) Auto(model string) bool { return slices.Contains(r.config.AutoModels, model) }

// A Prompt is what rules know of a request.
type Prompt struct {
	RequestID string // for the log
	// Text is the prompt as far as rules read it.
	Text  string
	Shape scheduling.Shape
	// Header and Metadata look fields of the request up; they may be nil.
	Header, Metadata func(name string) (string, bool)
}

// maxText is how much of a prompt rules and classifiers read, in bytes: head and
// tail of a longer one.
const maxText = 16 << 10

// PromptOf is what rules know of a request. Header may be nil.
func PromptOf(requestID string, request *payload.Request, header func(name string) (string, bool)) Prompt {
	return Prompt{
		RequestID: requestID,
		Text:      request.Prompt(maxText),
		Shape: scheduling.Shape{
			Messages:    request.Shape.Messages,
			Turns:       request.Shape.UserTurns,
			Tools:       request.Shape.Tools,
			ToolResults: request.Shape.ToolResults,
			Images:      request.Shape.Images,
			Stream:      request.Stream,
			TextBytes:   request.Shape.TextBytes,
		},
		Header:   header,
		Metadata: request.Metadata,
	}
}

// header is a field that the operator trusts, "" where there is none.
func (p *Prompt) header(name string) string {
	if name == "" || p.Header == nil {
		return ""
	}
	value, _ := p.Header(name)
	return value
}

// signals are those of a prompt.
func (r *Rules) signals(p Prompt) scheduling.Signals {
	return scheduling.Signals{
		Text:     p.Text,
		Shape:    p.Shape,
		Header:   p.Header,
		Metadata: p.Metadata,
		Now:      time.Now(),
		Sticky:   p.header(r.config.Sticky.Header),
	}
}

// Decide classifies the text, if a rule needs it, and returns the models that
// may answer. It never fails: what goes wrong is the decision's reason.
func (r *Rules) Decide(ctx context.Context, p Prompt) scheduling.Decision {
	if tenant := p.header(r.config.Classifier.Cache.TenantHeader); tenant != "" {
		ctx = cache.WithTenant(ctx, tenant)
	}
	s := r.signals(p)
	s.Domain = func() scheduling.Domain { return r.classify(ctx, p.RequestID, p.Text) }
	s.Embed = func() ([]float32, error) { return r.embed(ctx, p.Text) }
	return r.policy.Decide(s)
}

// within bounds the time of a model by its own timeout and by what the
// decision has left.
func (r *Rules) within(ctx context.Context) (context.Context, context.CancelFunc) {
	timeout := r.timeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)-reserve)
	}
	return context.WithTimeout(ctx, timeout)
}

// embed says what a prompt means, nil where there is nothing to go by.
func (r *Rules) embed(ctx context.Context, text string) ([]float32, error) {
	if text == "" || r.opened.Embed == nil {
		return nil, nil
	}
	ctx, cancel := r.within(ctx)
	defer cancel()
	return r.opened.Embed(ctx, text)
}

func (r *Rules) classify(ctx context.Context, requestID, text string) scheduling.Domain {
	if text == "" || r.opened.Classifier == nil {
		return scheduling.Domain{} // nothing to go by: images, token ids
	}
	start := time.Now()
	ctx, cancel := r.within(ctx)
	defer cancel()
	result, err := r.opened.Classifier.Classify(ctx, text)
	outcome, domain := "ok", domainOf(result)
	switch {
	case err == nil:
	case errors.Is(err, classifier.ErrNoMatch):
		outcome, domain = "no_match", scheduling.Domain{}
	case errors.Is(err, classifier.ErrOverloaded):
		outcome, domain = "overloaded", scheduling.Domain{Problem: scheduling.Overloaded}
	case errors.Is(err, context.DeadlineExceeded):
		outcome, domain = "timeout", scheduling.Domain{Problem: scheduling.Timeout}
	default:
		outcome, domain = "error", scheduling.Domain{Problem: scheduling.Failed}
		if ctx.Err() == nil { // the client is still there: it is the classifier
			log.FromContext(ctx).Error(err, "classifier is broken; using the default model", "requestId", requestID)
		}
	}
	telemetry.Classified(outcome, time.Since(start))
	return domain
}

func domainOf(r classifier.Result) scheduling.Domain {
	return scheduling.Domain{Category: r.Category, Confidence: r.Confidence, Margin: r.Margin, Probabilities: r.Probabilities}
}

// Classify asks the classifier, whatever the rules are; without one it is
// classifier.ErrNoMatch.
func (r *Rules) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if r.opened.Classifier == nil {
		return classifier.Result{}, classifier.ErrNoMatch
	}
	return r.opened.Classifier.Classify(ctx, text)
}

// ClassifierInfo describes the classifier; the zero Info means that there is
// none, or that it does not tell.
func (r *Rules) ClassifierInfo() classifier.Info {
	if m, ok := r.opened.Classifier.(interface{ Info() classifier.Info }); ok {
		return m.Info()
	}
	return classifier.Info{}
}

// An Explanation is a decision with what led to it.
type Explanation struct {
	Decision scheduling.Decision
	// Rules say what became of each rule, in the order in which they are tried.
	Rules []scheduling.RuleTrace
	// Result is the whole classification. Err is why there is none:
	// classifier.ErrNoMatch, or what broke; nil without a classifier.
	Result classifier.Result
	Err    error
}

// Explain decides as Decide does for an auto name, but classifies in any case
// and waits as long as ctx lets it.
func (r *Rules) Explain(ctx context.Context, p Prompt) Explanation {
	e := Explanation{Err: classifier.ErrNoMatch}
	if r.opened.Classifier != nil && p.Text != "" {
		e.Result, e.Err = r.opened.Classifier.Classify(ctx, p.Text)
	}
	domain := domainOf(e.Result)
	switch {
	case errors.Is(e.Err, classifier.ErrNoMatch):
		domain = scheduling.Domain{}
	case e.Err != nil:
		domain = scheduling.Domain{Problem: scheduling.Failed}
	}
	s := r.signals(p)
	s.Domain = func() scheduling.Domain { return domain }
	s.Embed = func() ([]float32, error) {
		if p.Text == "" || r.opened.Embed == nil {
			return nil, nil
		}
		return r.opened.Embed(ctx, p.Text)
	}
	trace := r.policy.Explain(s)
	e.Decision, e.Rules = trace.Decision, trace.Rules
	return e
}
