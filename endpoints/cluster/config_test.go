package cluster

import (
	"strings"
	"testing"

	"k8s.io/client-go/rest"

	"semantic-epp/endpoints"
)

func TestConfigFaults(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want []string // parts of the error; none for a good configuration
	}{
		"one pool":                       {Config{Pools: []string{"a"}}, nil},
		"several pools of the old group": {Config{Pools: []string{"a", "b"}, PoolGroup: OldGroup}, nil},
		"a Service and its port":         {Config{PickerService: "epp", PickerPort: 9002}, nil},
		"a selector and ports":           {Config{Selector: "app=vllm,env in (a,b)", TargetPorts: []int{8000, 8001}}, nil},
		"nothing to follow":              {Config{}, []string{"0 of pools"}},
		"two ways at once":               {Config{Pools: []string{"a"}, PickerService: "epp"}, []string{"2 of pools"}},
		"all faults are told at once": {
			Config{Pools: []string{"A", "b", "b"}, PoolGroup: "x", PickerPort: -1},
			[]string{`pool "A"`, `"b" stands twice`, `group "x"`, "port -1"},
		},
		"a selector that is none":       {Config{Selector: "a=b=c", TargetPorts: []int{1}}, []string{"a=b=c"}},
		"a selector without ports":      {Config{Selector: "a=b"}, []string{"0 target ports"}},
		"a selector with bad ports":     {Config{Selector: "a=b", TargetPorts: []int{0, 7, 7}}, []string{"port 0", "port 7 stands twice"}},
		"ports without a selector":      {Config{Pools: []string{"a"}, TargetPorts: []int{8000}}, []string{"InferencePools name their own"}},
		"a Lease that cannot be named":  {Config{Selector: "a in (b)", TargetPorts: []int{1}, LeaderElection: true}, []string{"name it yourself"}},
		"a Lease that is named instead": {Config{Selector: "a in (b)", TargetPorts: []int{1}, LeaderElection: true, LeaseName: "x"}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.cfg.REST, tc.cfg.Store, tc.cfg.Namespace = &rest.Config{}, &endpoints.Store{}, "default"
			_, err := tc.cfg.complete()
			if (err == nil) != (tc.want == nil) {
				t.Fatalf("error is %v", err)
			}
			for _, part := range tc.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error lacks %q: %v", part, err)
				}
			}
		})
	}
}

func TestLeasesOfDifferentPickersDiffer(t *testing.T) {
	seen := map[string]string{}
	for name, cfg := range map[string]Config{
		"pool a":    {Pools: []string{"a"}},
		"both":      {Pools: []string{"a", "b"}},
		"Service a": {PickerService: "a"},
		"selector":  {Selector: "app=a", TargetPorts: []int{1}},
	} {
		cfg.LeaderElection = true
		lease := cfg.leaseName()
		if other, ok := seen[lease]; ok {
			t.Errorf("%s and %s share the Lease %s", name, other, lease)
		}
		seen[lease] = name
	}
	one, other := Config{Pools: []string{"a", "b"}}, Config{Pools: []string{"b", "a"}}
	if one.leaseName() != other.leaseName() {
		t.Error("replicas that name the pools in another order do not share a Lease")
	}
}

func TestRulesAreNoMoreThanTheFeaturesNeed(t *testing.T) {
	tests := map[string]struct {
		cfg  Config
		want string
	}{
		"a selector reads pods alone": {Config{Selector: "a=b"}, "/pods:get,list,watch"},
		"an election adds its Lease and Events": {Config{Selector: "a=b", LeaderElection: true},
			"/pods:get,list,watch ,events.k8s.io/events:create,patch coordination.k8s.io/leases:get,create,update"},
		"pools add what refers to them": {Config{Pools: []string{"a"}},
			"/pods:get,list,watch inference.networking.k8s.io/inferencepools:get,list,watch " +
				"inference.networking.x-k8s.io/inferenceobjectives,inferencemodelrewrites:get,list,watch " +
				"gateway.networking.k8s.io/httproutes:get,list,watch ,events.k8s.io/events:create,patch"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range tc.cfg.Rules() {
				got = append(got, strings.Join(r.APIGroups, ",")+"/"+strings.Join(r.Resources, ",")+":"+strings.Join(r.Verbs, ","))
			}
			if s := strings.Join(got, " "); s != tc.want {
				t.Errorf("got  %s\nwant %s", s, tc.want)
			}
		})
	}
}
