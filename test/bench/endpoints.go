package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"sigs.k8s.io/yaml"
)

// Names that the servers under test and the driver agree on.
const (
	destinationHeader = "x-gateway-destination-endpoint" // GIE's endpoint picker protocol (proposal 004)
	benchNamespace    = "default"
	benchModel        = "bench-model"
)

// endpoint is one model server, as an endpoints file lists it.
type endpoint struct {
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Address   string            `json:"address"` // an IP address
	Port      int               `json:"port"`
	Labels    map[string]string `json:"labels,omitempty"`
}

// hostPort is the endpoint as a picker names it: ip:port.
func (e endpoint) hostPort() string { return net.JoinHostPort(e.Address, strconv.Itoa(e.Port)) }

// endpointsFile is the whole file: `endpoints: [{name, namespace, address, port, labels}]`.
type endpointsFile struct {
	Endpoints []endpoint `json:"endpoints"`
}

func writeEndpoints(path string, eps []endpoint) error {
	text, err := yaml.Marshal(endpointsFile{Endpoints: eps})
	if err != nil {
		return fmt.Errorf("encode the endpoints file: %w", err)
	}
	return os.WriteFile(path, text, 0o600)
}

func readEndpoints(path string) ([]endpoint, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the endpoints file: %w", err)
	}
	var file endpointsFile
	if err := yaml.UnmarshalStrict(text, &file); err != nil {
		return nil, fmt.Errorf("decode the endpoints file %s: %w", path, err)
	}
	if len(file.Endpoints) == 0 {
		return nil, fmt.Errorf("the endpoints file %s lists no endpoint", path)
	}
	return file.Endpoints, nil
}
