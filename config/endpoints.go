package config

import (
	"errors"
	"fmt"
	"net/netip"

	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Endpoints is the endpoints file: the replicas and priorities that Kubernetes
// would otherwise tell. The shape of an endpoint is the one that llm-d-router's
// file discovery reads.
type Endpoints struct {
	Endpoints  []Endpoint  `json:"endpoints"`
	Objectives []Objective `json:"objectives,omitempty"`
}

// Endpoint is one model server.
type Endpoint struct {
	// Name is unique within Namespace. It stands in metrics and logs.
	Name string `json:"name"`
	// Namespace defaults to "default".
	Namespace string `json:"namespace,omitempty"`
	// Address is an IP address: gateways accept no names here.
	Address string `json:"address"`
	// Port of the model server; its /metrics are read there too.
	Port int `json:"port"`
	// Labels are what models match on.
	Labels map[string]string `json:"labels,omitempty"`
}

// Objective gives requests that name it a priority, as an InferenceObjective
// does in Kubernetes. A negative priority may be shed under saturation.
type Objective struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
}

// DecodeEndpoints reads an endpoints file in YAML or JSON. The error names
// every fault.
func DecodeEndpoints(data []byte) (*Endpoints, error) {
	asJSON, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, fmt.Errorf("decode endpoints: %w", err)
	}
	e := &Endpoints{}
	strict, err := kjson.UnmarshalStrict(asJSON, e)
	if err != nil {
		return nil, fmt.Errorf("decode endpoints: %w", err)
	}
	f := &faults{list: strict}
	e.check(f)
	return e, errors.Join(f.list...)
}

func (e *Endpoints) check(f *faults) {
	seen := map[string]bool{}
	addresses := map[netip.AddrPort]string{}
	for i := range e.Endpoints {
		ep := &e.Endpoints[i]
		at := fmt.Sprintf("endpoints[%d]", i)
		if ep.Namespace == "" {
			ep.Namespace = "default"
		}
		id := ep.Namespace + "/" + ep.Name
		switch {
		case ep.Name == "":
			f.add(at+".name", "missing")
		case seen[id]:
			f.add(at+".name", "endpoint %s stands twice", id)
		}
		seen[id] = true
		address, err := netip.ParseAddr(ep.Address)
		if err != nil {
			f.add(at+".address", "%q is not an IP address; gateways accept no names here", ep.Address)
		}
		if ep.Port < 1 || ep.Port > 65535 {
			f.add(at+".port", "%d; use 1 to 65535", ep.Port)
			continue
		}
		if err != nil {
			continue
		}
		target := netip.AddrPortFrom(address, uint16(ep.Port))
		if other, ok := addresses[target]; ok {
			f.add(at, "%s is the address of endpoint %s too", target, other)
		}
		addresses[target] = id
	}
	objectives := map[string]bool{}
	for i, o := range e.Objectives {
		at := fmt.Sprintf("objectives[%d].name", i)
		switch {
		case o.Name == "":
			f.add(at, "missing")
		case objectives[o.Name]:
			f.add(at, "objective %q stands twice", o.Name)
		}
		objectives[o.Name] = true
	}
}
