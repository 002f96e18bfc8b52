package plugins_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	configapi "sigs.k8s.io/gateway-api-inference-extension/apix/config/v1alpha1"
	"sigs.k8s.io/gateway-api-inference-extension/apix/v1alpha2"
	"sigs.k8s.io/gateway-api-inference-extension/cmd/epp/runner"
	giecfg "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/config/loader"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/datalayer"
	fwkdl "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/handlers"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/requestcontrol"
	giescheduling "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/scheduling"
	runserver "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/server"

	"semantic-epp/classifier"
	"semantic-epp/config"
	"semantic-epp/plugins"
	"semantic-epp/plugins/semantic"
)

// mathOpener opens a classifier that takes every prompt with a plus for math.
func mathOpener(context.Context, config.Classifier) (semantic.Opened, error) {
	return semantic.Opened{Classifier: classifier.Func(func(_ context.Context, text string) (classifier.Result, error) {
		if strings.Contains(text, "+") {
			return classifier.Result{Category: "math", Confidence: 0.9, Margin: 0.8}, nil
		}
		return classifier.Result{Category: "other", Confidence: 0.9, Margin: 0.8}, nil
	})}, nil
}

// example is the configuration in a README.md.
func example(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatalf("%s has no example", path)
	}
	return block[1]
}

func TestEveryPluginHasAnExampleThatWorks(t *testing.T) {
	folders, err := filepath.Glob("*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range folders {
		path := filepath.Join(filepath.Dir(file), "README.md")
		t.Run(path, func(t *testing.T) { load(t, example(t, path)) })
	}
}

// load completes and instantiates a configuration.
func load(t *testing.T, text []byte) (*configapi.EndpointPickerConfig, *giecfg.Config, plugin.Handle) {
	t.Helper()
	plugins.RegisterInTree()
	plugins.Register(mathOpener)
	raw, _, err := loader.LoadRawConfig(text, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if err := plugins.Complete(raw); err != nil {
		t.Fatal(err)
	}
	handle := plugin.NewEppHandle(t.Context(), func() []types.NamespacedName { return nil })
	cfg, err := loader.InstantiateAndConfigure(raw, handle, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	return raw, cfg, handle
}

func TestTheExampleInREADMEWorks(t *testing.T) {
	_, cfg, handle := load(t, example(t, "README.md"))
	if got := cfg.ParserConfig.Parser.TypedName().Type; got != "semantic-parser" {
		t.Errorf("parser is %s", got)
	}
	if len(cfg.DataConfig.Sources) != 1 || cfg.DataConfig.Sources[0].Plugin.TypedName().Type != "semantic-metrics-source" {
		t.Errorf("data sources are %+v", cfg.DataConfig.Sources)
	}
	if handle.Plugin("semantic-prefix-producer") == nil || handle.Plugin("approx-prefix-cache-producer") != nil {
		t.Error("GIE's prefix producer stands where ours should")
	}
}

func TestComplete(t *testing.T) {
	const router = `- {type: semantic-router, parameters: {defaultModel: a, models: [{name: a}], classifier: {model: none}}}`
	const head = "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n"
	t.Run("open places are filled with ours", func(t *testing.T) {
		_, cfg, handle := load(t, []byte(head+router+"\n- type: prefix-cache-scorer\n"))
		if cfg.ParserConfig.Parser.TypedName().Type != "semantic-parser" || handle.Plugin("semantic-prefix-producer") == nil ||
			handle.Plugin("semantic-metrics-source") == nil || handle.Plugin("core-metrics-extractor") != nil {
			t.Errorf("plugins are %v", handle.GetAllPluginsWithNames())
		}
	})
	t.Run("what the operator names stays", func(t *testing.T) {
		_, cfg, handle := load(t, []byte(head+router+`
- type: openai-parser
- type: prefix-cache-scorer
- type: approx-prefix-cache-producer
- type: metrics-data-source
- type: core-metrics-extractor
parser: {pluginRef: openai-parser}
dataLayer: {sources: [{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}]}
`))
		if cfg.ParserConfig.Parser.TypedName().Type != "openai-parser" || handle.Plugin("semantic-prefix-producer") != nil ||
			handle.Plugin("semantic-metrics-source") != nil {
			t.Errorf("plugins are %v", handle.GetAllPluginsWithNames())
		}
	})
	for name, text := range map[string]string{
		"without a semantic-router":     head + "- type: queue-scorer\n",
		"with two semantic-routers":     head + router + "\n- {name: b, type: semantic-router}\n",
		"with a parameter for a filter": head + router + "\n- {type: semantic-model-filter, parameters: {x: 1}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			raw, _, err := loader.LoadRawConfig([]byte(text), logr.Discard())
			if err == nil {
				err = plugins.Complete(raw)
			}
			if err == nil {
				_, err = loader.InstantiateAndConfigure(raw, plugin.NewEppHandle(t.Context(), nil), logr.Discard())
			}
			if err == nil {
				t.Error("no error")
			}
		})
	}
}

// store is the little that GIE's Director asks of a datastore.
type store struct{ endpoints []fwkdl.Endpoint }

