package manifests

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/anypb"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/local_ratelimit/v3"
)

// field reads a nested field; a missing one is the zero value.
func field[T any](from map[string]any, path ...string) T {
	value, _, _ := unstructured.NestedFieldNoCopy(from, path...)
	out, _ := value.(T)
	return out
}

// list reads a nested list of objects.
func list(from map[string]any, path ...string) []map[string]any {
	var out []map[string]any
	for _, item := range field[[]any](from, path...) {
		if object, ok := item.(map[string]any); ok {
			out = append(out, object)
		}
	}
	return out
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}

func (s *Set) checkPools() {
	s.each("InferencePool", func(object Object) {
		picker := field[map[string]any](object.Object, "spec", "endpointPickerRef")
		if wrong := s.servicePort(object.GetNamespace(), field[string](picker, "name"), field[int64](picker, "port", "number")); wrong != "" {
			s.report(object, "endpointPickerRef: %s", wrong)
		}
		selector := map[string]string{}
		for key, value := range field[map[string]any](object.Object, "spec", "selector", "matchLabels") {
			selector[key], _ = value.(string)
		}
		pods := s.pods(object.GetNamespace(), selector)
		if len(pods) == 0 && !slices.Contains(s.given, "models") {
			s.report(object, "its selector finds no pods")
		}
		for _, pod := range pods {
			for _, port := range list(object.Object, "spec", "targetPorts") {
				if number := field[int64](port, "number"); !opensPort(pod, intstr.FromInt32(int32(number))) {
					s.report(object, "targetPorts: the pods do not open %d", number)
				}
			}
		}
	})
}

func (s *Set) checkRoutes() {
	names := map[string]string{} // gateway and rule name to route
	s.each("HTTPRoute", func(object Object) {
		for _, parent := range list(object.Object, "spec", "parentRefs") {
			s.checkParent(object, parent)
		}
		all := false
		for _, rule := range list(object.Object, "spec", "rules") {
			for _, backend := range list(rule, "backendRefs") {
				s.checkBackend(object, backend)
			}
			all = all || takesAll(rule)
			if name := field[string](rule, "name"); name != "" {
				for _, parent := range list(object.Object, "spec", "parentRefs") {
					key := fmt.Sprint(parent["namespace"], parent["name"], " ", name)
					if other, twice := names[key]; twice {
						s.report(object, "the rule name %s is also one of HTTPRoute %s on the same gateway: Istio confuses their pickers", name, other)
					}
					names[key] = object.GetName()
				}
			}
		}
		if !all {
			s.report(object, "no rule takes requests without x-selected-model: they never reach the picker")
		}
	})
}

func takesAll(rule map[string]any) bool {
	matches := list(rule, "matches")
	return len(matches) == 0 || slices.ContainsFunc(matches, func(match map[string]any) bool {
		return len(list(match, "headers")) == 0 && or(field[string](match, "path", "value"), "/") == "/"
	})
}

func (s *Set) checkParent(route Object, parent map[string]any) {
	namespace, name := or(field[string](parent, "namespace"), route.GetNamespace()), field[string](parent, "name")
	gateway := s.find("Gateway", namespace, name)
	if gateway == nil {
		if !s.has("Gateway", namespace, name) {
			s.report(route, "Gateway %s/%s is made nowhere", namespace, name)
		}
		return
	}
	section, joined := field[string](parent, "sectionName"), false
	for _, listener := range list(gateway.Object, "spec", "listeners") {
		if section == "" || section == field[string](listener, "name") {
			joined = joined || s.allows(gateway, listener, route.GetNamespace())
		}
	}
	if !joined {
		s.report(route, "no listener %s of Gateway %s/%s takes routes of this namespace", section, namespace, name)
	}
}

// allows says whether a listener takes routes of a namespace.
func (s *Set) allows(gateway Object, listener map[string]any, namespace string) bool {
	switch or(field[string](listener, "allowedRoutes", "namespaces", "from"), "Same") {
	case "All":
		return true
	case "Selector":
		for key, value := range field[map[string]any](listener, "allowedRoutes", "namespaces", "selector", "matchLabels") {
			labels := map[string]string{"kubernetes.io/metadata.name": namespace}
			if object := s.find("Namespace", "", namespace); object != nil {
				for k, v := range object.GetLabels() {
					labels[k] = v
				}
			}
			if labels[key] != value {
				return false
			}
		}
		return true
	default:
		return gateway.GetNamespace() == namespace
	}
}

func (s *Set) checkBackend(route Object, backend map[string]any) {
	namespace, name := or(field[string](backend, "namespace"), route.GetNamespace()), field[string](backend, "name")
	if field[string](backend, "kind") == "InferencePool" {
		if !s.has("InferencePool", namespace, name) {
			s.report(route, "InferencePool %s/%s is made nowhere", namespace, name)
		}
		return
	}
	if wrong := s.servicePort(namespace, name, field[int64](backend, "port")); wrong != "" {
		s.report(route, "%s", wrong)
	}
}

