package cluster

import (
	"testing"

	"sigs.k8s.io/yaml"

	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"
)

const rewriteObjects = `
- metadata: {name: young, creationTimestamp: "2026-02-01T00:00:00Z"}
  spec:
    poolRef: {name: llama, group: inference.networking.k8s.io}
    rules:
    - {matches: [{model: {value: chat}}], targets: [{weight: 1, modelRewrite: too-late}]}
    - {matches: [{model: {value: split}}], targets: [{weight: 9, modelRewrite: nine}, {weight: 1, modelRewrite: one}, {weight: 0, modelRewrite: never}]}
    - {matches: [{model: {value: zeros}}], targets: [{modelRewrite: nine}, {modelRewrite: one}]}
    - {matches: [{model: {value: empty}}], targets: []}
- metadata: {name: old, creationTimestamp: "2026-01-01T00:00:00Z"}
  spec:
    poolRef: {name: llama, group: inference.networking.k8s.io}
    rules:
    - {matches: [{model: {value: chat}}, {model: {value: talk}}], targets: [{weight: 1, modelRewrite: llama3-8b}]}
- metadata: {name: all-of-phi, creationTimestamp: "2026-01-01T00:00:00Z"}
  spec:
    poolRef: {name: phi, group: inference.networking.k8s.io}
    rules: [{targets: [{weight: 1, modelRewrite: phi4-mini}]}]
- metadata: {name: of-another-picker}
  spec:
    poolRef: {name: other, group: inference.networking.k8s.io}
    rules: [{matches: [{model: {value: chat}}], targets: [{weight: 1, modelRewrite: not-ours}]}]
- metadata: {name: without-pool}
  spec: {rules: [{targets: [{weight: 1, modelRewrite: not-ours}]}]}
`

func testRewrites(t testing.TB) *rewrites {
	var objects []v1alpha2.InferenceModelRewrite
	if err := yaml.UnmarshalStrict([]byte(rewriteObjects), &objects); err != nil {
		t.Fatal(err)
	}
	return newRewrites(objects, func(ref *v1alpha2.PoolObjectReference) bool { return ref != nil && ref.Name != "other" })
}

func TestRewriteRules(t *testing.T) {
	w := testRewrites(t)
	tests := map[string]struct {
		model  string
		pools  []string
		single bool
		want   string // object
	}{
		"the older of two exact rules":                        {model: "chat", want: "old"},
		"the second match of a rule":                          {model: "talk", want: "old"},
		"an exact rule before a generic one":                  {model: "chat", single: true, want: "old"},
		"a generic rule takes all of the only pool":           {model: "x", single: true, want: "all-of-phi"},
		"a generic rule takes what its pool serves":           {model: "x", pools: []string{"phi"}, want: "all-of-phi"},
		"a generic rule leaves what another pool serves":      {model: "x", pools: []string{"llama"}},
		"a generic rule leaves names that no pool serves":     {model: "auto"},
		"a rule without targets is none":                      {model: "empty"},
		"rules of another picker's pool, or of none, are not": {model: "not-there"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if r := w.find(tc.model, tc.pools, tc.single); r != nil {
				got = r.object
			}
			if got != tc.want {
				t.Errorf("rule of %q, want that of %q", got, tc.want)
			}
		})
	}
}

func TestTargetsAreDrawnByWeight(t *testing.T) {
	w := testRewrites(t)
	const n = 10000
	count := func(model string) map[string]int {
		drawn := map[string]int{}
		for range n {
			drawn[w.find(model, nil, false).draw()]++
		}
		return drawn
	}
	// Six standard deviations of a binomial draw: once in 500 million runs.
	if got := count("split"); got["never"] > 0 || got["one"] < n/10-180 || got["one"] > n/10+180 {
		t.Errorf("weights 9, 1, 0 drew %v", got)
	}
	if got := count("zeros"); got["one"] < n/2-300 || got["one"] > n/2+300 {
		t.Errorf("weights that are all 0 drew %v", got)
	}
}

// BenchmarkRewrite is what a request pays: a rule of three targets, and a name
// that no rule has.
func BenchmarkRewrite(b *testing.B) {
	for name, model := range map[string]string{"rule": "split", "none": "x"} {
		b.Run(name, func(b *testing.B) {
			s := newSource(Config{}, nil)
			s.view.Store(&view{pools: []string{"llama", "phi"}, rewrites: testRewrites(b), leads: map[string][]string{"x": {"llama"}}})
			b.ReportAllocs()
			for b.Loop() {
				if _, _, ok := s.Rewrite(model); ok != (model == "split") {
					b.Fatal(ok)
				}
			}
		})
	}
}
