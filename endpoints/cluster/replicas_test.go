package cluster

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// readyPod is a ready pod; pairs are labels, or annotations where a key begins
// with "@".
func readyPod(name, ip string, pairs ...string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{}, Annotations: map[string]string{}}}
	for i := 0; i < len(pairs); i += 2 {
		if key, ok := strings.CutPrefix(pairs[i], "@"); ok {
			p.Annotations[key] = pairs[i+1]
		} else {
			p.Labels[pairs[i]] = pairs[i+1]
		}
	}
	p.Status.PodIP = ip
	setReady(&p, true)
	return p
}

func setReady(p *corev1.Pod, ready bool) {
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: "True"}, {Type: corev1.PodReady, Status: status}}
}

func poolOf(name, app string, models []string, ports ...int) pool {
	return pool{name: name, selector: labels.SelectorFromSet(labels.Set{"app": app}), ports: ports, models: models}
}

func TestReplicas(t *testing.T) {
	llama, phi := poolOf("llama", "llama", []string{"llama3-8b"}, 8000), poolOf("phi", "phi", nil, 8000)
	pending := readyPod("a", "10.0.0.1", "app", "llama")
	setReady(&pending, false)
	leaving := readyPod("a", "10.0.0.1", "app", "llama")
	leaving.DeletionTimestamp = &metav1.Time{}
	leaving.DeletionTimestamp.Time = metav1.Now().Time
	v6 := readyPod("a", "fd00::1", "app", "llama")
	v6.Spec.HostNetwork = true
	tests := map[string]struct {
		pod   corev1.Pod
		pools []pool
		want  string // name metricsHost pools models; one line each
	}{
		"a pod of one pool":             {readyPod("a", "10.0.0.1", "app", "llama"), []pool{llama, phi}, "a-rank-0 10.0.0.1:8000 [llama] [llama3-8b]"},
		"a pod of no pool":              {readyPod("a", "10.0.0.1", "app", "other"), []pool{llama, phi}, ""},
		"a pod that is not ready":       {pending, []pool{llama}, ""},
		"a pod that terminates":         {leaving, []pool{llama}, ""},
		"a pod without an address":      {readyPod("a", "", "app", "llama"), []pool{llama}, ""},
		"IPv6 on the network of a node": {v6, []pool{llama}, "a-rank-0 [fd00::1]:8000 [llama] [llama3-8b]"},
		"a port each is an endpoint each": {readyPod("a", "10.0.0.1", "app", "llama"), []pool{poolOf("llama", "llama", nil, 8000, 8001)},
			"a-rank-0 10.0.0.1:8000 [llama] []\na-rank-1 10.0.0.1:8001 [llama] []"},
		"a port on which the pod does not listen": {readyPod("a", "10.0.0.1", "app", "llama", "@"+activePortsKey, "8001, x, 9"),
			[]pool{poolOf("llama", "llama", nil, 8000, 8001)}, "a-rank-1 10.0.0.1:8001 [llama] []"},
		"a port of two pools is one endpoint": {readyPod("a", "10.0.0.1", "app", "llama"),
			[]pool{poolOf("all", "llama", []string{"x", "llama3-8b"}, 8000), llama}, "a-rank-0 10.0.0.1:8000 [all llama] [llama3-8b x]"},
		"two pools with ports of their own": {readyPod("a", "10.0.0.1", "app", "llama"),
			[]pool{poolOf("adapters", "llama", []string{"lora"}, 8001), llama},
			"a-rank-0 10.0.0.1:8001 [adapters] [lora]\na-rank-1 10.0.0.1:8000 [llama] [llama3-8b]"},
		"a pod that speaks for itself": {readyPod("a", "10.0.0.1", "app", "llama", ModelsKey, "own"), []pool{llama}, "a-rank-0 10.0.0.1:8000 [llama] [own]"},
		"a selector without a pool":    {readyPod("a", "10.0.0.1", "app", "llama"), []pool{poolOf("", "llama", nil, 8000)}, "a-rank-0 10.0.0.1:8000 [] []"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			small, err := strip(&tc.pod) // what the cache keeps must be enough
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range replicas([]corev1.Pod{*small.(*corev1.Pod)}, tc.pools) {
				got = append(got, fmt.Sprintf("%s %s %v %v", r.Metadata.NamespacedName.Name, r.Metadata.MetricsHost, r.Pools, r.Models))
			}
			if s := strings.Join(got, "\n"); s != tc.want {
				t.Errorf("got\n%s\nwant\n%s", s, tc.want)
			}
		})
	}
}

// BenchmarkReplicas computes the endpoints of 1,000 pods in 4 pools.
func BenchmarkReplicas(b *testing.B) {
	var pods []corev1.Pod
	var pools []pool
	for i := range 4 {
		pools = append(pools, poolOf(fmt.Sprint("pool-", i), fmt.Sprint("app-", i), []string{fmt.Sprint("model-", i)}, 8000))
	}
	for i := range 1000 {
		pods = append(pods, readyPod(fmt.Sprint("pod-", i), fmt.Sprintf("10.0.%d.%d", i/250, i%250), "app", fmt.Sprint("app-", i%4), "pod-template-hash", "7f9c"))
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(replicas(pods, pools)); n != 1000 {
			b.Fatal(n)
		}
	}
}
