// Package metricssource is the plugin semantic-metrics-source: it polls the
// metrics pages of model servers, busy ones often and idle ones seldom, and
// reads them by a line scan.
//
// It stands in for GIE's metrics-data-source and core-metrics-extractor, whose
// text parser takes a hundred times as long on a page of 44 KB.
package metricssource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"golang.org/x/time/rate"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"

	"semantic-epp/config"
	"semantic-epp/endpoints"
)

// Type is the plugin type in a configuration.
const Type = "semantic-metrics-source"

// Parameters are what an operator may set.
type Parameters struct {
	// Path of the metrics page. Default /metrics.
	Path string `json:"path,omitempty"`
	// BusyInterval is the time between polls while requests run or wait at an
	// endpoint. Default 50ms. It cannot be shorter than the data layer's own
	// tick, --refresh-metrics-interval.
	BusyInterval config.Duration `json:"busyInterval,omitempty"`
	// IdleInterval is the time between polls otherwise. Default 250ms.
	IdleInterval config.Duration `json:"idleInterval,omitempty"`
	// MaxPollsPerSecond bounds the polls of all endpoints together; many busy
	// endpoints are then polled less often each. Default 1000.
	MaxPollsPerSecond int `json:"maxPollsPerSecond,omitempty"`
}

// Plugin is the data source. It is safe for concurrent use.
type Plugin struct {
	name       string
	busy, idle time.Duration
	budget     *rate.Limiter
	scraper    *endpoints.Scraper
}

var _ datalayer.PollingDataSource = (*Plugin)(nil)

// Factory makes the plugin of a configuration.
func Factory(name string, parameters json.RawMessage, handle plugin.Handle) (plugin.Plugin, error) {
	var p Parameters
	if err := config.Strict(parameters, &p); err != nil {
		return nil, fmt.Errorf("decode parameters: %w", err)
	}
	source, err := New(name, p)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(handle.Context(), source.Close)
	return source, nil
}

// New returns the plugin, or an error that names every bad parameter.
func New(name string, p Parameters) (*Plugin, error) {
	var errs []error
	if p.Path == "" {
		p.Path = "/metrics"
	}
	if !strings.HasPrefix(p.Path, "/") {
		errs = append(errs, fmt.Errorf("path: %q does not begin with /", p.Path))
	}
	if p.BusyInterval == 0 {
		p.BusyInterval = config.Duration(50 * time.Millisecond)
	}
	if p.IdleInterval == 0 {
		p.IdleInterval = max(p.BusyInterval, config.Duration(250*time.Millisecond))
	}
	if time.Duration(p.BusyInterval) < 10*time.Millisecond {
		errs = append(errs, errors.New("busyInterval: shorter than 10ms"))
	}
	if p.IdleInterval < p.BusyInterval {
		errs = append(errs, errors.New("idleInterval: shorter than busyInterval"))
	}
	if p.MaxPollsPerSecond == 0 {
		p.MaxPollsPerSecond = 1000
	}
	if p.MaxPollsPerSecond < 0 {
		errs = append(errs, errors.New("maxPollsPerSecond: negative"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Plugin{
		name:    name,
		budget:  rate.NewLimiter(rate.Limit(p.MaxPollsPerSecond), max(p.MaxPollsPerSecond/10, 1)),
		busy:    time.Duration(p.BusyInterval),
		idle:    time.Duration(p.IdleInterval),
		scraper: endpoints.NewScraper(p.Path),
	}, nil
}

// TypedName names the plugin.
func (p *Plugin) TypedName() plugin.TypedName { return plugin.TypedName{Type: Type, Name: p.name} }

// OutputType is that of GIE's metrics; Poll sets them itself.
func (p *Plugin) OutputType() reflect.Type { return reflect.TypeFor[*datalayer.Metrics]() }

// ExtractorType is the common one; none is needed.
func (p *Plugin) ExtractorType() reflect.Type { return datalayer.ExtractorType }

// Close drops idle connections to model servers.
func (p *Plugin) Close() { p.scraper.Close() }

// Poll reads the page of an endpoint if it is due and the budget allows; if not,
// the next tick tries again. It returns no data: the metrics are set when it
// returns.
func (p *Plugin) Poll(ctx context.Context, ep datalayer.Endpoint) (any, error) {
	if !endpoints.LoadOf(ep).Due(time.Now(), p.busy, p.idle) || !p.budget.Allow() {
		return nil, nil
	}
	return nil, p.scraper.Scrape(ctx, ep)
}
