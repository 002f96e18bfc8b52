package cluster

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
	v1 "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"

	"semantic-epp/endpoints"
)

// everything is the one thing that is reconciled, so that changes that come
// together are one reconciliation.
type everything struct{}

// control makes the controller. Replicas that do not lead follow the cluster
// too, so that they are ready at once when they do.
func (s *Source) control() error {
	c, err := controller.NewTyped("semantic-epp", s.manager, controller.TypedOptions[everything]{
		Reconciler:         reconcile.TypedFunc[everything](s.reconcile),
		NeedLeaderElection: new(false),
	})
	if err != nil {
		return err
	}
	all := handler.TypedEnqueueRequestsFromMapFunc(func(context.Context, client.Object) []everything { return []everything{{}} })
	watch := func(of client.Object, when ...predicate.Predicate) source.TypedSource[everything] {
		return source.TypedKind(s.manager.GetCache(), of, all, when...)
	}
	sources := []source.TypedSource[everything]{
		// Without a single object there is no event, yet that is a state too.
		source.TypedFunc[everything](func(_ context.Context, queue workqueue.TypedRateLimitingInterface[everything]) error {
			queue.Add(everything{})
			return nil
		}),
		watch(&corev1.Pod{}, predicate.Funcs{UpdateFunc: podChanged}),
	}
	if !s.kinds.pool.Empty() {
		sources = append(sources, watch(s.pools()))
	}
	if !s.kinds.objective.Empty() {
		sources = append(sources, watch(&v1alpha2.InferenceObjective{}))
	}
	if !s.kinds.rewrite.Empty() {
		sources = append(sources, watch(&v1alpha2.InferenceModelRewrite{}))
	}
	if !s.kinds.route.Empty() {
		sources = append(sources, watch(untyped(s.kinds.route)))
	}
	for _, from := range sources {
		if err := c.Watch(from); err != nil {
			return err
		}
	}
	return nil
}

// pools is an object of the kind of our pools.
func (s *Source) pools() client.Object {
	if s.kinds.pool.Group == OldGroup {
		return untyped(s.kinds.pool)
	}
	return &v1.InferencePool{}
}

func untyped(kind schema.GroupVersionKind) client.Object {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(kind)
	return u
}

// podChanged says whether a change of a pod can matter to us.
func podChanged(e event.UpdateEvent) bool {
	before, after := e.ObjectOld.(*corev1.Pod), e.ObjectNew.(*corev1.Pod)
	return !maps.Equal(before.Labels, after.Labels) || !maps.Equal(before.Annotations, after.Annotations) ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		!equality.Semantic.DeepEqual(before.Status, after.Status)
}

// reconcile makes the store and the view what the cache says.
func (s *Source) reconcile(ctx context.Context, _ everything) (reconcile.Result, error) {
	pools, err := s.readPools(ctx)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := s.readPods(ctx, pools); err != nil {
		return reconcile.Result{}, err
	}
	v := &view{}
	for i := range pools {
		if pools[i].name != "" {
			v.pools = append(v.pools, pools[i].name)
		}
	}
	if s.selector == nil {
		s.cfg.Store.SetPools(v.pools)
	}
	refers := func(ref *v1alpha2.PoolObjectReference) bool {
		return ref != nil && string(ref.Group) == s.cfg.PoolGroup && slices.Contains(v.pools, string(ref.Name))
	}
	if err := s.readObjectives(ctx, refers); err != nil {
		return reconcile.Result{}, err
	}
	if v.rewrites, err = s.readRewrites(ctx, refers); err != nil {
		return reconcile.Result{}, err
	}
	at, err := s.readRoutes(ctx, v.pools)
	if err != nil {
		return reconcile.Result{}, err
	}
	serves := s.served(pools)
	v.problems, v.leads = check(at, serves, s.cfg.ModelHeader)
	for model, pools := range serves {
		if len(v.leads[model]) == 0 {
			v.leads[model] = pools
		}
	}
	v.problems = append(v.problems, s.absent(v.pools)...)
	slices.SortFunc(v.problems, compareProblems)
	s.tell(s.view.Swap(v).problems, v.problems, pools)
	s.ready()
	if len(at) == 0 {
		return reconcile.Result{}, nil
	}
	return reconcile.Result{RequeueAfter: recheck}, nil
}

