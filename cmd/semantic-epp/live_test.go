package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"

	"semantic-epp/endpoints"
	"semantic-epp/plugins/semantic"
)

// unpolled makes endpoints that nobody polls.
type unpolled struct{}

func (unpolled) NewEndpoint(_ context.Context, meta *fwkdl.EndpointMetadata, _ datalayer.PoolInfo) fwkdl.Endpoint {
	return fwkdl.NewEndpoint(meta, nil)
}
func (unpolled) ReleaseEndpoint(fwkdl.Endpoint) {}

// running is a picker's configuration, as serve holds it.
func running(t *testing.T, path, text string) *live {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfiguration(t.Context(), path, "", true)
	if err != nil {
		t.Fatal(err)
	}
	l, err := loadConfig(t.Context(), c.name, c.data, newOpener("", func(string) {}), func() []types.NamespacedName { return nil }, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	store := endpoints.NewStore(unpolled{})
	t.Cleanup(store.Close)
	return &live{name: path, started: c.data, standalone: c.standalone, plugin: l.semantic, store: store}
}

// follows starts to follow the file and returns what is logged of it.
func (l *live) follows(t *testing.T) (logged func() string) {
	t.Helper()
	var mu sync.Mutex
	var lines strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := followConfiguration(ctx, l, funcr.New(func(_, args string) {
		mu.Lock()
		defer mu.Unlock()
		lines.WriteString(args + "\n")
	}, funcr.Options{}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); wait() })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return lines.String()
	}
}

// decided is the rule for a prompt about a word.
func decided(p *semantic.Plugin, word string) string {
	d := p.Rules().Decide(context.Background(), semantic.Prompt{Text: "tell me about " + word})
	return d.Rule
}

// rulesOn is the default configuration with rules on words.
func rulesOn(words ...string) string {
	before, after, _ := strings.Cut(linear(), "    - name: math")
	_, after, _ = strings.Cut(after, "- type: semantic-model-filter")
	for _, word := range words {
		before += "    - {name: " + word + ", when: {keyword: [" + word + "]}, models: [{name: llama3-8b}]}\n"
	}
	return before + "- type: semantic-model-filter" + after
}

func TestAChangedConfiguration(t *testing.T) {
	const prefix = "config.yaml"
	weight := func(text string) string {
		return strings.Replace(text, "queue-scorer, weight: 2", "queue-scorer, weight: 3", 1)
	}
	tests := map[string]struct {
		changes []string // one after the other
		says    string   // of the last one; none: taken over
		at      string   // text of the last one whose place is told
		rule    string   // that decides about dogs then
	}{
		"another rule":                       {changes: []string{rulesOn("dogs")}, rule: "dogs"},
		"a comment":                          {changes: []string{rulesOn("cats") + "# a comment\n"}},
		"a scorer's weight":                  {changes: []string{weight(rulesOn("cats"))}, says: "restart needed for schedulingProfiles"},
		"a rule and a weight":                {changes: []string{weight(rulesOn("dogs"))}, says: "restart needed for schedulingProfiles; the parameters of semantic-router are taken over", rule: "dogs"},
		"both, and back again":               {changes: []string{weight(rulesOn("dogs")), rulesOn("cats")}},
		"both, and the rule back again":      {changes: []string{weight(rulesOn("dogs")), weight(rulesOn("cats"))}, says: "restart needed"},
		"both, and the weight back again":    {changes: []string{weight(rulesOn("dogs")), rulesOn("dogs")}, rule: "dogs"},
		"a typing error":                     {changes: []string{strings.Replace(rulesOn("dogs"), "keyword:", "keywrod:", 1)}, says: "rules[0].when.keywrod: unknown key; did you mean keyword?", at: "keywrod"},
		"a category that nobody knows":       {changes: []string{strings.Replace(rulesOn("dogs"), "keyword: [dogs]", "domain: dogs", 1)}, says: `knows no "dogs"`, at: "dogs}, models"},
		"a model that does not open":         {changes: []string{strings.Replace(rulesOn("dogs"), "model: linear", "model: ./none", 1)}, says: "none"},
		"no YAML":                            {changes: []string{"kind: ["}, says: "config.yaml:1:1: not YAML"},
		"nothing":                            {changes: []string{""}, says: prefix},
		"a fault beside the rules":           {changes: []string{strings.Replace(rulesOn("dogs"), "pluginRef: queue-scorer", "pluginRef: queue-scorrer", 1)}, says: "unknown plugin \"queue-scorrer\"", at: "queue-scorrer"},
		"a fault, and then a good version":   {changes: []string{"kind: [", rulesOn("dogs")}, rule: "dogs"},
		"a good version, and then a fault":   {changes: []string{rulesOn("dogs"), "kind: ["}, says: "not YAML", rule: "dogs"},
		"another plugin, which needs a stop": {changes: []string{strings.Replace(rulesOn("cats"), "- type: queue-scorer\n", "- type: queue-scorer\n- {name: more, type: queue-scorer}\n", 1)}, says: "restart needed for plugins: new more"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			l := running(t, filepath.Join(t.TempDir(), prefix), rulesOn("cats"))
			l.parameters, _ = semanticParameters(l.name, l.started)
			var err error
			for _, text := range tc.changes {
				err = l.load(t.Context(), []byte(text))
			}
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %q", err, tc.says)
			}
			if tc.at != "" {
				if err := os.WriteFile(l.name, []byte(tc.changes[len(tc.changes)-1]), 0o600); err != nil {
					t.Fatal(err)
				}
				if want := place(t, l.name, tc.at); !strings.Contains(err.Error(), want) {
					t.Errorf("no fault at %s in\n%v", want, err)
				}
			}
			if got := decided(l.plugin, "dogs"); got != tc.rule {
				t.Errorf("rule %q decides about dogs, want %q", got, tc.rule)
			}
			if got := decided(l.plugin, "cats"); (got == "cats") != (tc.rule == "") {
				t.Errorf("rule %q decides about cats", got)
			}
		})
	}
}

