package manifests

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A Set is what one installation puts into a cluster.
type Set struct {
	objects []Object
	// given are objects that the guide has the user make by a command, as
	// kind/namespace/name.
	given []string
	// problems that the checks found so far.
	problems []string
}

// Relations checks the objects of one installation against each other, and
// returns a sentence for each thing that does not fit. given are objects that
// are there already, as kind/namespace/name.
func Relations(objects []Object, given ...string) []string {
	s := &Set{objects: objects, given: given}
	s.checkNamespaces()
	s.checkWorkloads()
	s.checkServices()
	s.checkScaling()
	s.checkAccess()
	s.checkMonitoring()
	s.checkPools()
	s.checkRoutes()
	s.checkIstio()
	s.checkModels()
	return s.problems
}

func (s *Set) report(object Object, format string, args ...any) {
	s.problems = append(s.problems, fmt.Sprintf("%s %s/%s: ", object.GetKind(), object.GetNamespace(), object.GetName())+fmt.Sprintf(format, args...))
}

func (s *Set) find(kind, namespace, name string) Object {
	for _, object := range s.objects {
		if object.GetKind() == kind && object.GetNamespace() == namespace && object.GetName() == name {
			return object
		}
	}
	return nil
}

// has says whether the object is in the set or was given.
func (s *Set) has(kind, namespace, name string) bool {
	return s.find(kind, namespace, name) != nil || slices.Contains(s.given, kind+"/"+namespace+"/"+name)
}

func (s *Set) each(kind string, check func(Object)) {
	for _, object := range s.objects {
		if object.GetKind() == kind {
			check(object)
		}
	}
}

// as converts an object; fields of the wrong type are for Validate to report.
func as[T any](object Object) *T {
	out := new(T)
	_ = runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, out)
	return out
}

func selected(selector map[string]string, podLabels map[string]string) bool {
	return len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(podLabels))
}

// pods are the pod templates of a namespace that a selector finds.
func (s *Set) pods(namespace string, selector map[string]string) []corev1.PodTemplateSpec {
	var found []corev1.PodTemplateSpec
	s.each("Deployment", func(object Object) {
		if d := as[appsv1.Deployment](object); d.Namespace == namespace && selected(selector, d.Spec.Template.Labels) {
			found = append(found, d.Spec.Template)
		}
	})
	return found
}

func opensPort(pod corev1.PodTemplateSpec, port intstr.IntOrString) bool {
	for _, container := range pod.Spec.Containers {
		for _, open := range container.Ports {
			if open.Name == port.StrVal && port.Type == intstr.String || open.ContainerPort == port.IntVal && port.Type == intstr.Int {
				return true
			}
		}
	}
	return false
}

// clusterKinds have no namespace.
var clusterKinds = []string{"Namespace", "ClusterRole", "ClusterRoleBinding"}

func (s *Set) checkNamespaces() {
	seen := map[string]bool{}
	for _, object := range s.objects {
		key := object.GetKind() + "/" + object.GetNamespace() + "/" + object.GetName()
		if seen[key] {
			s.report(object, "is there twice")
		}
		seen[key] = true
		if !slices.Contains(clusterKinds, object.GetKind()) && !s.has("Namespace", "", object.GetNamespace()) {
			s.report(object, "namespace %q is made nowhere", object.GetNamespace())
		}
	}
}

func (s *Set) checkWorkloads() {
	s.each("Deployment", func(object Object) {
		d := as[appsv1.Deployment](object)
		pod := d.Spec.Template
		if d.Spec.Selector == nil || !selected(d.Spec.Selector.MatchLabels, pod.Labels) {
			s.report(object, "its selector does not find its own pods")
		}
		for _, spread := range pod.Spec.TopologySpreadConstraints {
			if spread.LabelSelector == nil || !selected(spread.LabelSelector.MatchLabels, pod.Labels) {
				s.report(object, "topologySpreadConstraints of %s do not find its own pods", spread.TopologyKey)
			}
		}
		if account := pod.Spec.ServiceAccountName; account != "" && account != "default" && !s.has("ServiceAccount", d.Namespace, account) {
			s.report(object, "ServiceAccount %s is made nowhere", account)
		}
		s.checkVolumes(object, pod.Spec)
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			s.checkContainer(object, pod, container)
		}
		s.checkGrace(object, pod.Spec)
	})
}

