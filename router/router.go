package router

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/flowcontrol"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requestcontrol"
	requesthandling "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requesthandling"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/endpoints"
	"semantic-epp/extproc"
	"semantic-epp/plugins/parser"
	"semantic-epp/plugins/semantic"
)

// A Scheduler picks endpoints: GIE's scheduling.Scheduler.
type Scheduler interface {
	Schedule(ctx context.Context, request *giesched.LLMRequest, candidates []giesched.Endpoint) (*giesched.SchedulingResult, error)
}

// A Cluster is what Kubernetes knows of models: cluster.Source.
type Cluster interface {
	// Rewrite applies InferenceModelRewrite to the name that a client asked for.
	Rewrite(model string) (target, by string, ok bool)
	// PoolsOf are the pools that requests for a model reach; none where that is
	// not known.
	PoolsOf(model string) []string
	// CountElsewhere counts a reply of another endpoint than the picked one.
	CountElsewhere(picked *endpoints.Endpoint)
}

// Config is what a Router is made of.
type Config struct {
	Store     *endpoints.Store
	Semantic  *semantic.Plugin
	Scheduler Scheduler
	// Saturation judges whether endpoints can take more.
	Saturation flowcontrol.SaturationDetector
	// Parser is the configured one; all but semantic-parser read the body again.
	Parser requesthandling.Parser
	// Plugins are all plugins of the configuration; those that take part in
	// requests are found by type.
	Plugins []plugin.Plugin
	// Cluster is nil without Kubernetes.
	Cluster Cluster
	Logger  logr.Logger
}

// A Router decides about requests. It is safe for concurrent use.
type Router struct {
	store      *endpoints.Store
	semantic   *semantic.Plugin
	scheduler  Scheduler
	saturation flowcontrol.SaturationDetector
	parser     requesthandling.Parser // nil: payload's reading is enough
	cluster    Cluster                // nil without Kubernetes
	logger     logr.Logger

	producers  []requestcontrol.PrepareDataPlugin
	admitters  []requestcontrol.AdmissionPlugin
	preRequest []requestcontrol.PreRequest
	onHeaders  []requestcontrol.ResponseHeader
	onBody     []requestcontrol.ResponseBody

	index    atomic.Pointer[index]
	idPrefix string
	lastID   atomic.Uint64
	started  time.Time
}

var _ extproc.Handler = (*Router)(nil)

// New returns a Router, or an error when the plugins' data dependencies cannot
// be ordered.
func New(cfg Config) (*Router, error) {
	r := &Router{
		store:      cfg.Store,
		semantic:   cfg.Semantic,
		scheduler:  cfg.Scheduler,
		saturation: cfg.Saturation,
		cluster:    cfg.Cluster,
		logger:     cfg.Logger,
		idPrefix:   idPrefix(),
		started:    time.Now(),
	}
	if _, fast := cfg.Parser.(*parser.Plugin); !fast {
		r.parser = cfg.Parser
	}
	order, err := datalayer.ValidateAndOrderDataDependencies(cfg.Plugins)
	if err != nil {
		return nil, fmt.Errorf("order the plugins by what they produce and consume: %w", err)
	}
	// The handle keeps plugins in a map: without an order of our own, that of
	// the hooks would change from start to start.
	plugins := slices.SortedFunc(slices.Values(cfg.Plugins), func(a, b plugin.Plugin) int {
		return cmp.Compare(a.TypedName().String(), b.TypedName().String())
	})
	for _, p := range plugins {
		if p == plugin.Plugin(cfg.Semantic) {
			continue // asked directly; its hooks are for the stock runner
		}
		r.addHooks(p)
	}
	rank := func(p requestcontrol.PrepareDataPlugin) int { return slices.Index(order, p.TypedName().String()) }
	slices.SortStableFunc(r.producers, func(a, b requestcontrol.PrepareDataPlugin) int { return rank(a) - rank(b) })
	return r, nil
}

func (r *Router) addHooks(p plugin.Plugin) {
	if h, ok := p.(requestcontrol.PrepareDataPlugin); ok {
		r.producers = append(r.producers, h)
	}
	if h, ok := p.(requestcontrol.AdmissionPlugin); ok {
		r.admitters = append(r.admitters, h)
	}
	if h, ok := p.(requestcontrol.PreRequest); ok {
		r.preRequest = append(r.preRequest, h)
	}
	if h, ok := p.(requestcontrol.ResponseHeader); ok {
		r.onHeaders = append(r.onHeaders, h)
	}
	if h, ok := p.(requestcontrol.ResponseBody); ok {
		r.onBody = append(r.onBody, h)
	}
}

// Begin starts an exchange.
func (r *Router) Begin(_ context.Context, head *extproc.RequestHead) extproc.Exchange {
	return newExchange(r, head)
}

// requestID is unique, also among pickers: plugins key their state by it.
func (r *Router) requestID() string {
	return r.idPrefix + strconv.FormatUint(r.lastID.Add(1), 36)
}

func idPrefix() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:]) + "-"
}
