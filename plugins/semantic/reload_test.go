package semantic_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	"sigs.k8s.io/yaml"

	"semantic-epp/classifier"
	"semantic-epp/config"
	"semantic-epp/plugins/semantic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// models counts what an opener opened and closed. Its classifiers answer with
// the name of their model, which is their only category.
type models struct {
	opened, closed atomic.Int64
	fail           atomic.Pointer[error]
}

func (m *models) open(_ context.Context, cfg config.Classifier) (semantic.Opened, error) {
	if err := m.fail.Load(); err != nil {
		return semantic.Opened{}, *err
	}
	m.opened.Add(1)
	var closed atomic.Bool
	return semantic.Opened{
		Labels: []string{cfg.Model},
		Classifier: classifier.Func(func(context.Context, string) (classifier.Result, error) {
			if closed.Load() {
				return classifier.Result{}, errors.New("the classifier is closed")
			}
			return classifier.Result{Category: cfg.Model, Confidence: 0.9, Margin: 0.8}, nil
		}),
		Close: func() { closed.Store(true); m.closed.Add(1) },
	}, nil
}

// counts are how many classifiers were opened and how many closed again.
func (m *models) counts() string { return fmt.Sprint(m.opened.Load(), " ", m.closed.Load()) }

// parameters with the classifier of a model, and one rule for its category.
func parameters(t testing.TB, model, rule string) json.RawMessage {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte("{defaultModel: general, models: [{name: general}, {name: other}], classifier: {model: " + model + "}, rules: [" + rule + "]}"))
	if err != nil {
		t.Fatal(err)
	}
	return asJSON
}

const toOther = "{name: other, when: {domain: %s}, models: [{name: other}]}"

func newPlugin(t testing.TB, ctx context.Context, m *models, parameters json.RawMessage) *semantic.Plugin {
	t.Helper()
	made, err := semantic.NewFactory(m.open)("router", parameters, plugin.NewEppHandle(ctx, nil))
	if err != nil {
		t.Fatal(err)
	}
	return made.(*semantic.Plugin)
}

func decide(rules *semantic.Rules) string {
	d := rules.Decide(context.Background(), semantic.Prompt{Text: "hi"})
	return d.Best() + " " + string(d.Reason)
}

func rule(category string) string { return fmt.Sprintf(toOther, category) }

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := &models{}
		p := newPlugin(t, ctx, m, parameters(t, "linear", rule("linear")))
		before := p.Rules()
		if got := decide(before); got != "other rule" || m.counts() != "1 0" {
			t.Fatalf("%s; opened and closed: %s", got, m.counts())
		}

		if err := p.Reload(parameters(t, "linear", "")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if got := decide(p.Rules()); got != "general default" || m.counts() != "1 0" {
			t.Errorf("new rules, the same classifier: %s; opened and closed: %s", got, m.counts())
		}
		if got := decide(before); got != "other rule" {
			t.Errorf("the old rules changed: %s", got)
		}

		if err := p.Reload(parameters(t, "small", rule("small"))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Second)
		if got := decide(p.Rules()) + ", " + decide(before); got != "other rule, other rule" || m.counts() != "2 0" {
			t.Errorf("requests under way lost their classifier: %s; opened and closed: %s", got, m.counts())
		}
		time.Sleep(2 * time.Second)
		if got := decide(p.Rules()); got != "other rule" || m.counts() != "2 1" {
			t.Errorf("after its retirement: %s; opened and closed: %s", got, m.counts())
		}

		cancel()
		synctest.Wait()
		if m.counts() != "2 2" {
			t.Errorf("at the end, opened and closed: %s", m.counts())
		}
	})
}

func TestThePluginEndsDuringARetirement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		m := &models{}
		p := newPlugin(t, ctx, m, parameters(t, "linear", ""))
		if err := p.Reload(parameters(t, "small", "")); err != nil {
			t.Fatal(err)
		}
		cancel()
		time.Sleep(time.Minute) // past the retirement, which must not close again
		if m.counts() != "2 2" {
			t.Errorf("opened and closed: %s", m.counts())
		}
	})
}

func TestAFaultChangesNothing(t *testing.T) {
	broken := errors.New("no such model")
	tests := map[string]struct {
		parameters string
		fail       error
		says       string
		counts     string
	}{
		"no parameters":                                  {parameters: "", says: "parameters are missing", counts: "1 0"},
		"an unknown key":                                 {parameters: `{"defaultModel":"a","models":[{"name":"a"}],"rulez":[]}`, says: "rulez", counts: "1 0"},
		"a classifier that does not open":                {parameters: string(parameters(t, "small", "")), fail: broken, says: "open classifier: no such model", counts: "1 0"},
		"a category that the classifier does not know":   {parameters: string(parameters(t, "linear", rule("cooking"))), says: `knows no "cooking"; it knows linear`, counts: "1 0"},
		"a category that the new one does not know":      {parameters: string(parameters(t, "small", rule("linear"))), says: `knows no "linear"; it knows small`, counts: "2 1"},
		"an embedding that the classifier does not have": {parameters: string(parameters(t, "small", "{name: like, when: {embedding: {examples: [hi]}}, models: [{name: other}]}")), says: "embedding", counts: "2 1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			m := &models{}
			p := newPlugin(t, t.Context(), m, parameters(t, "linear", rule("linear")))
			before := p.Rules()
			if tc.fail != nil {
				m.fail.Store(&tc.fail)
			}
			err := p.Reload(json.RawMessage(tc.parameters))
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
			if tc.fail != nil && !errors.Is(err, tc.fail) {
				t.Errorf("error %v hides its cause", err)
			}
			if p.Rules() != before || decide(before) != "other rule" || m.counts() != tc.counts {
				t.Errorf("the rules decide %s; opened and closed: %s, want %s", decide(p.Rules()), m.counts(), tc.counts)
			}
		})
	}
}

func TestAFaultAtTheStartLeavesNothingOpen(t *testing.T) {
	m := &models{}
	_, err := semantic.NewFactory(m.open)("router", parameters(t, "linear", rule("cooking")), plugin.NewEppHandle(t.Context(), nil))
	if err == nil || m.counts() != "1 1" {
		t.Errorf("error %v; opened and closed: %s", err, m.counts())
	}
}

// Each decision is by one version, whatever is taken over meanwhile.
func TestDecisionsDuringReloads(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	m := &models{}
	versions := []json.RawMessage{parameters(t, "linear", rule("linear")), parameters(t, "small", rule("small")), parameters(t, "small", "")}
	p := newPlugin(t, ctx, m, versions[0])
	var deciding sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		deciding.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				rules := p.Rules()
				want := "general default"
				if len(rules.Config().Rules) > 0 {
					want = "other rule"
				}
				if got := decide(rules); got != want {
					t.Errorf("decided %s, want %s", got, want)
					return
				}
			}
		})
	}
	for i := range 200 {
		if err := p.Reload(versions[i%len(versions)]); err != nil {
			t.Error(err)
		}
	}
	close(done)
	deciding.Wait()
	cancel()
	for end := time.Now().Add(10 * time.Second); m.opened.Load() != m.closed.Load(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("at the end, opened and closed: %s", m.counts())
		}
	}
}
