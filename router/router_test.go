package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config/loader"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	giescheduling "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/scheduling"

	"semantic-epp/classifier"
	"semantic-epp/config"
	"semantic-epp/endpoints"
	"semantic-epp/extproc"
	"semantic-epp/payload"
	"semantic-epp/plugins"
	"semantic-epp/plugins/semantic"
	"semantic-epp/router"
)

// static makes endpoints that nobody polls.
type static struct{}

func (static) NewEndpoint(_ context.Context, meta *fwkdl.EndpointMetadata, _ datalayer.PoolInfo) fwkdl.Endpoint {
	return fwkdl.NewEndpoint(meta, &fwkdl.Metrics{UpdateTime: time.Now()})
}
func (static) ReleaseEndpoint(fwkdl.Endpoint) {}

// picker is a router with what a test turns.
type picker struct {
	*router.Router
	store    *endpoints.Store
	semantic *semantic.Plugin
	classify func(ctx context.Context, text string) (classifier.Result, error)
	cluster  kubernetes
	log      bytes.Buffer
}

// kubernetes is a cluster that knows what a test says: nothing at first.
type kubernetes struct {
	rewrites  map[string]string
	pools     map[string][]string // by model
	elsewhere []string            // names of endpoints that were picked, and did not answer
}

func (k *kubernetes) Rewrite(model string) (target, by string, ok bool) {
	target, ok = k.rewrites[model]
	return target, "a-rewrite", ok
}

func (k *kubernetes) PoolsOf(model string) []string { return k.pools[model] }

func (k *kubernetes) CountElsewhere(picked *endpoints.Endpoint) {
	k.elsewhere = append(k.elsewhere, picked.GetMetadata().NamespacedName.Name)
}

const parameters = `
    defaultModel: general
    models:
    - {name: general, match: {app: general}}
    - {name: math, match: {app: math}}
    - {name: law-adapter, adapterOf: general}
    - {name: cloud, external: true}
    trustedHeaders: [x-gateway-inference-objective]
    rules:
    - {name: math, when: {domain: math}, models: [{name: math}, {name: general, score: 0.5}]}
    - {name: law, when: {domain: law}, models: [{name: law-adapter}]}
    - {name: far, when: {keyword: [cloud]}, models: [{name: cloud}]}
    - {name: near, when: {keyword: [nearby]}, models: [{name: math}, {name: cloud, score: 0.5}]}
`

func newPicker(t testing.TB, extra string, eps ...config.Endpoint) *picker {
	t.Helper()
	return pickerOf(t, parameters+extra, eps...)
}

