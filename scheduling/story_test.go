package scheduling_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"semantic-epp/classifier"
	"semantic-epp/config"
	"semantic-epp/scheduling"
)

// A story is a configuration and what becomes of prompts under it.
type story struct {
	Story   string
	Config  json.RawMessage
	Vectors map[string][]float32 // of examples
	Prompts []prompt
}

type prompt struct {
	Say               string
	Domain            map[string]float64 // probabilities
	Broken            scheduling.Reason  // in place of a domain
	Vector            []float32
	NoVector          bool
	Images, Bytes     int
	Headers, Metadata map[string]string
	At                time.Time
	Sticky            string
	Want              want
}

type want struct {
	Rule       string
	Reason     scheduling.Reason
	Models     []string // with their reasoning, where there is one
	Confidence float64  // not compared where 0
	Answer     string
	Denied     bool
}

func (p *prompt) signals() scheduling.Signals {
	from := func(m map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
	}
	return scheduling.Signals{
		Text:     p.Say,
		Shape:    scheduling.Shape{Images: p.Images, TextBytes: p.Bytes},
		Header:   from(p.Headers),
		Metadata: from(p.Metadata),
		Now:      p.At,
		Sticky:   p.Sticky,
		Domain: func() scheduling.Domain {
			d := scheduling.Domain{Problem: p.Broken}
			for _, category := range slices.Sorted(maps.Keys(p.Domain)) {
				d.Probabilities = append(d.Probabilities, classifier.Probability{Category: category, P: p.Domain[category]})
			}
			slices.SortStableFunc(d.Probabilities, func(a, b classifier.Probability) int { return cmp.Compare(b.P, a.P) })
			if len(d.Probabilities) > 0 {
				d.Category, d.Confidence = d.Probabilities[0].Category, d.Probabilities[0].P
			}
			return d
		},
		Embed: func() ([]float32, error) {
			if p.NoVector {
				return nil, errors.New("no embedder")
			}
			return p.Vector, nil
		},
	}
}

func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var s story
			if err := yaml.UnmarshalStrict(text, &s); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.DecodeRouter(s.Config)
			if err != nil {
				t.Fatal(err)
			}
			p, err := scheduling.Compile(cfg, func(text string) ([]float32, error) { return s.Vectors[text], nil })
			if err != nil {
				t.Fatal(err)
			}
			for _, prompt := range s.Prompts {
				check(t, prompt.Say, p.Decide(prompt.signals()), prompt.Want)
				check(t, "explained: "+prompt.Say, p.Explain(prompt.signals()).Decision, prompt.Want)
			}
		})
	}
}

func check(t *testing.T, prompt string, d scheduling.Decision, want want) {
	t.Helper()
	var models []string
	for _, m := range d.Models {
		name := m.Model
		if m.Reasoning != "" {
			name += " " + string(m.Reasoning)
		}
		models = append(models, name)
	}
	answer := ""
	if d.Action != nil && d.Action.Respond != nil {
		answer = d.Action.Respond.Text
	}
	if d.Rule != want.Rule || d.Reason != want.Reason || !slices.Equal(models, want.Models) || answer != want.Answer ||
		d.Denied != want.Denied || want.Confidence != 0 && math.Abs(d.Confidence-want.Confidence) > 1e-9 {
		t.Errorf("%q: got rule %q, reason %s, models %v, confidence %v, answer %q, denied %t; want %+v",
			prompt, d.Rule, d.Reason, models, d.Confidence, answer, d.Denied, want)
	}
}
