package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
)

// noon is what the clock of a test server shows, always.
var noon = time.Date(2025, 6, 1, 12, 0, 0, 0, time.UTC)

// newTestServer is a server whose answers do not depend on time and place.
func newTestServer(backend Backend) *server {
	s := newServer(backend)
	s.now = func() time.Time { return noon }
	s.started = noon
	s.system = func() systemInfo {
		return systemInfo{GoVersion: "go1.26.0", Architecture: "amd64", OS: "linux", MemoryUsage: "41.20 MB"}
	}
	return s
}

// post sends a body of JSON.
func post(s http.Handler, path, body string) *httptest.ResponseRecorder {
	return send(s, http.MethodPost, path, body, "application/json")
}

func send(s http.Handler, method, path, body, contentType string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestReplies(t *testing.T) {
	tests := map[string]struct {
		path, body string
		want       string
	}{
		"a text that a rule claims": {
			path: "/api/v1/classify/intent",
			body: `{"text": "Solve this integral"}`,
			want: `{"classification":{"category":"math","confidence":0.9,"processing_time_ms":0},
				"recommended_model":"math-70b","routing_decision":"sums",
				"matched_signals":{"keywords":["sums"],"domains":["math"]},
				"decision_result":{"decision_name":"sums","confidence":0.95,"matched_rules":["keyword:sums","domain:math"]}}`,
		},
		"a text that no rule claims, with a sure category": {
			path: "/api/v1/classify/intent",
			body: `{"text": "Who won the battle?"}`,
			want: `{"classification":{"category":"history","confidence":0.9,"processing_time_ms":0},
				"recommended_model":"general","routing_decision":"high_confidence_specialized",
				"matched_signals":{"keywords":["sums"]}}`,
		},
		"a threshold above the confidence": {
			path: "/api/v1/classify/intent",
			body: `{"text": "Who won the battle?", "options": {"confidence_threshold": 0.95}}`,
			want: `{"classification":{"category":"history","confidence":0.9,"processing_time_ms":0},
				"recommended_model":"general","routing_decision":"low_confidence_general",
				"matched_signals":{"keywords":["sums"]}}`,
		},
		"a text without a category": {
			path: "/api/v1/classify/intent",
			body: `{"text": "hello", "options": {"return_probabilities": true}}`,
			want: `{"classification":{"category":"","confidence":0,"processing_time_ms":0},
				"recommended_model":"general","routing_decision":"low_confidence_general",
				"matched_signals":{"keywords":["sums"]}}`,
		},
		"messages with probabilities": {
			path: "/api/v1/classify/intent",
			body: `{"messages": [{"role": "system", "content": "You like battles."}, {"role": "user", "content": [{"type": "text", "text": "An integral"}]}],
				"options": {"return_probabilities": true}}`,
			want: `{"classification":{"category":"math","confidence":0.9,"processing_time_ms":0},
				"probabilities":{"math":0.9,"history":0.1},
				"recommended_model":"math-70b","routing_decision":"sums",
				"matched_signals":{"keywords":["sums"],"domains":["math"]},
				"decision_result":{"decision_name":"sums","confidence":0.95,"matched_rules":["keyword:sums","domain:math"]}}`,
		},
		"a batch": {
			path: "/api/v1/classify/batch",
			body: `{"texts": ["an integral", "hello", "a battle"], "task_type": "intent"}`,
			want: `{"results":[{"category":"math","confidence":0.9,"processing_time_ms":0},
					{"category":"","confidence":0,"processing_time_ms":0},
					{"category":"history","confidence":0.9,"processing_time_ms":0}],
				"total_count":3,"processing_time_ms":0,
				"statistics":{"category_distribution":{"math":1,"":1,"history":1},"avg_confidence":0.6,"low_confidence_count":1}}`,
		},
		"a batch with probabilities and a threshold": {
			path: "/api/v1/classify/batch",
			body: `{"texts": ["an integral"], "options": {"return_probabilities": true, "confidence_threshold": 0.95}}`,
			want: `{"results":[{"category":"math","confidence":0.9,"processing_time_ms":0,"probabilities":{"math":0.9,"history":0.1}}],
				"total_count":1,"processing_time_ms":0,
				"statistics":{"category_distribution":{"math":1},"avg_confidence":0.9,"low_confidence_count":1}}`,
		},
		"an explanation": {
			path: "/api/v1/explain",
			body: `{"text": "Solve this integral"}`,
			want: `{"model":"math-70b","models":[{"name":"math-70b","score":1,"reasoning":"high"},{"name":"general","score":0.4}],
				"rule":"sums","reason":"rule","confidence":0.95,"denied":false,"actions":["system_prompt"],
				"classification":{"category":"math","confidence":0.9,"margin":0.8,"probabilities":{"math":0.9,"history":0.1},"revision":"0123456789ab"},
				"rules":[{"name":"sums","evaluated":true,"holds":true,"confidence":0.95,"condition":{"kind":"all","evaluated":true,"holds":true,"conditions":[
					{"kind":"keyword","evaluated":true,"holds":true,"confidence":1,"value":"1"},
					{"kind":"domain","name":"math","evaluated":true,"holds":true,"confidence":0.9,"value":"math"},
					{"kind":"contextTokens","name":"long","evaluated":true,"holds":false}]}}],
				"request":{"api":"chat_completions","model":"","stream":false,"messages":1,"user_turns":1,"tools":0,"tool_results":0,"images":0,"text_bytes":19},
				"processing_time_ms":0}`,
		},
		"an explanation says that the classifier was too slow": {
			path: "/api/v1/explain",
			body: `{"text": "too late"}`,
			want: `{"model":"general","models":[{"name":"general","score":1}],"rule":"","reason":"default","confidence":0,"denied":false,
				"classification":{"category":"","confidence":0,"margin":0,"problem":"timeout"},
				"rules":[{"name":"sums","evaluated":true,"holds":false,"confidence":0,"condition":{"kind":"all","evaluated":true,"holds":false,"conditions":[
					{"kind":"keyword","evaluated":true,"holds":true,"confidence":1,"value":"1"},
					{"kind":"domain","evaluated":true,"holds":false,"problem":"timeout"},
					{"kind":"contextTokens","name":"long","evaluated":false,"holds":false}]}}],
				"request":{"api":"chat_completions","model":"","stream":false,"messages":1,"user_turns":1,"tools":0,"tool_results":0,"images":0,"text_bytes":8},
				"processing_time_ms":0}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := post(newTestServer(&double{}), tt.path, tt.body)
			if w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if diff := cmp.Diff(decode(t, tt.want), decode(t, w.Body.String())); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
		})
	}
}

func decode(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestWhatTheBackendIsAsked(t *testing.T) {
	tests := map[string]struct {
		path, body            string
		api, prompt, model    string
		tools                 int
		tenant, session, team string
	}{
		"a text": {
			body: `{"text": "Why?"}`,
			api:  "chat_completions", prompt: "Why?",
		},
		"a text with everything that JSON escapes": {
			body: `{"text": "\"<\u0000\ud83d\ude00>&\n"}`,
			api:  "chat_completions", prompt: "\"<\x00😀>&\n",
		},
		"messages count more than text": {
			body: `{"text": "Why?", "messages": [{"role": "user", "content": "How?"}]}`,
			api:  "chat_completions", prompt: "How?",
		},
		"text counts where messages have none": {
			body: `{"text": "Why?", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]}`,
			api:  "chat_completions", prompt: "Why?",
		},
		"no messages at all, and a text": {
			body: `{"text": "Why?", "messages": null}`,
			api:  "chat_completions", prompt: "Why?",
		},
		"messages without text alone": {
			body: `{"messages": [{"role": "user", "content": ""}]}`,
			api:  "chat_completions",
		},
		"a model, tools and metadata go with the text": {
			body: `{"text": "Why?", "model": "MoM", "tools": [{"type": "function"}], "metadata": {"tenant": "a"}}`,
			api:  "chat_completions", prompt: "Why?", model: "MoM", tools: 1, tenant: "a",
		},
		"headers, in any case, of an explanation": {
			path: "/api/v1/explain", body: `{"text": "Why?", "headers": {"X-Session-ID": "s1", "x-team": "blue"}}`,
			api: "chat_completions", prompt: "Why?", session: "s1", team: "blue",
		},
		"a request as it is": {
			path: "/api/v1/explain", body: `{"request": {"model": "auto", "messages": [{"role": "user", "content": "How?"}]}, "text": "Why?"}`,
			api: "chat_completions", prompt: "How?", model: "auto",
		},
		"a request of another API": {
			path: "/api/v1/explain", body: `{"path": "/v1/messages?beta=true", "request": {"model": "m", "max_tokens": 1, "system": "s", "messages": [{"role": "user", "content": "How?"}]}}`,
			api: "messages", prompt: "How?", model: "m",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var q Query
			backend := &double{asked: func(asked Query) { q = asked }}
			path := tt.path
			if path == "" {
				path = "/api/v1/classify/intent"
			}
			if w := post(newTestServer(backend), path, tt.body); w.Code != http.StatusOK {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if api := q.Request.API.String(); api != tt.api {
				t.Errorf("API %q, want %q", api, tt.api)
			}
			if prompt := q.Request.Prompt(1000); prompt != tt.prompt {
				t.Errorf("prompt %q, want %q", prompt, tt.prompt)
			}
			if q.Model != tt.model {
				t.Errorf("model %q, want %q", q.Model, tt.model)
			}
			if q.Request.Shape.Tools != tt.tools {
				t.Errorf("%d tools, want %d", q.Request.Shape.Tools, tt.tools)
			}
			if tenant, _ := q.Request.Metadata("tenant"); tenant != tt.tenant {
				t.Errorf("tenant %q, want %q", tenant, tt.tenant)
			}
			if session, team := q.Header.Get("x-session-id"), q.Header.Get("x-team"); session != tt.session || team != tt.team {
				t.Errorf("session %q and team %q, want %q and %q", session, team, tt.session, tt.team)
			}
		})
	}
}

// canary is text that no error may quote. It stands wherever a client can put
// text.
const canary = "zanzibar"

func TestFailures(t *testing.T) {
	intent, batch, explain := "/api/v1/classify/intent", "/api/v1/classify/batch", "/api/v1/explain"
	tests := map[string]struct {
		method, path, body string
		contentType        string
		status             int
		code, message      string
		allow              string
	}{
		"an unknown path":                     {method: "GET", path: "/" + canary, status: 404, code: "NOT_FOUND", message: "openapi.json"},
		"a slash too many":                    {method: "GET", path: "/health/", status: 404, code: "NOT_FOUND"},
		"GET of a classification":             {method: "GET", path: intent, status: 405, code: "METHOD_NOT_ALLOWED", message: "POST", allow: "POST"},
		"HEAD of a classification":            {method: "HEAD", path: batch, status: 405, code: "METHOD_NOT_ALLOWED", allow: "POST"},
		"POST of an information":              {method: "POST", path: "/ready", body: canary, status: 405, code: "METHOD_NOT_ALLOWED", message: "GET", allow: "GET, HEAD"},
		"an invented method":                  {method: "ZANZIBAR", path: "/ready", status: 405, code: "METHOD_NOT_ALLOWED", allow: "GET, HEAD"},
		"a form, as curl -d sends it":         {path: intent, body: `{"text": "x"}`, contentType: "application/x-www-form-urlencoded", status: 415, code: "UNSUPPORTED_MEDIA_TYPE", message: "application/json"},
		"no content type":                     {path: intent, body: `{"text": "x"}`, contentType: "none", status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		"a content type that is none":         {path: intent, body: `{"text": "x"}`, contentType: "; " + canary, status: 415, code: "UNSUPPORTED_MEDIA_TYPE"},
		"JSON that is not UTF-8":              {path: intent, body: `{"text": "x"}`, contentType: "application/json; charset=latin1", status: 415, code: "UNSUPPORTED_MEDIA_TYPE", message: "UTF-8"},
		"more than a MiB":                     {path: intent, body: `{"text": "` + strings.Repeat(canary, 150_000) + `"}`, status: 413, code: "REQUEST_BODY_TOO_LARGE", message: "1 MiB"},
		"nothing":                             {path: intent, status: 400, code: "INVALID_INPUT", message: "not JSON: error at byte 0 of 0"},
		"half an object":                      {path: intent, body: `{"text": "` + canary, status: 400, code: "INVALID_INPUT", message: "not JSON: error at byte 18 of 18"},
		"a plain text":                        {path: intent, body: canary, status: 400, code: "INVALID_INPUT", message: "not JSON"},
		"a string":                            {path: intent, body: `"` + canary + `"`, status: 400, code: "INVALID_INPUT", message: "must be a JSON object"},
		"null":                                {path: explain, body: `null`, status: 400, code: "INVALID_INPUT", message: "must be a JSON object"},
		"neither text nor messages":           {path: intent, body: `{"txt": "` + canary + `"}`, status: 400, code: "INVALID_INPUT", message: "text or messages is needed"},
		"an empty text":                       {path: intent, body: `{"text": " \n"}`, status: 400, code: "INVALID_INPUT", message: "must not be empty"},
		"a text of another type":              {path: intent, body: `{"text": ["` + canary + `"]}`, status: 400, code: "INVALID_INPUT", message: "text must be a string"},
		"a model of another type":             {path: intent, body: `{"text": "x", "model": {"` + canary + `": 1}}`, status: 400, code: "INVALID_INPUT", message: "model must be a string"},
		"options of another type":             {path: intent, body: `{"text": "x", "options": "` + canary + `"}`, status: 400, code: "INVALID_INPUT", message: "options must be an object"},
		"a threshold that is no share":        {path: intent, body: `{"text": "x", "options": {"confidence_threshold": 60}}`, status: 400, code: "INVALID_INPUT", message: "from 0 to 1"},
		"a threshold below 0":                 {path: batch, body: `{"texts": ["x"], "options": {"confidence_threshold": -0.1}}`, status: 400, code: "INVALID_INPUT", message: "from 0 to 1"},
		"messages that are none":              {path: intent, body: `{"messages": {"` + canary + `": 1}}`, status: 400, code: "INVALID_INPUT", message: "messages"},
		"a key in another case":               {path: intent, body: `{"text": "x", "Messages": [{"role": "user", "content": "` + canary + `"}]}`, status: 400, code: "INVALID_INPUT"},
		"a role that stands twice":            {path: intent, body: `{"messages": [{"role": "` + canary + `", "role": "user", "content": "` + canary + `"}]}`, status: 400, code: "INVALID_INPUT", message: "messages"},
		"a batch without texts":               {path: batch, body: `{"text": "` + canary + `"}`, status: 400, code: "INVALID_INPUT", message: "texts field is required"},
		"an empty batch":                      {path: batch, body: `{"texts": []}`, status: 400, code: "INVALID_INPUT", message: "texts array cannot be empty"},
		"a batch with an empty text":          {path: batch, body: `{"texts": ["` + canary + `", ""]}`, status: 400, code: "INVALID_INPUT", message: "texts[1]"},
		"a batch of numbers":                  {path: batch, body: `{"texts": ["` + canary + `", 1]}`, status: 400, code: "INVALID_INPUT", message: "an array of strings"},
		"a batch of 101":                      {path: batch, body: `{"texts": ["` + canary + `"` + strings.Repeat(`,"x"`, 100) + `]}`, status: 400, code: "BATCH_TOO_LARGE", message: "100"},
		"a batch for PII":                     {path: batch, body: `{"texts": ["` + canary + `"], "task_type": "pii"}`, status: 400, code: "INVALID_TASK_TYPE", message: "intent"},
		"a batch for a text":                  {path: batch, body: `{"texts": ["x"], "task_type": "` + canary + `"}`, status: 400, code: "INVALID_TASK_TYPE"},
		"a path that is not read":             {path: explain, body: `{"request": {"model": "m"}, "path": "/v1/` + canary + `"}`, status: 400, code: "INVALID_INPUT", message: "/v1/messages"},
		"a request without a model":           {path: explain, body: `{"request": {"messages": [{"role": "user", "content": "` + canary + `"}]}}`, status: 400, code: "INVALID_INPUT", message: "model"},
		"a request that is a text":            {path: explain, body: `{"request": "` + canary + `"}`, status: 400, code: "INVALID_INPUT"},
		"headers that are a list":             {path: explain, body: `{"text": "x", "headers": ["` + canary + `"]}`, status: 400, code: "INVALID_INPUT", message: "headers must be an object"},
		"the classifier is overloaded":        {path: intent, body: `{"text": "overload ` + canary + `"}`, status: 503, code: "OVERLOADED", message: "try again"},
		"the classifier is slow":              {path: intent, body: `{"text": "late ` + canary + `"}`, status: 504, code: "TIMEOUT"},
		"the classifier breaks":               {path: intent, body: `{"text": "break ` + canary + `"}`, status: 500, code: "CLASSIFICATION_ERROR", message: "log"},
		"the backend breaks":                  {path: explain, body: `{"text": "unexplained ` + canary + `"}`, status: 500, code: "CLASSIFICATION_ERROR"},
		"the backend panics":                  {path: explain, body: `{"text": "panic ` + canary + `"}`, status: 500, code: "INTERNAL_ERROR"},
		"overloaded in a batch":               {path: batch, body: `{"texts": ["an integral", "overload ` + canary + `"]}`, status: 503, code: "OVERLOADED"},
		"broken in a batch":                   {path: batch, body: `{"texts": ["an integral", "break ` + canary + `"]}`, status: 500, code: "CLASSIFICATION_ERROR"},
		"a panic in a batch":                  {path: batch, body: `{"texts": ["panic ` + canary + `"]}`, status: 500, code: "INTERNAL_ERROR"},
		"a broken text ends the others' wait": {path: batch, body: `{"texts": ["wait", "break ` + canary + `"]}`, status: 500, code: "CLASSIFICATION_ERROR"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			method, contentType := tt.method, tt.contentType
			if method == "" {
				method = http.MethodPost
			}
			switch contentType {
			case "":
				contentType = "application/json"
			case "none":
				contentType = ""
			}
			log := &strings.Builder{}
			logger := funcr.New(func(prefix, args string) { log.WriteString(prefix + args) }, funcr.Options{Verbosity: 100})
			s := newTestServer(&double{})
			logged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.ServeHTTP(w, r.WithContext(logr.NewContext(r.Context(), logger)))
			})
			w := send(logged, method, tt.path, tt.body, contentType)
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			if got := w.Header().Get("Allow"); got != tt.allow {
				t.Errorf("allow %q, want %q", got, tt.allow)
			}
			if again := w.Header().Get("Retry-After"); (again != "") != (tt.status == http.StatusServiceUnavailable) {
				t.Errorf("retry-after %q with status %d", again, tt.status)
			}
			check(t, "#/components/schemas/Failure", w.Body.String())
			got := failureIn(t, w)
			if got.Code != tt.code || !strings.Contains(got.Message, tt.message) {
				t.Errorf("error %q: %q, want %q: …%s…", got.Code, got.Message, tt.code, tt.message)
			}
			if got.Timestamp != "2025-06-01T12:00:00Z" {
				t.Errorf("timestamp %q", got.Timestamp)
			}
			if strings.Contains(strings.ToLower(w.Body.String()), canary) {
				t.Errorf("the error quotes the request: %s", w.Body)
			}
			if strings.Contains(strings.ToLower(log.String()), canary) {
				t.Errorf("the log quotes the request: %s", log)
			}
			if panicked := tt.code == "INTERNAL_ERROR"; panicked != strings.Contains(log.String(), "panic") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

type failureBody struct{ Code, Message, Timestamp string }

func failureIn(t *testing.T, w *httptest.ResponseRecorder) failureBody {
	t.Helper()
	var body struct{ Error failureBody }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	return body.Error
}

func TestHealthAndInformation(t *testing.T) {
	tests := map[string]struct {
		backend double
		path    string
		status  int
		want    string
	}{
		"the process answers": {
			path: "/health", status: 200,
			want: `{"status":"healthy","service":"classification-api"}`,
		},
		"the picker is ready": {
			path: "/ready", status: 200,
			want: `{"status":"ready","service":"classification-api","ready":true}`,
		},
		"the picker is not ready": {
			backend: double{notReady: errors.New("no endpoint yet")}, path: "/ready", status: 503,
			want: `{"status":"starting","service":"classification-api","ready":false,"message":"no endpoint yet"}`,
		},
		"the models for clients": {
			path: "/v1/models", status: 200,
			want: `{"object":"list","data":[
				{"id":"auto","object":"model","created":1748779200,"owned_by":"semantic-epp","root":"auto","parent":null},
				{"id":"general","object":"model","created":1748779200,"owned_by":"semantic-epp","root":"general","parent":null},
				{"id":"math-70b","object":"model","created":1748779200,"owned_by":"semantic-epp","root":"math-70b","parent":"general"}]}`,
		},
		"the classifier": {
			path: "/info/classifier", status: 200,
			want: `{"status":"config_loaded","config":{"defaultModel":"general"},
				"classifier":{"name":"linear","revision":"0123456789ab","labels":["math","history"],"device":"cpu"}}`,
		},
		"no classifier": {
			backend: double{none: true}, path: "/info/classifier", status: 200,
			want: `{"status":"no_config","config":null,"classifier":null}`,
		},
		"the models inside": {
			path: "/info/models", status: 200,
			want: `{"models":[{"name":"category_classifier","type":"intent_classification","loaded":true,"state":"ready",
					"categories":["math","history"],"metadata":{"model":"linear","revision":"0123456789ab","device":"cpu"}}],
				"summary":{"ready":true,"loaded_models":1,"total_models":1},
				"system":{"go_version":"go1.26.0","architecture":"amd64","os":"linux","memory_usage":"41.20 MB","gpu_available":false}}`,
		},
		"no models inside": {
			backend: double{none: true, notReady: errors.New("no endpoint yet")}, path: "/info/models", status: 200,
			want: `{"models":[],"summary":{"ready":false,"loaded_models":0,"total_models":0},
				"system":{"go_version":"go1.26.0","architecture":"amd64","os":"linux","memory_usage":"41.20 MB","gpu_available":false}}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := newTestServer(&tt.backend)
			w := send(s, http.MethodGet, tt.path, "", "")
			if w.Code != tt.status {
				t.Errorf("status %d, want %d", w.Code, tt.status)
			}
			if diff := cmp.Diff(decode(t, tt.want), decode(t, w.Body.String())); diff != "" {
				t.Errorf("reply (-want +got):\n%s", diff)
			}
			head := send(s, http.MethodHead, tt.path, "", "")
			if head.Code != tt.status || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
				t.Errorf("HEAD answers %d %v, GET %d %v", head.Code, head.Header(), w.Code, w.Header())
			}
		})
	}
}

func TestThisSystem(t *testing.T) {
	got := thisSystem()
	var megabytes float64
	if err := json.Unmarshal([]byte(strings.TrimSuffix(got.MemoryUsage, " MB")), &megabytes); err != nil || megabytes < 1 {
		t.Errorf("memory_usage %q", got.MemoryUsage)
	}
	if !strings.HasPrefix(got.GoVersion, "go") || got.OS == "" || got.Architecture == "" {
		t.Errorf("system %+v", got)
	}
}

func TestAtMostEightTextsAreClassifiedAtOnce(t *testing.T) {
	var now, most atomic.Int32
	backend := &double{during: func() {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(2 * time.Millisecond)
		now.Add(-1)
	}}
	s := newTestServer(backend)
	batch := `{"texts": ["x"` + strings.Repeat(`,"x"`, 49) + `]}`
	done := make(chan int, 2)
	for range cap(done) { // two batches share the slots
		go func() { done <- post(s, "/api/v1/classify/batch", batch).Code }()
	}
	for range cap(done) {
		if status := <-done; status != http.StatusOK {
			t.Errorf("status %d", status)
		}
	}
	if most.Load() != maxConcurrency {
		t.Errorf("%d texts at once, want %d", most.Load(), maxConcurrency)
	}
}

func TestMoreRequestsThanMayWaitAreRefused(t *testing.T) {
	s := newTestServer(&double{})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan int, maxRequests)
	for range cap(done) {
		go func() {
			r := httptest.NewRequest(http.MethodPost, "/api/v1/classify/intent", strings.NewReader(`{"text": "wait"}`)).WithContext(ctx)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			done <- w.Code
		}()
	}
	for len(s.requests) < maxRequests {
		time.Sleep(time.Millisecond)
	}
	w := post(s, "/api/v1/classify/intent", `{"text": "hello"}`)
	if got := failureIn(t, w); w.Code != http.StatusServiceUnavailable || got.Code != "OVERLOADED" {
		t.Errorf("one too many: %d %+v", w.Code, got)
	}
	if w := send(s, http.MethodGet, "/health", "", ""); w.Code != http.StatusOK {
		t.Errorf("health under load: %d", w.Code)
	}
	stop()
	for range cap(done) {
		if status := <-done; status < 500 {
			t.Errorf("a request that was given up: %d", status)
		}
	}
	if w := post(s, "/api/v1/classify/intent", `{"text": "hello"}`); w.Code != http.StatusOK {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

func TestABodyThatEndsEarly(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/explain", iotest.ErrReader(io.ErrUnexpectedEOF))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	newTestServer(&double{}).ServeHTTP(w, r)
	if got := failureIn(t, w); w.Code != http.StatusBadRequest || got.Code != "INVALID_INPUT" {
		t.Errorf("%d %+v", w.Code, got)
	}
}

func TestAReplyThatIsNotJSON(t *testing.T) {
	w := post(newTestServer(&double{}), "/api/v1/classify/intent", `{"text": "nan"}`)
	check(t, "#/components/schemas/Failure", w.Body.String())
	if got := failureIn(t, w); w.Code != http.StatusInternalServerError || got.Code != "JSON_ENCODE_ERROR" {
		t.Errorf("%d %+v", w.Code, got)
	}
}

func TestARequestThatIsGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/classify/batch", strings.NewReader(`{"texts": ["wait"]}`)).WithContext(ctx)
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	newTestServer(&double{}).ServeHTTP(w, r)
	check(t, "#/components/schemas/Failure", w.Body.String())
	if got := failureIn(t, w); w.Code != http.StatusServiceUnavailable || got.Code != "CANCELED" {
		t.Errorf("%d %+v", w.Code, got)
	}
}

func TestACompressedBody(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/explain", strings.NewReader("{}"))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Content-Encoding", "gzip")
	w := httptest.NewRecorder()
	newTestServer(&double{}).ServeHTTP(w, r)
	if got := failureIn(t, w); w.Code != http.StatusUnsupportedMediaType || !strings.Contains(got.Message, "uncompressed") {
		t.Errorf("%d %+v", w.Code, got)
	}
}