func (s *Set) checkVolumes(object Object, pod corev1.PodSpec) {
	for _, volume := range pod.Volumes {
		kind, name := "", ""
		switch {
		case volume.ConfigMap != nil:
			kind, name = "ConfigMap", volume.ConfigMap.Name
		case volume.Secret != nil:
			kind, name = "Secret", volume.Secret.SecretName
		case volume.PersistentVolumeClaim != nil:
			kind, name = "PersistentVolumeClaim", volume.PersistentVolumeClaim.ClaimName
		}
		if kind != "" && !s.has(kind, object.GetNamespace(), name) {
			s.report(object, "volume %s: %s %s is made nowhere", volume.Name, kind, name)
		}
	}
}

func (s *Set) checkContainer(object Object, pod corev1.PodTemplateSpec, container corev1.Container) {
	if _, tag, _ := strings.Cut(container.Image[strings.LastIndex(container.Image, "/")+1:], ":"); tag == "" || tag == "latest" {
		s.report(object, "image %s has no fixed tag", container.Image)
	}
	for _, mount := range container.VolumeMounts {
		if mount.SubPath != "" {
			s.report(object, "%s is mounted by subPath: changes would not reach the pod", mount.MountPath)
		}
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == mount.Name }) {
			s.report(object, "mounts the volume %s, which it does not have", mount.Name)
		}
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.ReadinessProbe, container.LivenessProbe} {
		if port, ok := probedPort(probe); ok && !opensPort(pod, port) {
			s.report(object, "a probe asks for port %s, which the pod does not open", port.String())
		}
	}
	for _, env := range container.Env {
		if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil && !s.has("Secret", object.GetNamespace(), env.ValueFrom.SecretKeyRef.Name) {
			s.report(object, "%s: Secret %s is made nowhere", env.Name, env.ValueFrom.SecretKeyRef.Name)
		}
	}
}

func probedPort(probe *corev1.Probe) (intstr.IntOrString, bool) {
	switch {
	case probe == nil:
	case probe.GRPC != nil:
		return intstr.FromInt32(probe.GRPC.Port), true
	case probe.TCPSocket != nil:
		return probe.TCPSocket.Port, true
	case probe.HTTPGet != nil:
		return probe.HTTPGet.Port, true
	}
	return intstr.IntOrString{}, false
}

// checkGrace compares the drain with the time until Kubernetes kills the pod.
func (s *Set) checkGrace(object Object, pod corev1.PodSpec) {
	var wait int64
	for _, container := range pod.Containers {
		if container.Lifecycle != nil && container.Lifecycle.PreStop != nil && container.Lifecycle.PreStop.Sleep != nil {
			wait += container.Lifecycle.PreStop.Sleep.Seconds
		}
		for _, arg := range container.Args {
			if seconds, ok := strings.CutPrefix(arg, "--drain-timeout="); ok {
				n, _ := strconv.ParseInt(strings.TrimSuffix(seconds, "s"), 10, 64)
				wait += n
			}
		}
	}
	grace := int64(30)
	if pod.TerminationGracePeriodSeconds != nil {
		grace = *pod.TerminationGracePeriodSeconds
	}
	if grace <= wait {
		s.report(object, "terminationGracePeriodSeconds %d is over before the drain (%d s)", grace, wait)
	}
}

func (s *Set) checkServices() {
	s.each("Service", func(object Object) {
		service := as[corev1.Service](object)
		pods := s.pods(service.Namespace, service.Spec.Selector)
		if len(pods) == 0 {
			s.report(object, "its selector finds no pods")
		}
		for _, pod := range pods {
			for _, port := range service.Spec.Ports {
				target := port.TargetPort
				if target == (intstr.IntOrString{}) {
					target = intstr.FromInt32(port.Port)
				}
				if !opensPort(pod, target) {
					s.report(object, "port %d leads to %s, which the pods do not open", port.Port, target.String())
				}
			}
		}
	})
}

// servicePort says what is wrong with a reference to a Service's port, or "".
func (s *Set) servicePort(namespace, name string, port int64) string {
	object := s.find("Service", namespace, name)
	if object == nil {
		return fmt.Sprintf("Service %s/%s is made nowhere", namespace, name)
	}
	for _, open := range as[corev1.Service](object).Spec.Ports {
		if int64(open.Port) == port {
			return ""
		}
	}
	return fmt.Sprintf("Service %s/%s has no port %d", namespace, name, port)
}