func TestTheFileIsFollowed(t *testing.T) {
	l := running(t, filepath.Join(t.TempDir(), "config.yaml"), rulesOn("cats"))
	logged := l.follows(t)
	for _, step := range []struct{ text, says, rule string }{
		{rulesOn("dogs"), "the changed configuration was taken over", "dogs"},
		{"kind: [", "config.yaml:1:1: not YAML", "dogs"},
		{strings.Replace(rulesOn("birds"), "queue-scorer, weight: 2", "queue-scorer, weight: 3", 1), "restart needed", "birds"},
	} {
		if err := os.WriteFile(l.name+".new", []byte(step.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(l.name+".new", l.name); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(20 * time.Second); !strings.Contains(logged(), step.says); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never logged: %s; but\n%s", step.says, logged())
			}
		}
		if got := decided(l.plugin, step.rule); got != step.rule {
			t.Errorf("rule %q decides about %s", got, step.rule)
		}
	}
}

func TestAChangedConfigurationOfVSR(t *testing.T) {
	l := running(t, filepath.Join(t.TempDir(), "config.yaml"), ofVSR)
	l.parameters, _ = semanticParameters(l.name, l.started)
	if err := l.load(t.Context(), []byte(ofVSR)); err != nil {
		t.Fatal(err)
	}
	addresses := func() string {
		var all []string
		for _, ep := range l.store.Snapshot().Endpoints {
			all = append(all, ep.Address)
		}
		return strings.Join(all, " ")
	}
	if got := addresses(); got != "10.0.0.1:8000 10.0.0.2:8000" {
		t.Errorf("endpoints are %s", got)
	}
	if err := l.load(t.Context(), []byte(strings.NewReplacer("10.0.0.2", "10.0.0.3", "[right now]", "[dogs]").Replace(ofVSR))); err != nil {
		t.Fatal(err)
	}
	if got := addresses(); got != "10.0.0.1:8000 10.0.0.3:8000" {
		t.Errorf("after the change, endpoints are %s", got)
	}
	if got := decided(l.plugin, "dogs"); got != "urgent-keyword" {
		t.Errorf("after the change, rule %q decides about dogs", got)
	}
	if err := l.load(t.Context(), []byte(strings.Replace(ofVSR, "default_model: llama", "default_model: [llama]", 1))); err == nil || !strings.Contains(err.Error(), "config.yaml") {
		t.Errorf("a broken version: %v", err)
	}
	if got := addresses() + " " + decided(l.plugin, "dogs"); got != "10.0.0.1:8000 10.0.0.3:8000 urgent-keyword" {
		t.Errorf("after a broken version: %s", got)
	}
}
