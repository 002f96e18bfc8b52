package router_test

import (
	"slices"
	"strings"
	"testing"

	"semantic-epp/extproc"
)

func TestRewritesComeFirst(t *testing.T) {
	p := newPicker(t, "", everything...)
	p.cluster.rewrites = map[string]string{"old-name": "general", "clever": "auto"}
	for name, tt := range map[string]struct {
		model, prompt, want string
	}{
		"a rewritten name goes to its target":        {"old-name", "hello", "general"},
		"a name rewritten to an auto name is judged": {"clever", "math please", "math"},
		"another name stays":                         {"math", "hello", "math"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := p.ask(t, chat(tt.model, tt.prompt))
			if err != nil || got.model() != tt.want || !strings.Contains(got.body(), `"`+tt.want+`"`) {
				t.Errorf("went to %q with %s, %v; want %s", got.model(), got.body(), err, tt.want)
			}
		})
	}
}

// The gateway drops a pick outside of the pool that its route leads to.
func TestPicksStayInsideTheRoutedPool(t *testing.T) {
	p := newPicker(t, "", everything...)
	p.endpoint("g1").Pools = []string{"pool-a"}
	p.endpoint("g2").Pools = []string{"pool-b"}
	for name, tt := range map[string]struct {
		pools []string
		want  []string // addresses that may be picked
	}{
		"one pool":                            {[]string{"pool-b"}, []string{"10.0.1.2:8000"}},
		"both pools":                          {[]string{"pool-a", "pool-b"}, []string{"10.0.1.1:8000", "10.0.1.2:8000"}},
		"no pool is known":                    {nil, []string{"10.0.1.1:8000", "10.0.1.2:8000"}},
		"a pool that none of them belongs to": {[]string{"pool-c"}, []string{"10.0.1.1:8000", "10.0.1.2:8000"}},
	} {
		t.Run(name, func(t *testing.T) {
			p.cluster.pools = map[string][]string{"general": tt.pools}
			var seen []string
			for range 40 {
				got, err := p.ask(t, chat("general", "hello"))
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(seen, got.endpoint()) {
					seen = append(seen, got.endpoint())
				}
			}
			slices.Sort(seen)
			if !slices.Equal(seen, tt.want) {
				t.Errorf("picked %v, want %v", seen, tt.want)
			}
		})
	}
}

func TestRepliesFromElsewhereAreCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		served string
		want   int
	}{
		"the gateway tells nothing": {"", 0},
		"the picked one answered":   {"10.0.2.1:8000", 0},
		"another one answered":      {"10.0.9.9:8000", 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPicker(t, "", endpoint("m1", "math"))
			x := p.begin(t, "/v1/chat/completions")
			defer x.End(extproc.Completed)
			if _, err := x.Request(t.Context(), []byte(chat("math", "hello"))); err != nil {
				t.Fatal(err)
			}
			fields := []string{"content-type", "application/json"}
			if tt.served != "" {
				fields = append(fields, "x-gateway-destination-endpoint-served", tt.served)
			}
			x.ResponseHeaders(t.Context(), &extproc.ResponseHead{Status: 200, Headers: extproc.NewHeaders(fields...)})
			if len(p.cluster.elsewhere) != tt.want {
				t.Errorf("counted %q, want %d", p.cluster.elsewhere, tt.want)
			}
		})
	}
}
