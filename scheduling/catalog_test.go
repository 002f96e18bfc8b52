package scheduling_test

import (
	"testing"

	"semantic-epp/config"
	"semantic-epp/scheduling"
)

func TestServes(t *testing.T) {
	catalog := scheduling.NewCatalog([]config.Model{
		{Name: "labelled", Match: map[string]string{"app": "a"}},
		{Name: "adapter", AdapterOf: "labelled"},
		{Name: "reported"},
		{Name: "cloud", External: true},
	})
	tests := map[string]struct {
		model  string
		server scheduling.Server
		want   bool
	}{
		"labels match":                        {"labelled", scheduling.Server{Labels: map[string]string{"app": "a", "x": "y"}}, true},
		"a label differs":                     {"labelled", scheduling.Server{Labels: map[string]string{"app": "b"}}, false},
		"labels count, not the reported name": {"labelled", scheduling.Server{Served: "labelled"}, false},
		"an adapter is where its base is":     {"adapter", scheduling.Server{Labels: map[string]string{"app": "a"}}, true},
		"an adapter is not elsewhere":         {"adapter", scheduling.Server{Labels: map[string]string{"app": "b"}}, false},
		"the server reports the model":        {"reported", scheduling.Server{Served: "reported"}, true},
		"the server reports another":          {"reported", scheduling.Server{Served: "labelled"}, false},
		"a name that only the server knows":   {"extra", scheduling.Server{Served: "extra"}, true},
		"an adapter that only runs there":     {"lora", scheduling.Server{Adapters: map[string]int{"lora": 0}}, true},
		"an adapter that only waits there":    {"lora", scheduling.Server{Waiting: map[string]int{"lora": 0}}, true},
		"external models have no servers":     {"cloud", scheduling.Server{Served: "cloud"}, false},
		"a name that nobody knows":            {"gpt", scheduling.Server{Served: "reported"}, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := catalog.Serves(tc.model, tc.server); got != tc.want {
				t.Errorf("Serves(%q) = %v", tc.model, got)
			}
		})
	}
}
