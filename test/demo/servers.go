package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"semantic-epp/config"
	"semantic-epp/test/vllmsim"
)

// simulated are the model servers of the demo: what the configuration inside
// the picker expects.
var simulated = []struct {
	label string // the value of the label app
	vllmsim.Config
}{
	{"vllm-llama3-8b-instruct", vllmsim.Config{Name: "llama3-8b-0", Model: "llama3-8b"}},
	{"vllm-llama3-8b-instruct", vllmsim.Config{Name: "llama3-8b-1", Model: "llama3-8b"}},
	{"phi4-mini", vllmsim.Config{Name: "phi4-mini-0", Model: "phi4-mini"}},
	{"phi4-mini", vllmsim.Config{Name: "phi4-mini-1", Model: "phi4-mini"}},
	{"base-model", vllmsim.Config{Name: "base-model-0", Model: "base-model", MaxLoras: 2, Adapters: adapters}},
}

var adapters = []string{"math-expert", "science-expert", "social-expert", "humanities-expert", "law-expert", "general-expert"}

// simulate starts the simulated servers and returns the path of their
// endpoints file.
func simulate(opened *stack) (string, error) {
	var file config.Endpoints
	for _, s := range simulated {
		cfg := s.Config
		cfg.MaxNumSeqs = 4 // small, so that a few curls at once make a queue
		cfg.MaxModelLen = 8192
		cfg.TTFT = 80 * time.Millisecond
		cfg.TPOT = 20 * time.Millisecond
		cfg.OutputTokens = 24
		cfg.MetricsPageBytes = 44 << 10
		server, err := vllmsim.Start(cfg)
		if err != nil {
			return "", err
		}
		opened.push(cfg.Name, func(context.Context) error { return server.Close() })
		file.Endpoints = append(file.Endpoints, config.Endpoint{
			Name: cfg.Name, Namespace: "default", Address: "127.0.0.1", Port: server.Port(),
			Labels: map[string]string{"app": s.label},
		})
	}
	content, err := yaml.Marshal(file)
	if err != nil {
		return "", fmt.Errorf("write the endpoints file: %w", err)
	}
	dir, err := scratch(opened)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "endpoints.yaml")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return "", fmt.Errorf("write the endpoints file: %w", err)
	}
	return path, nil
}
