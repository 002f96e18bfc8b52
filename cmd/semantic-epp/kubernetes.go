package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"semantic-epp/endpoints"
	"semantic-epp/endpoints/cluster"
	"semantic-epp/plugins/semantic"
)

// kubernetesOptions are the flags that take endpoints from Kubernetes. One of
// the pools, the Service and the selector says which.
type kubernetesOptions struct {
	poolName         string
	pools            []string
	poolsOfService   string
	endpointSelector string
	targetPorts      []int
	namespace        string
	group            string
	leaderElection   bool
}

func (o *kubernetesOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.poolName, "pool-name", "", "`name` of the InferencePool; with --endpoints-file the pool's name in GIE's metrics")
	f.StringArrayVar(&o.pools, "pool", nil, "`name` of an InferencePool; may be repeated: one picker for several pools")
	f.StringVar(&o.poolsOfService, "pools-of-service", "", "all InferencePools whose endpointPickerRef names this `service[:port]`")
	f.StringVar(&o.endpointSelector, "endpoint-selector", "", "`labels` of model server pods, without a pool: app=vllm,env=prod")
	f.IntSliceVar(&o.targetPorts, "endpoint-target-ports", nil, "1 to 8 `ports` of the pods of --endpoint-selector")
	f.StringVar(&o.namespace, "pool-namespace", "", "`namespace` of pools and pods (default: $NAMESPACE, else default)")
	f.StringVar(&o.group, "pool-group", cluster.Group, "API `group` of InferencePools; "+cluster.OldGroup+" for v1alpha2")
	f.BoolVar(&o.leaderElection, "ha-enable-leader-election", false, "let one of several replicas alone be ready (default: all serve)")
}

// names are the pools that flags name.
func (o *kubernetesOptions) names() []string {
	if o.poolName == "" {
		return o.pools
	}
	return append([]string{o.poolName}, o.pools...)
}

// wanted says whether flags ask for endpoints from Kubernetes.
func (o *kubernetesOptions) wanted() bool {
	return len(o.names()) > 0 || o.poolsOfService != "" || o.endpointSelector != ""
}

// check finds contradictions.
func (o *kubernetesOptions) check(endpointsFile string) error {
	if endpointsFile != "" {
		if len(o.pools) > 0 || o.poolsOfService != "" || o.endpointSelector != "" { // a pool's name has a meaning there too
			return errors.New("--endpoints-file stands beside --pool, --pools-of-service or --endpoint-selector: endpoints come from one of them")
		}
		return nil
	}
	ways := 0
	for _, way := range []bool{len(o.names()) > 0, o.poolsOfService != "", o.endpointSelector != ""} {
		if way {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("pools, --pools-of-service and --endpoint-selector exclude each other")
	}
	if (o.endpointSelector == "") != (len(o.targetPorts) == 0) {
		return errors.New("--endpoint-selector and --endpoint-target-ports only have a meaning together")
	}
	return nil
}

// open asks the API server what there is to follow.
func (o *kubernetesOptions) open(ctx context.Context, store *endpoints.Store, plugin *semantic.Plugin, onReady func(error), logger logr.Logger) (*cluster.Source, error) {
	rest, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("reach Kubernetes: %w: run it in a cluster, set KUBECONFIG, or give --endpoints-file", err)
	}
	service, port, err := splitService(o.poolsOfService)
	if err != nil {
		return nil, err
	}
	return cluster.New(ctx, cluster.Config{
		REST:           rest,
		Store:          store,
		Logger:         logger,
		Namespace:      cmp.Or(o.namespace, os.Getenv("NAMESPACE"), "default"),
		Pools:          o.names(),
		PickerService:  service,
		PickerPort:     port,
		PoolGroup:      o.group,
		Selector:       o.endpointSelector,
		TargetPorts:    o.targetPorts,
		LeaderElection: o.leaderElection,
		Models:         func() []string { return localModels(plugin.Rules()) },
		Serves: func(model string, ep *endpoints.Endpoint) bool {
			return plugin.Rules().Catalog().Serves(model, semantic.ServerOf(ep.GetMetadata(), ep.GetMetrics(), ep.Load, ep.Models))
		},
		OnReady: onReady,
	})
}

// splitService cuts service[:port].
func splitService(text string) (service string, port int, err error) {
	service, number, found := strings.Cut(text, ":")
	if !found {
		return service, 0, nil
	}
	if port, err = strconv.Atoi(number); err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("--pools-of-service %s: %q is no port", text, number)
	}
	return service, port, nil
}

// localModels are the configured models that have endpoints.
func localModels(rules *semantic.Rules) []string {
	var names []string
	for _, name := range rules.Catalog().Names() {
		if !rules.Catalog().External(name) {
			names = append(names, name)
		}
	}
	return names
}
