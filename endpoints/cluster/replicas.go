package cluster

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	podutil "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/util/pod"

	"semantic-epp/endpoints"
)

// activePortsKey is GIE's annotation of a pod that leaves out target ports on
// which nothing listens there (pkg/epp/datastore, activePortsAnnotation).
const activePortsKey = "inference.networking.k8s.io/active-ports"

// replicas are the endpoints of the pods: one for each port that a pool asks
// for. A port that several pools ask for is one endpoint in all of them.
func replicas(pods []corev1.Pod, pools []pool) []endpoints.Replica {
	var all []endpoints.Replica
	for i := range pods {
		pod := &pods[i]
		if podutil.IsPodReady(pod) && pod.Status.PodIP != "" {
			all = append(all, ranks(pod, pools)...)
		}
	}
	return all
}

// ranks are the endpoints of one pod. They are numbered over the target ports
// in the order of the pools, those left out included; with one pool these are
// GIE's names.
func ranks(pod *corev1.Pod, pools []pool) []endpoints.Replica {
	var ports []int
	selected := map[int][]*pool{} // by port
	for i := range pools {
		p := &pools[i]
		if !p.selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		for _, port := range p.ports {
			if !slices.Contains(ports, port) {
				ports = append(ports, port)
			}
			selected[port] = append(selected[port], p)
		}
	}
	own := declared(pod)
	var of []endpoints.Replica
	for rank, port := range ports {
		if !active(pod, port) {
			continue
		}
		r := endpoints.Replica{Metadata: metadata(pod, rank, port), Models: own}
		for _, p := range selected[port] {
			if p.name != "" {
				r.Pools = append(r.Pools, p.name)
			}
			if len(own) == 0 {
				r.Models = append(r.Models, p.models...)
			}
		}
		r.Models = sorted(r.Models)
		of = append(of, r)
	}
	return of
}

func metadata(pod *corev1.Pod, rank, port int) *fwkdl.EndpointMetadata {
	number := strconv.Itoa(port)
	return &fwkdl.EndpointMetadata{
		NamespacedName: types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name + "-rank-" + strconv.Itoa(rank)},
		PodName:        pod.Name,
		Address:        pod.Status.PodIP,
		Port:           number,
		MetricsHost:    net.JoinHostPort(pod.Status.PodIP, number),
		Labels:         maps.Clone(pod.Labels),
	}
}

// active says whether the pod listens on a port: on all of them, unless it says
// on which.
func active(pod *corev1.Pod, port int) bool {
	list, ok := pod.Annotations[activePortsKey]
	if !ok {
		return true
	}
	for number := range strings.SplitSeq(list, ",") {
		if n, err := strconv.Atoi(strings.TrimSpace(number)); err == nil && n == port {
			return true
		}
	}
	return false
}

// strip leaves of a pod what replicas reads. A pod is some 10 KB otherwise, and
// the cache keeps all of the namespace.
func strip(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	small := &corev1.Pod{TypeMeta: pod.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Name:              pod.Name,
		Namespace:         pod.Namespace,
		UID:               pod.UID,
		ResourceVersion:   pod.ResourceVersion,
		DeletionTimestamp: pod.DeletionTimestamp,
		Labels:            pod.Labels,
	}}
	for _, key := range []string{activePortsKey, ModelsKey} {
		if value, ok := pod.Annotations[key]; ok {
			metav1.SetMetaDataAnnotation(&small.ObjectMeta, key, value)
		}
	}
	small.Status.PodIP = pod.Status.PodIP
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			small.Status.Conditions = []corev1.PodCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	return small, nil
}
