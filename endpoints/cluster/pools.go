package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	v1 "sigs.k8s.io/gateway-api-inference-extension/api/v1"
	poolutil "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/util/pool"
)

// ModelsKey is the annotation, or the label, of an InferencePool that says which
// models its pods serve: names with commas between. A pod may carry it too, and
// then speaks for itself: in an umbrella pool not all pods serve the same.
const ModelsKey = "semantic-epp/models"

// A pool is what we follow: an InferencePool, or a bare selector, whose name is
// empty.
type pool struct {
	name     string
	selector labels.Selector
	ports    []int
	models   []string      // declared
	object   client.Object // to tell events of; nil without an InferencePool
}

// listPools reads the InferencePools of a namespace in either group.
func listPools(ctx context.Context, reader client.Reader, kind schema.GroupVersionKind, namespace string) ([]v1.InferencePool, error) {
	if kind.Group == Group {
		list := &v1.InferencePoolList{}
		if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, fmt.Errorf("list InferencePools: %w", err)
		}
		return list.Items, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list InferencePools: %w", err)
	}
	pools := make([]v1.InferencePool, len(list.Items))
	for i := range list.Items {
		p, err := fromOld(&list.Items[i])
		if err != nil {
			return nil, err
		}
		pools[i] = *p
	}
	return pools, nil
}

// oldPool is the part of an InferencePool of v1alpha2 that differs from v1 (GIE
// v0.5, api/v1alpha2).
type oldPool struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector         map[v1.LabelKey]v1.LabelValue `json:"selector"`
		TargetPortNumber v1.PortNumber                 `json:"targetPortNumber"`
		ExtensionRef     struct {
			Group      *v1.Group      `json:"group"`
			Kind       v1.Kind        `json:"kind"`
			Name       v1.ObjectName  `json:"name"`
			PortNumber *v1.PortNumber `json:"portNumber"`
		} `json:"extensionRef"`
	} `json:"spec"`
}

func fromOld(u *unstructured.Unstructured) (*v1.InferencePool, error) {
	var old oldPool
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &old); err != nil {
		return nil, fmt.Errorf("read InferencePool %s: %w", u.GetName(), err)
	}
	ref := old.Spec.ExtensionRef
	p := &v1.InferencePool{ObjectMeta: old.ObjectMeta}
	p.APIVersion, p.Kind = u.GetAPIVersion(), u.GetKind()
	p.Spec.Selector.MatchLabels = old.Spec.Selector
	p.Spec.TargetPorts = []v1.Port{{Number: old.Spec.TargetPortNumber}}
	p.Spec.EndpointPickerRef = v1.EndpointPickerRef{Group: ref.Group, Kind: ref.Kind, Name: ref.Name}
	if ref.PortNumber != nil {
		p.Spec.EndpointPickerRef.Port = &v1.Port{Number: *ref.PortNumber}
	}
	return p, nil
}

// follows says whether a pool is one of ours. One on its way out is not.
func (c *Config) follows(p *v1.InferencePool) bool {
	if !p.DeletionTimestamp.IsZero() {
		return false
	}
	if c.PickerService == "" {
		return slices.Contains(c.Pools, p.Name)
	}
	ref := p.Spec.EndpointPickerRef
	isService := (ref.Group == nil || *ref.Group == "") && (ref.Kind == "" || ref.Kind == "Service")
	onPort := c.PickerPort == 0 || ref.Port == nil || int(ref.Port.Number) == c.PickerPort
	return isService && onPort && string(ref.Name) == c.PickerService
}

// ours picks the pools that a Config follows, sorted by name.
func (c *Config) ours(all []v1.InferencePool, kind schema.GroupVersionKind) []pool {
	var pools []pool
	for i := range all {
		p := &all[i]
		if !c.follows(p) {
			continue
		}
		p.SetGroupVersionKind(kind) // lists leave it out, and events need it
		of := poolutil.InferencePoolToEndpointPool(p)
		pools = append(pools, pool{
			name:     p.Name,
			selector: labels.SelectorFromSet(of.Selector),
			ports:    of.TargetPorts,
			models:   declared(p),
			object:   p,
		})
	}
	slices.SortFunc(pools, func(a, b pool) int { return strings.Compare(a.name, b.name) })
	return pools
}

// declared are the models that an object declares by annotation, or else by
// label, sorted.
func declared(o metav1.Object) []string {
	list, ok := o.GetAnnotations()[ModelsKey]
	if !ok {
		list = o.GetLabels()[ModelsKey]
	}
	var models []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" {
			models = append(models, name)
		}
	}
	return sorted(models)
}

// sorted sorts in place and drops what stands twice.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