func (s *Set) checkScaling() {
	s.each("PodDisruptionBudget", func(object Object) {
		budget := as[policyv1.PodDisruptionBudget](object)
		if budget.Spec.Selector == nil || len(s.pods(budget.Namespace, budget.Spec.Selector.MatchLabels)) == 0 {
			s.report(object, "its selector finds no pods")
		}
	})
	s.each("HorizontalPodAutoscaler", func(object Object) {
		target := as[autoscalingv2.HorizontalPodAutoscaler](object).Spec.ScaleTargetRef
		found := s.find(target.Kind, object.GetNamespace(), target.Name)
		if found == nil {
			s.report(object, "%s %s is made nowhere", target.Kind, target.Name)
		} else if _, set, _ := unstructured.NestedFieldNoCopy(found.Object, "spec", "replicas"); set {
			s.report(object, "%s %s sets replicas: each apply would undo the scaling", target.Kind, target.Name)
		}
	})
	s.each("NetworkPolicy", func(object Object) {
		policy := as[networkingv1.NetworkPolicy](object)
		pods := s.pods(policy.Namespace, policy.Spec.PodSelector.MatchLabels)
		if len(policy.Spec.PodSelector.MatchLabels) > 0 && len(pods) == 0 { // without labels it means all
			s.report(object, "its selector finds no pods")
		}
		for _, rule := range policy.Spec.Ingress {
			s.checkPeers(object, rule.From)
			for _, port := range rule.Ports {
				for _, pod := range pods {
					if port.Port != nil && !opensPort(pod, *port.Port) {
						s.report(object, "allows port %s, which the pods do not open", port.Port.String())
					}
				}
			}
		}
	})
}

// checkPeers finds peers in namespaces that are made nowhere.
func (s *Set) checkPeers(object Object, peers []networkingv1.NetworkPolicyPeer) {
	for _, peer := range peers {
		if peer.NamespaceSelector == nil {
			continue
		}
		name := peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
		if name != "" && !s.has("Namespace", "", name) {
			s.report(object, "lets in the namespace %s, which is made nowhere", name)
		}
	}
}

func (s *Set) checkAccess() {
	s.each("RoleBinding", func(object Object) {
		binding := as[rbacv1.RoleBinding](object)
		if !s.has(binding.RoleRef.Kind, binding.Namespace, binding.RoleRef.Name) {
			s.report(object, "%s %s is made nowhere", binding.RoleRef.Kind, binding.RoleRef.Name)
		}
		for _, subject := range binding.Subjects {
			if !s.has(subject.Kind, subject.Namespace, subject.Name) {
				s.report(object, "%s %s/%s is made nowhere", subject.Kind, subject.Namespace, subject.Name)
			}
		}
	})
	s.each("Role", func(object Object) {
		for _, rule := range as[rbacv1.Role](object).Rules {
			for _, word := range slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups) {
				if word == "*" {
					s.report(object, "a rule with * gives more than is needed")
				}
			}
		}
	})
	s.each("ClusterRole", func(object Object) { s.report(object, "the picker needs no rights beyond its namespace") })
}

func (s *Set) checkMonitoring() {
	s.each("ServiceMonitor", func(object Object) {
		var found []*corev1.Service
		raw, _, _ := unstructured.NestedMap(object.Object, "spec", "selector")
		var byLabel metav1.LabelSelector
		_ = runtime.DefaultUnstructuredConverter.FromUnstructured(raw, &byLabel)
		selector, err := metav1.LabelSelectorAsSelector(&byLabel)
		if err != nil {
			s.report(object, "selector: %v", err)
			return
		}
		s.each("Service", func(service Object) {
			if service.GetNamespace() == object.GetNamespace() && selector.Matches(labels.Set(service.GetLabels())) {
				found = append(found, as[corev1.Service](service))
			}
		})
		if len(found) != 1 {
			s.report(object, "its selector finds %d Services, not one", len(found))
		}
		endpoints, _, _ := unstructured.NestedSlice(object.Object, "spec", "endpoints")
		for _, service := range found {
			for _, endpoint := range endpoints {
				port, _ := endpoint.(map[string]any)["port"].(string)
				if !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port }) {
					s.report(object, "Service %s has no port %s", service.Name, port)
				}
			}
		}
	})
}