func (s *store) PoolGet() (*datalayer.EndpointPool, error) { return &datalayer.EndpointPool{}, nil }
func (s *store) ObjectiveGet(string) *v1alpha2.InferenceObjective {
	return nil
}
func (s *store) PodList(predicate func(fwkdl.Endpoint) bool) []fwkdl.Endpoint { return s.endpoints }
func (s *store) ModelRewriteGet(string) (*v1alpha2.InferenceModelRewriteRule, string) {
	return nil, ""
}

func TestGIEsDirectorFollowsOurDecision(t *testing.T) {
	text := strings.ReplaceAll(string(example(t, "README.md")), "- type: semantic-prefix-producer\n  parameters: {maxPrefixBlocksToMatch: 256}\n", "")
	plugins.RegisterInTree()
	plugins.Register(mathOpener)
	raw, _, err := loader.LoadRawConfig([]byte(text), logr.Discard()) // without Complete: as the stock runner
	if err != nil {
		t.Fatal(err)
	}
	handle := plugin.NewEppHandle(t.Context(), func() []types.NamespacedName { return nil })
	cfg, err := loader.InstantiateAndConfigure(raw, handle, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	hooks := requestcontrol.NewConfig()
	hooks.AddPlugins(handle.GetAllPlugins()...)
	order, err := datalayer.ValidateAndOrderDataDependencies(handle.GetAllPlugins())
	if err != nil {
		t.Fatal(err)
	}
	hooks.OrderPrepareDataPlugins(order)
	ds := &store{}
	for name, app := range map[string]string{"10.0.0.1": "vllm-llama3-8b-instruct", "10.0.0.2": "phi4-mini"} {
		ds.endpoints = append(ds.endpoints, fwkdl.NewEndpoint(&fwkdl.EndpointMetadata{
			NamespacedName: types.NamespacedName{Namespace: "default", Name: name}, Address: name, Port: "8000",
			Labels: map[string]string{"app": app},
		}, nil))
	}
	candidates := requestcontrol.NewDatastoreEndpointCandidates(ds)
	director := requestcontrol.NewDirectorWithConfig(ds, giescheduling.NewSchedulerWithConfig(cfg.SchedulerConfig),
		requestcontrol.NewLegacyAdmissionController(cfg.SaturationDetector, candidates), cfg.ParserConfig.Parser, candidates, hooks)
	for prompt, want := range map[string][2]string{
		"2+2":   {"10.0.0.2:8000", "phi4-mini"},
		"hello": {"10.0.0.1:8000", "llama3-8b"},
	} {
		reqCtx := &handlers.RequestContext{Request: &handlers.Request{
			Headers: map[string]string{"x-request-id": "r", ":path": "/v1/chat/completions"},
			RawBody: []byte(`{"model":"auto","messages":[{"role":"system","content":"1+1"},{"role":"user","content":"` + prompt + `"}]}`),
		}}
		reqCtx, err := director.HandleRequest(t.Context(), reqCtx)
		if err != nil {
			t.Fatal(err)
		}
		var body struct{ Model string }
		if err := json.Unmarshal(reqCtx.Request.RawBody, &body); err != nil {
			t.Fatal(err)
		}
		if reqCtx.TargetEndpoint != want[0] || body.Model != want[1] || reqCtx.Request.Headers["x-selected-model"] != want[1] {
			t.Errorf("%q went to %s as %s with header %q; want %v", prompt, reqCtx.TargetEndpoint, body.Model, reqCtx.Request.Headers["x-selected-model"], want)
		}
	}
}

// discovery answers what a controller manager asks of an API server before it
// is started.
func discovery(w http.ResponseWriter, r *http.Request) {
	const pods = `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","namespaced":true,"kind":"Pod","verbs":["list"]}]}`
	const group = `{"name":"inference.networking.k8s.io","versions":[{"groupVersion":"inference.networking.k8s.io/v1","version":"v1"}],"preferredVersion":{"groupVersion":"inference.networking.k8s.io/v1","version":"v1"}}`
	const pools = `{"kind":"APIResourceList","groupVersion":"inference.networking.k8s.io/v1","resources":[{"name":"inferencepools","namespaced":true,"kind":"InferencePool","verbs":["list"]}]}`
	answers := map[string]string{
		"/api":                                 `{"kind":"APIVersions","versions":["v1"]}`,
		"/apis":                                `{"kind":"APIGroupList","groups":[` + group + `]}`,
		"/api/v1":                              pods,
		"/apis/inference.networking.k8s.io":    `{"kind":"APIGroup",` + group[1:],
		"/apis/inference.networking.k8s.io/v1": pools,
	}
	w.Header().Set("Content-Type", "application/json")
	if text, ok := answers[r.URL.Path]; ok {
		_, _ = io.WriteString(w, text)
		return
	}
	w.WriteHeader(http.StatusNotFound)
}

func TestTheStockRunnerTakesOurPlugins(t *testing.T) {
	api := httptest.NewServer(http.HandlerFunc(discovery))
	defer api.Close()
	plugins.Register(mathOpener)
	opts := runserver.NewOptions()
	opts.PoolName, opts.PoolNamespace = "pool", "default"
	opts.ConfigText = string(example(t, "README.md"))
	opts.EnablePprof = false
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	manager, datastore, err := runner.NewTestRunnerSetup(ctx, &rest.Config{Host: api.URL}, opts, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if manager == nil || datastore == nil {
		t.Error("no error, yet no manager or datastore")
	}
}
