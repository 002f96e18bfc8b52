package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// A target is the picker under test and what is known of its surroundings.
type target struct {
	client    procv3.ExternalProcessorClient
	health    healthv1.HealthClient // nil: unknown where it is
	model     string                // one that its endpoints serve
	endpoints []string              // its pool, "ip:port"; nil: unknown
	limit     int                   // of request bodies, in bytes; 0: unknown
	objective string                // of requests that may be dropped; "": none known
	headers   []string              // name, value, ... that every request carries
	fixtures  bool                  // GIE's test plugins are in the picker
	patience  time.Duration         // for one answer
	bystander *target               // a picker whose pool is empty; nil: none
	saturate  func(full bool)       // load on all model servers; nil: not ours to load
}

// A need is what a check cannot do without.
type need uint8

const (
	needEndpoints  need = 1 << iota // two or more
	needPorts                       // two of one IP address
	needHealth                      // an address of the health service
	needLimit                       // the limit on request bodies
	needBystander                   // a picker without endpoints
	needSaturation                  // the load of the model servers, and an objective
	needFixtures                    // GIE's test plugins
)

// lacks says what a target lacks, "" when nothing.
func (t *target) lacks(n need) string {
	for _, one := range []struct {
		need need
		has  bool
		why  string
	}{
		{needEndpoints, len(t.endpoints) >= 2, "--endpoints names fewer than two"},
		{needPorts, len(t.neighbours()) == 2, "--endpoints names no two of one IP address"},
		{needHealth, t.health != nil, "no --health address"},
		{needLimit, t.limit > 0, "no --body-limit given"},
		{needBystander, t.bystander != nil, "no picker without endpoints at hand; --start makes one"},
		{needSaturation, t.saturate != nil && t.objective != "", "the model servers are not ours to load, or no --objective; --start gives both"},
		{needFixtures, t.fixtures, "GIE's test plugins are not in the picker (--fixtures)"},
	} {
		if n&one.need != 0 && !one.has {
			return one.why
		}
	}
	return ""
}

// A level says what breaking a check means.
type level string

const (
	must   level = "MUST"   // it breaks requests, or a rule of the protocol
	should level = "SHOULD" // it breaks some gateway or some requests
)

// A source is where a check's demand comes from.
type source string

const (
	proposal source = "GIE proposal 004"
	api      source = "ext_proc API"
	envoy    source = "Envoy"
	gateway  source = "AgentGateway"
	gieIssue source = "reported to GIE"
	grpcRule source = "gRPC"
)

// A check is one demand on a picker.
type check struct {
	id     string
	level  level
	source source
	says   string // the demand, a sentence
	needs  need
	turn   turn
	run    func(ctx context.Context, t *target) error
}

// A turn is when a check runs.
type turn int

const (
	together turn = iota // beside others
	alone                // after those, since it disturbs others
	last                 // after all, since it may end the picker
)

// checks are all checks, in the order of the report.
func checks() []check {
	return slices.Concat(destinationChecks, subsetChecks, duplexChecks, modeChecks, replyChecks, refusalChecks, lifecycleChecks)
}

// A verdict is how a check ended.
type verdict string

const (
	pass verdict = "pass"
	fail verdict = "fail"
	skip verdict = "skip"
)

// A result is the verdict on one check.
type result struct {
	check   check
	verdict verdict
	detail  string
	took    time.Duration
}

// atOnce is how many checks run at the same time: most of what a failing check
// takes is waiting.
const atOnce = 16

// runChecks runs checks and returns their results in the same order.
func runChecks(ctx context.Context, t *target, list []check) []result {
	results := make([]result, len(list))
	one := func(i int) { results[i] = runCheck(ctx, t, list[i]) }
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, c := range list {
		if c.turn != together {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			one(i)
		})
	}
	wg.Wait()
	for _, turn := range []turn{alone, last} {
		for i, c := range list {
			if c.turn == turn {
				one(i)
			}
		}
	}
	return results
}

func runCheck(ctx context.Context, t *target, c check) result {
	r := result{check: c}
	if why := t.lacks(c.needs); why != "" {
		r.verdict, r.detail = skip, why
		return r
	}
	start := time.Now()
	err := c.run(ctx, t)
	r.took = time.Since(start)
	var absent errNotOffered
	switch {
	case err == nil:
		r.verdict = pass
	case errors.As(err, &absent):
		r.verdict, r.detail = skip, absent.Error()
	default:
		r.verdict, r.detail = fail, err.Error()
	}
	return r
}

// errNotOffered says that a picker refuses a mode cleanly, which another check
// judges, so that there is nothing more to see.
type errNotOffered struct{ mode string }

func (e errNotOffered) Error() string { return "the picker refuses " + e.mode + " and says so" }

// refusedMode returns errNotOffered for an answer that refuses a mode.
func refusedMode(o *outcome, mode string) error {
	if o.immediate != nil && o.immediate.GetStatus().GetCode() >= 400 {
		return errNotOffered{mode}
	}
	return nil
}

// wantStatus wants the picker to have answered the client itself, before all
// else, with one of statuses.
func wantStatus(o *outcome, statuses ...int) error {
	switch {
	case o.immediate == nil:
		return fmt.Errorf("want an immediate response of status %v, got %s", statuses, o.got())
	case !slices.Contains(statuses, int(o.immediate.GetStatus().GetCode())):
		return fmt.Errorf("want status %v, got %s", statuses, o.got())
	}
	return nil
}

// wantPassed wants the request to go on.
func wantPassed(o *outcome) error {
	if o.immediate != nil {
		return fmt.Errorf("want the request to go on, got %s", o.got())
	}
	return nil
}