func (s *Source) readPools(ctx context.Context) ([]pool, error) {
	if s.selector != nil {
		return []pool{{selector: s.selector, ports: s.cfg.TargetPorts}}, nil
	}
	all, err := listPools(ctx, s.reader, s.kinds.pool, s.cfg.Namespace)
	if err != nil {
		return nil, err
	}
	return s.cfg.ours(all, s.kinds.pool), nil
}

func (s *Source) readPods(ctx context.Context, pools []pool) error {
	var pods corev1.PodList
	// Nothing below changes a pod, and there may be thousands.
	if err := s.reader.List(ctx, &pods, client.InNamespace(s.cfg.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	change, err := s.cfg.Store.Set(s.polling, replicas(pods.Items, pools))
	if change != (endpoints.Change{}) {
		s.cfg.Logger.Info("endpoints changed", "added", change.Added, "updated", change.Updated, "removed", change.Removed)
	}
	return err
}

// readObjectives takes the objectives of all pools: a request's priority counts
// before its pool is known. Their names are unique within the namespace.
func (s *Source) readObjectives(ctx context.Context, refers func(*v1alpha2.PoolObjectReference) bool) error {
	if s.kinds.objective.Empty() {
		return nil
	}
	var list v1alpha2.InferenceObjectiveList
	if err := s.reader.List(ctx, &list, client.InNamespace(s.cfg.Namespace)); err != nil {
		return fmt.Errorf("list InferenceObjectives: %w", err)
	}
	priorities := map[string]int{}
	for i := range list.Items {
		if o := &list.Items[i]; o.DeletionTimestamp.IsZero() && refers(&o.Spec.PoolRef) {
			priorities[o.Name] = 0 // as GIE where none is given
			if o.Spec.Priority != nil {
				priorities[o.Name] = *o.Spec.Priority
			}
		}
	}
	s.cfg.Store.SetObjectives(priorities)
	return nil
}

func (s *Source) readRewrites(ctx context.Context, refers func(*v1alpha2.PoolObjectReference) bool) (*rewrites, error) {
	var list v1alpha2.InferenceModelRewriteList
	if !s.kinds.rewrite.Empty() {
		if err := s.reader.List(ctx, &list, client.InNamespace(s.cfg.Namespace)); err != nil {
			return nil, fmt.Errorf("list InferenceModelRewrites: %w", err)
		}
	}
	return newRewrites(list.Items, refers), nil
}

func (s *Source) readRoutes(ctx context.Context, pools []string) (map[listener][]option, error) {
	if s.kinds.route.Empty() {
		return nil, nil
	}
	routes, err := listRoutes(ctx, s.reader, s.kinds.route, s.cfg.Namespace)
	if err != nil {
		return nil, err
	}
	return listeners(routes, func(b backendRef) bool {
		return b.Kind == "InferencePool" && b.Group == s.cfg.PoolGroup && b.Namespace == s.cfg.Namespace && slices.Contains(pools, b.Name)
	}), nil
}

// served finds which pools serve each model that the configuration, a
// declaration or a model server names.
func (s *Source) served(pools []pool) map[string][]string {
	by := map[string][]string{}
	for i := range pools {
		for _, model := range pools[i].models {
			by[model] = append(by[model], pools[i].name)
		}
	}
	eps := s.cfg.Store.Snapshot().Endpoints
	names := map[string]bool{}
	if s.cfg.Models != nil {
		for _, model := range s.cfg.Models() {
			names[model] = true
		}
	}
	for _, ep := range eps {
		for _, model := range slices.Concat(ep.Models, reported(ep)) {
			names[model] = true
		}
	}
	for model := range names {
		for _, ep := range eps {
			if !contains(by[model], ep.Pools) && s.cfg.Serves(model, ep) {
				by[model] = append(by[model], ep.Pools...)
			}
		}
	}
	for model, pools := range by {
		if by[model] = sorted(pools); len(pools) == 0 {
			delete(by, model)
		}
	}
	return by
}

// absent tells of pools that were asked for by name and do not exist.
func (s *Source) absent(found []string) []Problem {
	var problems []Problem
	for _, name := range s.cfg.Pools {
		if !slices.Contains(found, name) {
			problems = append(problems, Problem{Pool: name, Kind: PoolMissing,
				Text: fmt.Sprintf("namespace %s has no InferencePool %s in group %s; create it, or stop following it", s.cfg.Namespace, name, s.cfg.PoolGroup)})
		}
	}
	return problems
}
