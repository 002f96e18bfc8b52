package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"

	"semantic-epp/payload"
)

// service is what vLLM Semantic Router calls its API in health replies.
const service = "classification-api"

// health serves GET /health: the process answers.
func (s *server) health(context.Context, []byte) (reply, error) {
	return ok(struct {
		Status  string `json:"status"`
		Service string `json:"service"`
	}{"healthy", service}), nil
}

// ready serves GET /ready: requests can be decided.
func (s *server) ready(ctx context.Context, _ []byte) (reply, error) {
	type readiness struct {
		Status  string `json:"status"`
		Service string `json:"service"`
		Ready   bool   `json:"ready"`
		Message string `json:"message,omitempty"`
	}
	if err := s.backend.Ready(ctx); err != nil {
		return reply{http.StatusServiceUnavailable, readiness{"starting", service, false, err.Error()}}, nil
	}
	return ok(readiness{"ready", service, true, ""}), nil
}

// models serves GET /v1/models.
func (s *server) models(context.Context, []byte) (reply, error) {
	var entries []payload.ModelEntry
	for _, m := range s.backend.Models() {
		entries = append(entries, payload.ModelEntry{ID: m.Name, Created: s.started.Unix(), OwnedBy: "semantic-epp", Parent: m.AdapterOf})
	}
	return ok(json.RawMessage(payload.ModelListBody(entries))), nil
}

// infoClassifier serves GET /info/classifier.
func (s *server) infoClassifier(context.Context, []byte) (reply, error) {
	type description struct {
		Name     string   `json:"name"`
		Revision string   `json:"revision"`
		Labels   []string `json:"labels"`
		Device   string   `json:"device"`
	}
	info := s.backend.Classifier()
	answer := struct {
		Status     string       `json:"status"`
		Classifier *description `json:"classifier"` // null: there is none
		Config     any          `json:"config"`
	}{Status: "config_loaded", Config: info.Config}
	if info.Config == nil {
		answer.Status = "no_config"
	}
	if info.Name != "" {
		answer.Classifier = &description{info.Name, info.Revision, append([]string{}, info.Labels...), info.Device}
	}
	return ok(answer), nil
}

// modelInfo is a model that runs in the picker itself.
type modelInfo struct {
	Name       string            `json:"name"`
	Type       string            `json:"type"`
	Loaded     bool              `json:"loaded"`
	State      string            `json:"state"`
	Categories []string          `json:"categories,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
}

type modelsSummary struct {
	Ready        bool `json:"ready"`
	LoadedModels int  `json:"loaded_models"`
	TotalModels  int  `json:"total_models"`
}

type systemInfo struct {
	GoVersion    string `json:"go_version"`
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	MemoryUsage  string `json:"memory_usage"`
	GPUAvailable bool   `json:"gpu_available"` // in use, rather than merely there
}

// infoModels serves GET /info/models: the models inside the picker, as in vLLM
// Semantic Router; those that requests go to are in /v1/models.
func (s *server) infoModels(ctx context.Context, _ []byte) (reply, error) {
	answer := struct {
		Models  []modelInfo   `json:"models"`
		Summary modelsSummary `json:"summary"`
		System  systemInfo    `json:"system"`
	}{Models: []modelInfo{}, System: s.system()}
	if info := s.backend.Classifier(); info.Name != "" {
		answer.Models = append(answer.Models, modelInfo{
			Name:       "category_classifier",
			Type:       "intent_classification",
			Loaded:     true,
			State:      "ready",
			Categories: info.Labels,
			Metadata:   map[string]string{"model": info.Name, "revision": info.Revision, "device": info.Device},
		})
		answer.System.GPUAvailable = strings.HasPrefix(info.Device, "cuda")
	}
	answer.Summary = modelsSummary{s.backend.Ready(ctx) == nil, len(answer.Models), len(answer.Models)}
	return ok(answer), nil
}

// thisSystem describes the process. The memory is what the Go runtime holds;
// that of ONNX Runtime is not in it.
func thisSystem() systemInfo {
	held := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(held)
	return systemInfo{
		GoVersion:    runtime.Version(),
		Architecture: runtime.GOARCH,
		OS:           runtime.GOOS,
		MemoryUsage:  fmt.Sprintf("%.2f MB", float64(held[0].Value.Uint64())/(1<<20)),
	}
}
