package prefix

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"
	attrprefix "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/plugins/datalayer/attribute/prefix"
)

func newPlugin(t testing.TB, parameters string, live func() []types.NamespacedName) *Plugin {
	t.Helper()
	if live == nil {
		live = func() []types.NamespacedName { return nil }
	}
	p, err := Factory("prefix", json.RawMessage(parameters), plugin.NewEppHandle(t.Context(), live))
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Plugin)
}

func endpoint(name string) giesched.Endpoint {
	return giesched.NewEndpoint(&datalayer.EndpointMetadata{NamespacedName: types.NamespacedName{Namespace: "default", Name: name}}, datalayer.NewMetrics(), nil)
}

func request(model, text, salt string) *giesched.LLMRequest {
	return &giesched.LLMRequest{RequestId: "r", TargetModel: model, Body: &giesched.LLMRequestBody{
		Completions: &giesched.CompletionsRequest{Prompt: giesched.Prompt{Raw: text}, CacheSalt: salt}}}
}

// match prepares a request and says how much of it the endpoint holds.
func match(t testing.TB, p *Plugin, r *giesched.LLMRequest, eps ...giesched.Endpoint) (matched, total int) {
	t.Helper()
	if err := p.PrepareRequestData(t.Context(), r, eps); err != nil {
		t.Fatal(err)
	}
	v, ok := eps[0].Get(attrprefix.PrefixCacheMatchInfoKey)
	if !ok {
		t.Fatal("no match information")
	}
	info := v.(*attrprefix.PrefixCacheMatchInfo)
	return info.MatchBlocks(), info.TotalBlocks()
}

func send(p *Plugin, ep giesched.Endpoint) {
	p.PreRequest(context.Background(), nil, &giesched.SchedulingResult{PrimaryProfileName: "default",
		ProfileResults: map[string]*giesched.ProfileRunResult{"default": {TargetEndpoints: []giesched.Endpoint{ep}}}})
}

func TestMatch(t *testing.T) {
	system := strings.Repeat("You are a careful assistant. ", 20) // 580 bytes, 9 blocks of 64
	tests := map[string]struct {
		model, text, salt string
		matched           int
	}{
		"the same prompt":                {"m", system, "", 9},
		"a prompt that goes on":          {"m", system + strings.Repeat("x", 64), "", 9},
		"a prompt that differs later":    {"m", system[:256] + strings.Repeat("y", 300), "", 4},
		"a prompt that differs at once":  {"m", "!" + system, "", 0},
		"the same prompt, another model": {"n", system, "", 0},
		"the same prompt, other salt":    {"m", system, "tenant", 0},
		"a prompt shorter than a block":  {"m", "hi", "", 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPlugin(t, "", nil)
			first, other := endpoint("a"), endpoint("b")
			match(t, p, request("m", system, ""), first)
			send(p, first)
			if got, _ := match(t, p, request(tc.model, tc.text, tc.salt), endpoint("a"), other); got != tc.matched {
				t.Errorf("%d blocks match, want %d", got, tc.matched)
			}
			if got, _ := match(t, p, request(tc.model, tc.text, tc.salt), other); got != 0 {
				t.Errorf("%d blocks match on an endpoint that was sent nothing", got)
			}
		})
	}
}

func TestTheModelServersBlockSizeCounts(t *testing.T) {
	p := newPlugin(t, "", nil)
	ep := giesched.NewEndpoint(&datalayer.EndpointMetadata{}, &datalayer.Metrics{CacheBlockSize: 32}, nil)
	if _, total := match(t, p, request("m", strings.Repeat("z", 1280), ""), ep); total != 10 {
		t.Errorf("%d blocks of 32 tokens in 1280 bytes, want 10", total)
	}
}

func TestParametersOutOfBounds(t *testing.T) {
	_, err := Factory("prefix", json.RawMessage(`{"blockSizeTokens": -1, "maxPrefixBlocksToMatch": 100000}`), plugin.NewEppHandle(t.Context(), nil))
	if err == nil || !strings.Contains(err.Error(), "blockSizeTokens") || !strings.Contains(err.Error(), "maxPrefixBlocksToMatch") {
		t.Errorf("error does not name both: %v", err)
	}
	if _, err := Factory("prefix", json.RawMessage(`{"blockSize": 1}`), plugin.NewEppHandle(t.Context(), nil)); err == nil {
		t.Error("an unknown key was taken")
	}
}

func TestSlotsOfServersThatAreGoneAreReused(t *testing.T) {
	var live []types.NamespacedName
	p := newPlugin(t, "", func() []types.NamespacedName { return live })
	old := endpoint("old")
	text := strings.Repeat("abcd", 64)
	match(t, p, request("m", text, ""), old)
	send(p, old)
	for i := range maxServers {
		live = append(live, types.NamespacedName{Namespace: "default", Name: fmt.Sprint(i)})
	}
	for i := range maxServers {
		if got, _ := match(t, p, request("m", text, ""), endpoint(fmt.Sprint(i))); got != 0 {
			t.Fatalf("server %d inherits %d blocks", i, got)
		}
	}
	if slot := p.slots.of(types.NamespacedName{Name: "one too many"}); slot != -1 {
		t.Errorf("server beyond the last slot got slot %d", slot)
	}
}

// The law: a server matches as many leading blocks as some prompt that it was
// sent shares with this one, as long as nothing had to make room.
func FuzzMatch(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		p := newPlugin(t, "", nil)
		ep := endpoint("a")
		var sent []string
		for range 8 {
			var text strings.Builder
			for range 1 + rnd.IntN(6) {
				text.WriteString(strings.Repeat(string(rune('a'+rnd.IntN(2))), 64))
			}
			want := 0
			for _, s := range sent {
				n := 0
				for (n+1)*64 <= min(len(s), text.Len()) && s[n*64:(n+1)*64] == text.String()[n*64:(n+1)*64] {
					n++
				}
				want = max(want, n)
			}
			got, total := match(t, p, request("m", text.String(), ""), ep)
			if got != want || total != text.Len()/64 {
				t.Fatalf("%d of %d blocks match, want %d of %d", got, total, want, text.Len()/64)
			}
			send(p, ep)
			sent = append(sent, text.String())
		}
	})
}

func BenchmarkPrepare16KBTenEndpoints(b *testing.B) {
	p := newPlugin(b, "", nil)
	eps := make([]giesched.Endpoint, 10)
	for i := range eps {
		eps[i] = endpoint(fmt.Sprint(i))
	}
	r := request("m", strings.Repeat("0123456789abcdef", 1024), "")
	match(b, p, r, eps...)
	send(p, eps[0])
	b.ReportAllocs()
	for b.Loop() {
		_ = p.PrepareRequestData(context.Background(), r, eps)
	}
}
