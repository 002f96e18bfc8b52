package cluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	podKind       = schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
	poolKind      = schema.GroupVersionKind{Group: Group, Version: "v1", Kind: "InferencePool"}
	oldPoolKind   = schema.GroupVersionKind{Group: OldGroup, Version: "v1alpha2", Kind: "InferencePool"}
	objectiveKind = schema.GroupVersionKind{Group: OldGroup, Version: "v1alpha2", Kind: "InferenceObjective"}
	rewriteKind   = schema.GroupVersionKind{Group: OldGroup, Version: "v1alpha2", Kind: "InferenceModelRewrite"}
	routeKind     = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
	oldRouteKind  = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1beta1", Kind: "HTTPRoute"}
)

// kinds are what of the API server is followed beside pods. An empty kind is not.
type kinds struct{ pool, objective, rewrite, route schema.GroupVersionKind }

// discover finds the kinds that a Config wants among those that the API server
// has. Only the pools must be there.
func discover(server discovery.ServerResourcesInterface, cfg *Config) (kinds, error) {
	var k kinds
	if cfg.Selector != "" { // as GIE: without a pool nothing can refer to one
		return k, nil
	}
	d := &discoverer{server: server, groups: map[schema.GroupVersion]map[string]bool{}}
	pool := poolKind
	if cfg.PoolGroup == OldGroup {
		pool = oldPoolKind
	}
	k.pool = d.first(pool)
	k.objective = d.first(objectiveKind)
	k.rewrite = d.first(rewriteKind)
	k.route = d.first(routeKind, oldRouteKind)
	if d.err != nil {
		return kinds{}, d.err
	}
	if k.pool.Empty() {
		return kinds{}, fmt.Errorf("the API server has no %s in %s: install the CRDs of the Gateway API Inference Extension", pool.Kind, pool.GroupVersion())
	}
	return k, nil
}

type discoverer struct {
	server discovery.ServerResourcesInterface
	groups map[schema.GroupVersion]map[string]bool // the kinds of each
	err    error                                   // the first
}

// first is the first of the kinds that the API server has, the empty one when
// it has none.
func (d *discoverer) first(wanted ...schema.GroupVersionKind) schema.GroupVersionKind {
	for _, kind := range wanted {
		if d.kinds(kind.GroupVersion())[kind.Kind] {
			return kind
		}
	}
	return schema.GroupVersionKind{}
}

func (d *discoverer) kinds(group schema.GroupVersion) map[string]bool {
	if found, ok := d.groups[group]; ok || d.err != nil {
		return found
	}
	found := map[string]bool{}
	d.groups[group] = found
	list, err := d.server.ServerResourcesForGroupVersion(group.String())
	if err != nil {
		if !apierrors.IsNotFound(err) {
			d.err = fmt.Errorf("ask the API server for the kinds in %s: %w", group, err)
		}
		return found
	}
	for _, r := range list.APIResources {
		found[r.Kind] = true
	}
	return found
}

// permitted leaves out the optional kinds that we may not read, so that fewer
// permissions mean fewer features and not a picker that never becomes ready.
// refused is called for each.
func (k kinds) permitted(ctx context.Context, api client.Reader, namespace string, refused func(schema.GroupVersionKind)) (kinds, error) {
	required := []schema.GroupVersionKind{podKind}
	if !k.pool.Empty() {
		required = append(required, k.pool)
	}
	for _, kind := range required {
		if err := peek(ctx, api, namespace, kind); err != nil {
			return kinds{}, fmt.Errorf("list %s in namespace %s: %w", kind.Kind, namespace, err)
		}
	}
	for _, kind := range []*schema.GroupVersionKind{&k.objective, &k.rewrite, &k.route} {
		if kind.Empty() {
			continue
		}
		err := peek(ctx, api, namespace, *kind)
		switch {
		case apierrors.IsForbidden(err):
			refused(*kind)
			*kind = schema.GroupVersionKind{}
		case err != nil:
			return kinds{}, fmt.Errorf("list %s in namespace %s: %w", kind.Kind, namespace, err)
		}
	}
	return k, nil
}

func peek(ctx context.Context, api client.Reader, namespace string, kind schema.GroupVersionKind) error {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	return api.List(ctx, list, client.InNamespace(namespace), client.Limit(1))
}
