package telemetry

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// What a scrape tells is what the classifier is then, not what it was when it
// was opened.
func TestClassifierInUse(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(inUse{})
	var kind, device string
	ClassifierInUse(func() (string, string, string) { return kind, "abc", device })
	for _, step := range []struct{ kind, device string }{{"onnx", "cuda:0"}, {"onnx", "cpu"}, {"", ""}} {
		kind, device = step.kind, step.device
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, family := range families {
			for _, label := range family.GetMetric()[0].GetLabel() {
				if label.GetName() == "device" {
					got = label.GetValue()
				}
			}
		}
		if got != step.device {
			t.Errorf("the metric says %q, want %q", got, step.device)
		}
	}
}