func (s *Set) checkIstio() {
	s.each("Gateway", func(object Object) {
		for _, listener := range list(object.Object, "spec", "listeners") {
			for _, ref := range list(listener, "tls", "certificateRefs") {
				s.checkCertificate(object, ref)
			}
		}
	})
	s.each("DestinationRule", func(object Object) {
		name, namespace := splitHost(field[string](object.Object, "spec", "host"), object.GetNamespace())
		for _, setting := range list(object.Object, "spec", "trafficPolicy", "portLevelSettings") {
			if wrong := s.servicePort(namespace, name, field[int64](setting, "port", "number")); wrong != "" {
				s.report(object, "%s", wrong)
			}
		}
	})
	for _, kind := range []string{"RequestAuthentication", "AuthorizationPolicy"} {
		s.each(kind, func(object Object) {
			for _, target := range list(object.Object, "spec", "targetRefs") {
				if name := field[string](target, "name"); !s.has(field[string](target, "kind"), object.GetNamespace(), name) {
					s.report(object, "targetRefs: %s is not in this namespace", name)
				}
			}
		})
	}
	s.each("EnvoyFilter", s.checkEnvoyFilter)
}

func (s *Set) checkCertificate(gateway Object, ref map[string]any) {
	name, namespace := field[string](ref, "name"), or(field[string](ref, "namespace"), gateway.GetNamespace())
	if !s.has("Secret", namespace, name) {
		s.report(gateway, "Secret %s/%s is made nowhere", namespace, name)
	}
	if namespace == gateway.GetNamespace() {
		return
	}
	granted := false
	s.each("ReferenceGrant", func(grant Object) {
		from, to := list(grant.Object, "spec", "from"), list(grant.Object, "spec", "to")
		granted = granted || grant.GetNamespace() == namespace &&
			slices.ContainsFunc(from, func(f map[string]any) bool {
				return f["kind"] == "Gateway" && f["namespace"] == gateway.GetNamespace()
			}) &&
			slices.ContainsFunc(to, func(t map[string]any) bool {
				return t["kind"] == "Secret" && or(field[string](t, "name"), name) == name
			})
	})
	if !granted {
		s.report(gateway, "no ReferenceGrant lets it read Secret %s/%s", namespace, name)
	}
}

// splitHost reads a Service's host as Istio does: short names are of the
// object's own namespace.
func splitHost(host, own string) (name, namespace string) {
	parts := strings.Split(host, ".")
	if len(parts) == 1 {
		return host, own
	}
	return parts[0], parts[1]
}

// envoyTypes are the filters that manifests/ puts into Envoy.
var envoyTypes = func() *protoregistry.Types {
	types := &protoregistry.Types{}
	for _, message := range []proto.Message{&extprocv3.ExternalProcessor{}, &ratelimitv3.LocalRateLimit{}} {
		if err := types.RegisterMessage(message.ProtoReflect().Type()); err != nil {
			panic(err) // they have different names
		}
	}
	return types
}()

var outboundCluster = regexp.MustCompile(`^outbound\|(\d+)\|\|(.+)$`)

func (s *Set) checkEnvoyFilter(object Object) {
	gateway := field[string](object.Object, "spec", "workloadSelector", "labels", "gateway.networking.k8s.io/gateway-name")
	if !s.has("Gateway", object.GetNamespace(), gateway) {
		s.report(object, "workloadSelector: Gateway %q is not in this namespace", gateway)
	}
	for _, patch := range list(object.Object, "spec", "configPatches") {
		data, err := json.Marshal(field[map[string]any](patch, "patch", "value", "typed_config"))
		if err != nil {
			s.report(object, "typed_config: %v", err)
			continue
		}
		var message anypb.Any
		if err := (protojson.UnmarshalOptions{Resolver: envoyTypes}).Unmarshal(data, &message); err != nil {
			s.report(object, "Envoy does not take typed_config: %v", err)
			continue
		}
		filter, err := anypb.UnmarshalNew(&message, proto.UnmarshalOptions{Resolver: envoyTypes})
		if err != nil {
			s.report(object, "typed_config: %v", err)
			continue
		}
		if processor, ok := filter.(*extprocv3.ExternalProcessor); ok {
			s.checkExtProc(object, processor)
		}
	}
}

func (s *Set) checkExtProc(object Object, processor *extprocv3.ExternalProcessor) {
	cluster := processor.GetGrpcService().GetEnvoyGrpc().GetClusterName()
	parts := outboundCluster.FindStringSubmatch(cluster)
	if parts == nil {
		s.report(object, "cluster_name %q is none of Istio's", cluster)
		return
	}
	port, _ := strconv.ParseInt(parts[1], 10, 64)
	name, namespace := splitHost(parts[2], object.GetNamespace())
	if wrong := s.servicePort(namespace, name, port); wrong != "" {
		s.report(object, "cluster_name: %s", wrong)
	}
	mode := processor.GetProcessingMode()
	if mode.GetRequestBodyMode() != extprocv3.ProcessingMode_FULL_DUPLEX_STREAMED || mode.GetRequestTrailerMode() != extprocv3.ProcessingMode_SEND {
		s.report(object, "the request is not FULL_DUPLEX_STREAMED with trailers")
	}
	if processor.GetFailureModeAllow() {
		s.report(object, "failure_mode_allow promises what FULL_DUPLEX_STREAMED does not keep for requests with a body")
	}
}