// pickerOf is a picker with the parameters of semantic-router.
func pickerOf(t testing.TB, parameters string, eps ...config.Endpoint) *picker {
	t.Helper()
	p := &picker{store: endpoints.NewStore(static{})}
	p.classify = func(_ context.Context, text string) (classifier.Result, error) {
		for _, category := range []string{"math", "law"} {
			if strings.Contains(text, category) {
				return classifier.Result{Category: category, Confidence: 0.9, Margin: 0.8}, nil
			}
		}
		return classifier.Result{Category: "other", Confidence: 0.9}, nil
	}
	plugins.RegisterInTree()
	plugins.Register(func(context.Context, config.Classifier) (semantic.Opened, error) {
		return semantic.Opened{Classifier: classifier.Func(func(ctx context.Context, text string) (classifier.Result, error) { return p.classify(ctx, text) })}, nil
	})
	raw, _, err := loader.LoadRawConfig([]byte(`
apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: semantic-router
  parameters:`+parameters+`
- type: semantic-model-filter
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: prefix-cache-scorer
schedulingProfiles:
- name: default
  plugins: [{pluginRef: semantic-model-filter}, {pluginRef: queue-scorer, weight: 2}, {pluginRef: kv-cache-utilization-scorer, weight: 2}, {pluginRef: prefix-cache-scorer, weight: 1}]
`), logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := plugins.Complete(raw); err != nil {
		t.Fatal(err)
	}
	handle := plugin.NewEppHandle(t.Context(), p.store.Names)
	cfg, err := loader.InstantiateAndConfigure(raw, handle, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	p.semantic = handle.Plugin(semantic.Type).(*semantic.Plugin)
	logger := funcr.New(func(_, args string) { p.log.WriteString(args + "\n") }, funcr.Options{Verbosity: 5})
	if _, timed := t.(*testing.B); timed {
		logger = logr.Discard()
	}
	p.Router, err = router.New(router.Config{
		Store:      p.store,
		Semantic:   p.semantic,
		Scheduler:  giescheduling.NewSchedulerWithConfig(cfg.SchedulerConfig),
		Saturation: cfg.SaturationDetector,
		Parser:     cfg.ParserConfig.Parser,
		Plugins:    handle.GetAllPlugins(),
		Cluster:    &p.cluster,
		Logger:     logger,
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.store.Apply(t.Context(), &config.Endpoints{Endpoints: eps, Objectives: []config.Objective{{Name: "batch", Priority: -1}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func endpoint(name, app string) config.Endpoint {
	ip := map[byte]int{'g': 1, 'm': 2}[name[0]]
	return config.Endpoint{Name: name, Namespace: "default", Address: fmt.Sprintf("10.0.%d.%c", ip, name[1]), Port: 8000, Labels: map[string]string{"app": app}}
}

// Two replicas of each model.
var everything = []config.Endpoint{endpoint("g1", "general"), endpoint("g2", "general"), endpoint("m1", "math"), endpoint("m2", "math")}

func (p *picker) endpoint(name string) *endpoints.Endpoint {
	for _, ep := range p.store.Snapshot().Endpoints {
		if ep.GetMetadata().NamespacedName == (types.NamespacedName{Namespace: "default", Name: name}) {
			return ep
		}
	}
	return nil
}

func (p *picker) load(name string, m fwkdl.Metrics) {
	m.UpdateTime = time.Now()
	p.endpoint(name).UpdateMetrics(&m)
}

func chat(model, prompt string) string {
	return fmt.Sprintf(`{"model": %q, "messages": [{"role": "user", "content": %q}], "seed": 9007199254740993}`, model, prompt)
}

func (p *picker) begin(t *testing.T, path string, headers ...string) extproc.Exchange {
	method := http.MethodPost
	if path == "/v1/models" || path == "/health" {
		method = http.MethodGet
	}
	return p.Begin(t.Context(), &extproc.RequestHead{Method: method, Path: path, Headers: extproc.NewHeaders(headers...)})
}

// ask sends one chat request and says how it was answered.
func (p *picker) ask(t *testing.T, body string, headers ...string) (answer, error) {
	return p.post(t, "/v1/chat/completions", body, headers...)
}

// post sends one request and says how it was answered.
func (p *picker) post(t *testing.T, path, body string, headers ...string) (answer, error) {
	x := p.begin(t, path, headers...)
	defer x.End(extproc.Completed)
	v, err := x.Request(t.Context(), []byte(body))
	if err != nil {
		return answer{}, err
	}
	edits := x.ResponseHeaders(t.Context(), &extproc.ResponseHead{Status: 200, Headers: extproc.NewHeaders("content-type", "application/json")})
	return answer{v, edits, body}, nil
}

type answer struct {
	extproc.Verdict
	reply extproc.HeaderEdits
	sent  string
}

func header(edits extproc.HeaderEdits, name string) string {
	for _, h := range edits.Set {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func (a answer) endpoint() string { return header(a.HeaderEdits, "x-gateway-destination-endpoint") }
func (a answer) model() string    { return header(a.HeaderEdits, "x-selected-model") }
func (a answer) reason() string   { return header(a.reply, "x-semantic-epp-reason") }

func (a answer) body() string {
	if a.Body == nil {
		return a.sent
	}
	return string(bytes.Join(a.Body, nil))
}

func TestDecisions(t *testing.T) {
	tests := map[string]struct {
		model, prompt          string
		classify               func(ctx context.Context, text string) (classifier.Result, error)
		want, endpoint, reason string
	}{
		"a math prompt goes to the math model":         {model: "auto", prompt: "some math", want: "math", endpoint: "10.0.2.", reason: "rule"},
		"every auto name asks for a decision":          {model: "MoM", prompt: "some math", want: "math", endpoint: "10.0.2.", reason: "rule"},
		"what no rule claims goes to the default":      {model: "auto", prompt: "hello", want: "general", endpoint: "10.0.1.", reason: "default"},
		"an adapter is on the endpoints of its base":   {model: "auto", prompt: "the law", want: "law-adapter", endpoint: "10.0.1.", reason: "rule"},
		"an explicit model is not classified":          {model: "general", prompt: "some math", want: "general", endpoint: "10.0.1.", reason: "explicit"},
		"an explicit adapter":                          {model: "law-adapter", prompt: "some math", want: "law-adapter", endpoint: "10.0.1.", reason: "explicit"},
		"an external model has no endpoint":            {model: "auto", prompt: "to the cloud", want: "cloud", endpoint: "", reason: "rule"},
		"an unsure classifier leads to the default":    {model: "auto", prompt: "x", classify: result("math", 0.3), want: "general", endpoint: "10.0.1.", reason: "unsure"},
		"a classifier without opinion":                 {model: "auto", prompt: "x", classify: fails(classifier.ErrNoMatch), want: "general", endpoint: "10.0.1.", reason: "unsure"},
		"an overloaded classifier":                     {model: "auto", prompt: "x", classify: fails(classifier.ErrOverloaded), want: "general", endpoint: "10.0.1.", reason: "overloaded"},
		"a broken classifier":                          {model: "auto", prompt: "x", classify: fails(errors.New("broken")), want: "general", endpoint: "10.0.1.", reason: "error"},
		"a classifier that hangs":                      {model: "auto", prompt: "x", classify: hangs, want: "general", endpoint: "10.0.1.", reason: "timeout"},
		"a prompt without text (an image) is not read": {model: "auto", prompt: "", classify: fails(errors.New("called")), want: "general", endpoint: "10.0.1.", reason: "unsure"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPicker(t, "", everything...)
			if tc.classify != nil {
				p.classify = tc.classify
			}
			body := chat(tc.model, tc.prompt)
			got, err := p.ask(t, body)
			if err != nil {
				t.Fatal(err)
			}
			if got.model() != tc.want || !strings.HasPrefix(got.endpoint(), tc.endpoint) || (tc.endpoint == "") != (got.endpoint() == "") || got.reason() != tc.reason {
				t.Errorf("model %s at %q by reason %s; want %s at %s…, %s", got.model(), got.endpoint(), got.reason(), tc.want, tc.endpoint, tc.reason)
			}
			if want := strings.Replace(body, fmt.Sprintf("%q", tc.model), fmt.Sprintf("%q", tc.want), 1); got.body() != want {
				t.Errorf("body %s\nwant %s", got.body(), want)
			}
			if got.endpoint() != "" && (len(got.Metadata) != 1 || got.Metadata[0].Value != got.endpoint() || got.Metadata[0].Namespace != "envoy.lb") {
				t.Errorf("metadata %+v does not say what the header says", got.Metadata)
			}
			if strings.Contains(p.log.String(), tc.prompt) && tc.prompt != "" && tc.prompt != "x" {
				t.Errorf("the log has the prompt: %s", p.log.String())
			}
		})
	}
}

func result(category string, confidence float64) func(context.Context, string) (classifier.Result, error) {
	return func(context.Context, string) (classifier.Result, error) {
		return classifier.Result{Category: category, Confidence: confidence}, nil
	}
}

func fails(err error) func(context.Context, string) (classifier.Result, error) {
	return func(context.Context, string) (classifier.Result, error) { return classifier.Result{}, err }
}

func hangs(ctx context.Context, _ string) (classifier.Result, error) {
	<-ctx.Done()
	return classifier.Result{}, ctx.Err()
}

func TestAClassifierWithMoreTimeThanTheDecisionCostsNoRequest(t *testing.T) {
	p := newPicker(t, "    classifier: {timeout: 1m}\n", everything...)
	p.classify = hangs
	x := p.begin(t, "/v1/chat/completions")
	defer x.End(extproc.Completed)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	v, err := x.Request(ctx, []byte(chat("auto", "some math")))
	if err != nil || header(v.HeaderEdits, "x-selected-model") != "general" {
		t.Errorf("went to %q, %v", header(v.HeaderEdits, "x-selected-model"), err)
	}
}

func TestLoadDecidesTheReplica(t *testing.T) {
	p := newPicker(t, "", everything...)
	for name, busy := range map[string]fwkdl.Metrics{"a queue": {WaitingQueueSize: 20}, "a full cache": {KVCacheUsagePercent: 0.95}} {
		t.Run(name, func(t *testing.T) {
			for _, full := range []string{"m1", "m2"} {
				p.load("m1", fwkdl.Metrics{})
				p.load("m2", fwkdl.Metrics{})
				p.load(full, busy)
				for range 5 {
					got, err := p.ask(t, chat("math", fmt.Sprint(time.Now())))
					if err != nil {
						t.Fatal(err)
					}
					if strings.Contains(got.endpoint(), "10.0.2."+full[1:]) {
						t.Errorf("a request went to %s with %s", full, name)
					}
				}
			}
		})
	}
}

func TestRequestsInFlightSpread(t *testing.T) {
	p := newPicker(t, "", everything...)
	counts := map[string]int{}
	for i := range 40 { // all before the next metrics
		x := p.begin(t, "/v1/chat/completions")
		defer x.End(extproc.Completed)
		v, err := x.Request(t.Context(), []byte(chat("math", fmt.Sprint(i))))
		if err != nil {
			t.Fatal(err)
		}
		counts[header(v.HeaderEdits, "x-gateway-destination-endpoint")]++
	}
	if counts["10.0.2.1:8000"] != 20 || counts["10.0.2.2:8000"] != 20 {
		t.Errorf("requests did not spread: %v", counts)
	}
}

func TestEveryWayOutReleasesTheEndpoint(t *testing.T) {
	for _, outcome := range []extproc.Outcome{extproc.Aborted, extproc.Completed, extproc.Unobserved, extproc.Answered} {
		p := newPicker(t, "", everything...)
		x := p.begin(t, "/v1/chat/completions")
		if _, err := x.Request(t.Context(), []byte(chat("math", "x"))); err != nil {
			t.Fatal(err)
		}
		inFlight := func() int { return p.endpoint("m1").Load.InFlight() + p.endpoint("m2").Load.InFlight() }
		if inFlight() != 1 {
			t.Errorf("%d in flight after the pick", inFlight())
		}
		x.End(outcome)
		if inFlight() != 0 {
			t.Errorf("%d in flight after outcome %d", inFlight(), outcome)
		}
	}
}

func TestRefusals(t *testing.T) {
	batch := []string{"x-gateway-inference-objective", "batch"}
	busy := func(p *picker) {
		for _, name := range []string{"m1", "m2"} {
			p.load(name, fwkdl.Metrics{WaitingQueueSize: 50})
		}
	}
	tests := map[string]struct {
		endpoints []config.Endpoint
		prepare   func(p *picker)
		body      string
		headers   []string
		status    int
	}{
		"a model that nobody knows":                       {everything, nil, chat("gpt-4", "x"), nil, 404},
		"a body that is no JSON":                          {everything, nil, "{", nil, 400},
		"no replica of the model":                         {everything[:2], nil, chat("math", "x"), nil, 503},
		"no endpoints at all":                             {nil, nil, chat("auto", "x"), nil, 503},
		"saturated, and the objective may be shed":        {everything, busy, chat("math", "x"), batch, 429},
		"saturated, but the objective may not be shed":    {everything, busy, chat("math", "x"), nil, 0},
		"another model is saturated, not the chosen one":  {everything, busy, chat("general", "x"), batch, 0},
		"the rule's second model when the first has none": {everything[:2], nil, chat("auto", "some math"), nil, 0},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPicker(t, "", tc.endpoints...)
			if tc.prepare != nil {
				tc.prepare(p)
			}
			_, err := p.ask(t, tc.body, tc.headers...)
			var refusal *payload.Error
			switch {
			case tc.status == 0 && err != nil:
				t.Errorf("refused: %v", err)
			case tc.status != 0 && (!errors.As(err, &refusal) || refusal.Status != tc.status):
				t.Errorf("error %v, want status %d", err, tc.status)
			}
		})
	}
}

func TestAnExternalModelStepsInForOneWithoutReplicas(t *testing.T) {
	p := newPicker(t, "", everything[:2]...)
	got, err := p.ask(t, chat("auto", "nearby"))
	if err != nil || got.model() != "cloud" || got.endpoint() != "" || got.reason() != "spilled" {
		t.Errorf("went to %s at %q by reason %s, %v", got.model(), got.endpoint(), got.reason(), err)
	}
}

func TestUnknownModelsPassWhereTheGatewayKnowsMore(t *testing.T) {
	p := newPicker(t, "    unknownModel: pass\n", everything...)
	got, err := p.ask(t, chat("gpt-4", "x"), "x-selected-model", "spoofed")
	if err != nil {
		t.Fatal(err)
	}
	if got.Body != nil || len(got.Set) != 0 || len(got.Remove) != 1 {
		t.Errorf("the request was changed: %+v", got.Verdict)
	}
}

func TestClientsCannotRouteThemselves(t *testing.T) {
	p := newPicker(t, "", everything...)
	got, err := p.ask(t, chat("auto", "hello"),
		"x-gateway-destination-endpoint", "6.6.6.6:80", "x-gateway-destination-endpoint-subset", "6.6.6.6:80",
		"x-selected-model", "math", "x-ai-eg-model", "math", "x-vsr-selected-model", "math", "x-gateway-model-name-rewrite", "math",
		"x-vsr-debug", "true", "x-other", "stays")
	if err != nil {
		t.Fatal(err)
	}
	if got.model() != "general" || !strings.HasPrefix(got.endpoint(), "10.0.1.") {
		t.Errorf("went to %s at %s", got.model(), got.endpoint())
	}
	removed := strings.Join(got.Remove, " ")
	for _, name := range []string{"x-gateway-destination-endpoint-subset", "x-ai-eg-model", "x-vsr-selected-model", "x-gateway-model-name-rewrite"} {
		if !strings.Contains(removed, name) {
			t.Errorf("%s is not removed", name)
		}
	}
	if strings.Contains(removed, "x-vsr-debug") || strings.Contains(removed, "x-other") {
		t.Errorf("removed too much: %s", removed)
	}
}

func TestTheGatewaysSubsetLimitsTheChoice(t *testing.T) {
	p := newPicker(t, "", everything...)
	tests := map[string]struct {
		subset []string
		want   string // "": 503
	}{
		"an endpoint with port":       {[]string{"10.0.2.2:8000", "10.0.1.1:8000"}, "10.0.2.2:8000"},
		"an address without port":     {[]string{"10.0.2.1"}, "10.0.2.1:8000"},
		"endpoints of another model":  {[]string{"10.0.1.1:8000"}, ""},
		"another port of the address": {[]string{"10.0.2.1:9000"}, ""},
		"nothing at all":              {[]string{}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				x := p.Begin(t.Context(), &extproc.RequestHead{Method: "POST", Path: "/v1/chat/completions", Subset: tc.subset})
				v, err := x.Request(t.Context(), []byte(chat("math", "x")))
				x.End(extproc.Completed)
				if got := header(v.HeaderEdits, "x-gateway-destination-endpoint"); got != tc.want || (err == nil) != (tc.want != "") {
					t.Fatalf("went to %q, %v; want %q", got, err, tc.want)
				}
			}
		})
	}
}

func TestModelList(t *testing.T) {
	p := newPicker(t, "", everything...)
	x := p.begin(t, "/v1/models")
	defer x.End(extproc.Answered)
	v, err := x.Request(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Data []struct{ ID string } }
	if v.Reply == nil || json.Unmarshal(v.Reply.Body, &list) != nil {
		t.Fatalf("no list: %+v", v)
	}
	var ids []string
	for _, m := range list.Data {
		ids = append(ids, m.ID)
	}
	if got := strings.Join(ids, " "); got != "auto MoM general math law-adapter cloud" {
		t.Errorf("models are %s", got)
	}
}

func TestOtherPathsGoToTheDeclaredDefault(t *testing.T) {
	p := newPicker(t, "    otherPaths: math\n", everything...)
	for _, path := range []string{"/health", "/v1/audio/speech"} {
		x := p.begin(t, path)
		v, err := x.Request(t.Context(), []byte("any bytes \xff"))
		x.End(extproc.Completed)
		if err != nil {
			t.Fatal(err)
		}
		if v.Body != nil || !strings.HasPrefix(header(v.HeaderEdits, "x-gateway-destination-endpoint"), "10.0.2.") {
			t.Errorf("%s: %+v", path, v)
		}
	}
}

func TestSpillOver(t *testing.T) {
	p := newPicker(t, "    spillOver: true\n", everything...)
	p.load("m1", fwkdl.Metrics{WaitingQueueSize: 50})
	p.load("m2", fwkdl.Metrics{WaitingQueueSize: 50})
	got, err := p.ask(t, chat("auto", "some math"))
	if err != nil {
		t.Fatal(err)
	}
	if got.model() != "general" || got.reason() != "spilled" {
		t.Errorf("a saturated model kept the request: %s, %s", got.model(), got.reason())
	}
	p.load("m1", fwkdl.Metrics{})
	if got, err = p.ask(t, chat("auto", "more math")); err != nil || got.model() != "math" || got.reason() != "rule" {
		t.Errorf("went to %s by reason %s, %v", got.model(), got.reason(), err)
	}
}

func TestAPrefixStaysWithItsReplica(t *testing.T) {
	p := newPicker(t, "", everything...)
	system := strings.Repeat("a long conversation ", 100)
	first, err := p.ask(t, chat("math", system))
	if err != nil {
		t.Fatal(err)
	}
	p.load("m1", fwkdl.Metrics{}) // new pages: nothing is on its way any more
	p.load("m2", fwkdl.Metrics{})
	for range 5 {
		again, err := p.ask(t, chat("math", system))
		if err != nil {
			t.Fatal(err)
		}
		if again.endpoint() != first.endpoint() {
			t.Errorf("the same prompt went to %s, then to %s", first.endpoint(), again.endpoint())
		}
		p.load("m1", fwkdl.Metrics{})
		p.load("m2", fwkdl.Metrics{})
	}
}

func TestManyEndpoints(t *testing.T) {
	var eps []config.Endpoint
	for i := range 100 {
		eps = append(eps, config.Endpoint{Name: fmt.Sprint(i), Namespace: "default", Address: fmt.Sprintf("10.1.0.%d", i), Port: 8000, Labels: map[string]string{"app": "math"}})
	}
	p := newPicker(t, "", eps...)
	for _, ep := range p.store.Snapshot().Endpoints {
		if ep.GetMetadata().NamespacedName.Name != "77" {
			ep.UpdateMetrics(&fwkdl.Metrics{WaitingQueueSize: 9, UpdateTime: time.Now()})
		}
	}
	got, err := p.ask(t, chat("math", "x"))
	if err != nil || got.endpoint() != "10.1.0.77:8000" {
		t.Errorf("the one idle endpoint of 100 was not picked: %s, %v", got.endpoint(), err)
	}
}

func TestIdleEndpointsShareTheRequests(t *testing.T) {
	var eps []config.Endpoint
	for i := range 100 {
		eps = append(eps, config.Endpoint{Name: fmt.Sprint(i), Namespace: "default", Address: fmt.Sprintf("10.1.0.%d", i), Port: 8000, Labels: map[string]string{"app": "math"}})
	}
	p := newPicker(t, "", eps...)
	picked := map[string]bool{}
	for i := range 1000 {
		got, err := p.ask(t, chat("math", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		picked[got.endpoint()] = true
	}
	if len(picked) < 95 {
		t.Errorf("1000 requests, one after another, went to %d of 100 idle endpoints", len(picked))
	}
}

func BenchmarkRequest(b *testing.B) {
	for _, n := range []int{2, 10, 100} {
		b.Run(fmt.Sprintf("%d endpoints", n), func(b *testing.B) {
			var eps []config.Endpoint
			for i := range n {
				eps = append(eps, config.Endpoint{Name: fmt.Sprint(i), Namespace: "default", Address: fmt.Sprintf("10.1.0.%d", i), Port: 8000, Labels: map[string]string{"app": "general"}})
			}
			p := newPicker(b, "", eps...)
			body := []byte(chat("general", strings.Repeat("word ", 200)))
			head := &extproc.RequestHead{Method: "POST", Path: "/v1/chat/completions", Headers: extproc.NewHeaders(":method", "POST", "content-type", "application/json", "x-request-id", "abc")}
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				x := p.Begin(ctx, head)
				if _, err := x.Request(ctx, body); err != nil {
					b.Fatal(err)
				}
				x.End(extproc.Completed)
			}
		})
	}
}
