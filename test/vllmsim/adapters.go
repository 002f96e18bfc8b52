package vllmsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// adapters are the LoRA adapters that a server has loaded, beside its base model.
type adapters struct {
	base string
	mu   sync.Mutex
	all  []string
}

func newAdapters(cfg Config) adapters {
	return adapters{base: cfg.Model, all: slices.Clone(cfg.Adapters)}
}

// find returns the adapter behind a model name, "" for the base model, and
// whether the server serves that name at all.
func (a *adapters) find(model string) (adapter string, served bool) {
	if model == a.base {
		return "", true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return model, slices.Contains(a.all, model)
}

// load adds an adapter and reports whether it was new.
func (a *adapters) load(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if name == a.base || slices.Contains(a.all, name) {
		return false
	}
	a.all = append(a.all, name)
	return true
}

// unload removes an adapter and reports whether it was there.
func (a *adapters) unload(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.all, name)
	if i < 0 {
		return false
	}
	a.all = slices.Delete(a.all, i, i+1)
	return true
}

func (a *adapters) list() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.all)
}

func (s *Server) loadAdapter(w http.ResponseWriter, _ *http.Request, body []byte) {
	name, ok := adapterName(w, body)
	if !ok {
		return
	}
	if !s.adapters.load(name) {
		writeJSON(w, http.StatusBadRequest, openAIError(http.StatusBadRequest,
			fmt.Sprintf("The lora adapter '%s' has already been loaded.", name)))
		return
	}
	fmt.Fprintf(w, "Success: LoRA adapter '%s' added successfully.", name)
}

func (s *Server) unloadAdapter(w http.ResponseWriter, _ *http.Request, body []byte) {
	name, ok := adapterName(w, body)
	if !ok {
		return
	}
	if !s.adapters.unload(name) {
		writeJSON(w, http.StatusNotFound, openAIError(http.StatusNotFound,
			fmt.Sprintf("The lora adapter '%s' cannot be found.", name)))
		return
	}
	fmt.Fprintf(w, "Success: LoRA adapter '%s' removed successfully.", name)
}

func adapterName(w http.ResponseWriter, body []byte) (string, bool) {
	var request struct {
		Name string `json:"lora_name"`
	}
	if err := json.Unmarshal(body, &request); err != nil || request.Name == "" {
		writeJSON(w, http.StatusBadRequest, openAIError(http.StatusBadRequest, "'lora_name' must be provided."))
		return "", false
	}
	return request.Name, true
}

// A modelCard is one entry of GET /v1/models.
type modelCard struct {
	ID          string  `json:"id"`
	Object      string  `json:"object"`
	Created     int64   `json:"created"`
	OwnedBy     string  `json:"owned_by"`
	Root        string  `json:"root"`
	Parent      *string `json:"parent"`
	MaxModelLen int     `json:"max_model_len"`
}

func (s *Server) models(w http.ResponseWriter, _ *http.Request, _ []byte) {
	card := modelCard{
		ID: s.cfg.Model, Object: "model", Created: time.Now().Unix(), OwnedBy: "vllm",
		Root: s.cfg.Model, MaxModelLen: s.cfg.MaxModelLen,
	}
	cards := []modelCard{card}
	for _, adapter := range s.adapters.list() {
		card.ID, card.Root, card.Parent = adapter, adapter, &s.cfg.Model
		cards = append(cards, card)
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": cards})
}
