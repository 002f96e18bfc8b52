package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"semantic-epp/endpoints"
)

const (
	// Group is the API group of InferencePools.
	Group = "inference.networking.k8s.io"
	// OldGroup is the group that they had before v1.
	OldGroup = "inference.networking.x-k8s.io"
	// DefaultModelHeader is the header that routes match on by default.
	DefaultModelHeader = "x-selected-model"

	maxPorts = 8 // of a pool, by its CRD
)

// Config says which endpoints to follow. Just one of Pools, PickerService and
// Selector is set.
type Config struct {
	// REST is how to reach the API server.
	REST *rest.Config
	// Store is filled.
	Store *endpoints.Store
	// Logger gets what happens; the zero Logger nothing.
	Logger logr.Logger

	// Namespace of all that is followed.
	Namespace string
	// Pools are the names of InferencePools.
	Pools []string
	// PickerService takes all InferencePools whose endpointPickerRef names this
	// Service.
	PickerService string
	// PickerPort narrows PickerService to one port of the Service; 0 is any.
	PickerPort int
	// PoolGroup is the API group of the pools: [Group], which "" stands for, or
	// [OldGroup].
	PoolGroup string
	// Selector takes pods by their labels, without a pool: "app=vllm,env=prod".
	Selector string
	// TargetPorts are the model server's ports on the pods of Selector, 1 to 8.
	TargetPorts []int

	// LeaderElection makes only one of several replicas ready. All of them
	// follow the cluster.
	LeaderElection bool
	// LeaseName names the Lease of the election. "" makes one of what is followed.
	LeaseName string

	// ModelHeader is the header with the chosen model that routes match on; ""
	// stands for [DefaultModelHeader].
	ModelHeader string
	// Models, where set, are the local models that the configuration knows.
	Models func() []string
	// Serves, where set, says whether an endpoint serves a model. By default it
	// does when it is declared to, or its metrics say so.
	Serves func(model string, ep *endpoints.Endpoint) bool
	// OnReady, where set, is called at every change of readiness; nil means
	// ready, an error says what is missing. It should not block.
	OnReady func(error)
}

// complete fills in defaults and reports every fault. The selector is nil with
// pools.
func (c *Config) complete() (labels.Selector, error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.REST == nil || c.Store == nil {
		add("REST and Store must be set")
	}
	if c.Namespace == "" {
		add("the namespace is missing")
	}
	ways := 0
	for _, used := range []bool{len(c.Pools) > 0, c.PickerService != "", c.Selector != ""} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		add("%d of pools, the picker's Service and an endpoint selector are given; give just one", ways)
	}
	seen := map[string]bool{}
	for _, name := range c.Pools {
		if len(validation.IsDNS1123Subdomain(name)) > 0 {
			add("pool %q is not the name of an object: lower-case letters, digits, '-' and '.'", name)
		}
		if seen[name] {
			add("pool %q stands twice", name)
		}
		seen[name] = true
	}
	if c.PickerPort < 0 || c.PickerPort > 65535 {
		add("port %d of the picker's Service; use 1 to 65535, or 0 for any", c.PickerPort)
	}
	if c.PickerPort != 0 && c.PickerService == "" {
		add("a port of the picker's Service is given, but no Service")
	}
	if c.PoolGroup == "" {
		c.PoolGroup = Group
	}
	if c.PoolGroup != Group && c.PoolGroup != OldGroup {
		add("pool group %q is not known; use %s or %s", c.PoolGroup, Group, OldGroup)
	}
	selector, err := c.selector()
	if err != nil {
		errs = append(errs, err)
	}
	if c.ModelHeader == "" {
		c.ModelHeader = DefaultModelHeader
	}
	if c.LeaderElection && c.LeaseName == "" {
		c.LeaseName = c.leaseName()
	}
	if c.LeaderElection && len(validation.IsDNS1123Subdomain(c.LeaseName)) > 0 {
		add("%q, made of what is followed, cannot name a Lease; name it yourself", c.LeaseName)
	}
	if c.Serves == nil {
		c.Serves = serves
	}
	return selector, errors.Join(errs...)
}

func (c *Config) selector() (labels.Selector, error) {
	if c.Selector == "" {
		if len(c.TargetPorts) > 0 {
			return nil, errors.New("target ports stand beside an endpoint selector; InferencePools name their own")
		}
		return nil, nil
	}
	var errs []error
	selector, err := labels.Parse(c.Selector)
	if err != nil {
		errs = append(errs, fmt.Errorf("endpoint selector %q: %w", c.Selector, err))
	}
	if len(c.TargetPorts) < 1 || len(c.TargetPorts) > maxPorts {
		errs = append(errs, fmt.Errorf("%d target ports for the endpoint selector; give 1 to %d", len(c.TargetPorts), maxPorts))
	}
	for i, port := range c.TargetPorts {
		if port < 1 || port > 65535 {
			errs = append(errs, fmt.Errorf("target port %d; use 1 to 65535", port))
		}
		if slices.Contains(c.TargetPorts[:i], port) {
			errs = append(errs, fmt.Errorf("target port %d stands twice", port))
		}
	}
	return selector, errors.Join(errs...)
}

// leaseName is the same for replicas of one deployment and differs from that of
// others in the namespace.
func (c *Config) leaseName() string {
	switch {
	case c.PickerService != "":
		return "semantic-epp-service-" + c.PickerService
	case c.Selector != "":
		pairs := strings.NewReplacer("=", ".", ",", ".", "/", ".", " ", "", "_", "-", "!", "not-")
		return "semantic-epp-selector-" + strings.ToLower(pairs.Replace(c.Selector))
	}
	return "semantic-epp-" + strings.Join(slices.Sorted(slices.Values(c.Pools)), ".")
}

// serves is what is known of an endpoint without a configuration.
func serves(model string, ep *endpoints.Endpoint) bool {
	return slices.Contains(ep.Models, model) || slices.Contains(reported(ep), model)
}

// reported are the models that the endpoint's metrics name: its own, and the
// adapters that run or wait.
func reported(ep *endpoints.Endpoint) []string {
	var models []string
	if name := ep.Load.Served(); name != "" {
		models = append(models, name)
	}
	if m := ep.GetMetrics(); m != nil {
		for name := range m.ActiveModels {
			models = append(models, name)
		}
		for name := range m.WaitingModels {
			models = append(models, name)
		}
	}
	return models
}
