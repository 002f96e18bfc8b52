package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// document is as much of the OpenAPI document as the tests look at.
type document struct {
	Paths map[string]map[string]struct {
		RequestBody *struct{ Content content }
		Responses   map[string]struct {
			Ref     string `json:"$ref"`
			Content content
		}
	}
	Components struct{ Schemas map[string]any }
}

type content map[string]struct {
	Schema struct {
		Ref string `json:"$ref"`
	}
}

func readDocument(t *testing.T) document {
	t.Helper()
	var d document
	if err := json.Unmarshal(openAPIDocument, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// schema compiles a schema of the document, by its $ref. Objects may only have
// the properties that it lists, so that a reply with another one fails.
func schema(t testing.TB, ref string) *jsonschema.Schema {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPIDocument))
	if err != nil {
		t.Fatal(err)
	}
	closeObjects(parsed.(map[string]any)["components"])
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("openapi.json", parsed); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("openapi.json" + ref)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func closeObjects(v any) {
	switch v := v.(type) {
	case map[string]any:
		_, listed := v["properties"]
		if _, open := v["additionalProperties"]; listed && !open {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			closeObjects(inner)
		}
	case []any:
		for _, inner := range v {
			closeObjects(inner)
		}
	}
}

func TestTheDocumentHasEveryRouteAndNoOther(t *testing.T) {
	var documented, served []string
	for path, operations := range readDocument(t).Paths {
		for method := range operations {
			documented = append(documented, strings.ToUpper(method)+" "+path)
		}
	}
	for path, route := range newServer(&double{}).routes {
		served = append(served, route.method+" "+path)
	}
	slices.Sort(documented)
	slices.Sort(served)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("routes (-served +documented):\n%s", diff)
	}
}

func TestEverySchemaIsUsed(t *testing.T) {
	for name := range readDocument(t).Components.Schemas {
		if ref := fmt.Sprintf(`"#/components/schemas/%s"`, name); !bytes.Contains(openAPIDocument, []byte(ref)) {
			t.Errorf("%s is not used", name)
		}
	}
}

// TestRepliesAreAsDocumented sends one request of each kind and checks it and
// the answer against the document.
func TestRepliesAreAsDocumented(t *testing.T) {
	broken := &double{notReady: errors.New("no endpoint yet"), none: true}
	tests := map[string]struct {
		backend            *double
		method, path, body string
		status             int
	}{
		"intent":                        {path: "/api/v1/classify/intent", body: `{"text": "an integral", "options": {"return_probabilities": true}}`, status: 200},
		"intent by messages":            {path: "/api/v1/classify/intent", body: `{"messages": [{"role": "user", "content": "hello"}], "model": "auto"}`, status: 200},
		"intent, overloaded":            {path: "/api/v1/classify/intent", body: `{"text": "overload"}`, status: 503},
		"batch":                         {path: "/api/v1/classify/batch", body: `{"texts": ["an integral", "hello"], "task_type": "intent", "options": {"return_probabilities": true, "confidence_threshold": 0.5}}`, status: 200},
		"batch, broken":                 {path: "/api/v1/classify/batch", body: `{"texts": ["break"]}`, status: 500},
		"explain":                       {path: "/api/v1/explain", body: `{"text": "an integral", "headers": {"x-team": "blue"}}`, status: 200},
		"explain a request":             {path: "/api/v1/explain", body: `{"path": "/v1/responses", "request": {"model": "auto", "input": "late"}}`, status: 200},
		"explain nothing":               {path: "/api/v1/explain", body: `{"path": "/v1/messages", "request": {}}`, status: 400},
		"info of models":                {method: "GET", path: "/info/models", status: 200},
		"info of models, none":          {backend: broken, method: "GET", path: "/info/models", status: 200},
		"info of the classifier":        {method: "GET", path: "/info/classifier", status: 200},
		"info of the classifier, none":  {backend: broken, method: "GET", path: "/info/classifier", status: 200},
		"models":                        {method: "GET", path: "/v1/models", status: 200},
		"health":                        {method: "GET", path: "/health", status: 200},
		"ready":                         {method: "GET", path: "/ready", status: 200},
		"not ready":                     {backend: broken, method: "GET", path: "/ready", status: 503},
		"a method that a path does not": {method: "DELETE", path: "/ready", status: 405},
		"the document":                  {method: "GET", path: "/openapi.json", status: 200},
	}
	d := readDocument(t)
	seen := map[string]bool{}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			backend, method := tt.backend, tt.method
			if backend == nil {
				backend = &double{}
			}
			if method == "" {
				method = http.MethodPost
			}
			w := send(newTestServer(backend), method, tt.path, tt.body, "application/json")
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("content type %q", got)
			}
			ref := "#/components/schemas/Failure" // of methods that are not there
			if operation, ok := d.Paths[tt.path][strings.ToLower(method)]; ok {
				if tt.body != "" && tt.status == 200 {
					check(t, operation.RequestBody.Content["application/json"].Schema.Ref, tt.body)
				}
				response, ok := operation.Responses[fmt.Sprint(tt.status)]
				if ok {
					ref = response.Content["application/json"].Schema.Ref
				}
			}
			if ref == "" { // of a schema that is written where it is used
				ref = "#/paths/" + strings.ReplaceAll(tt.path, "/", "~1") + "/get/responses/200/content/application~1json/schema"
			}
			check(t, ref, w.Body.String())
			if tt.status == 200 {
				seen[tt.path] = true
			}
		})
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(d.Paths)), slices.Sorted(maps.Keys(seen))); diff != "" {
		t.Errorf("paths whose replies were checked (-documented +checked):\n%s", diff)
	}
}

// check validates JSON by a schema of the document.
func check(t *testing.T, ref, text string) {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema(t, ref).Validate(v); err != nil {
		t.Errorf("%s: %v\n%s", ref, err, text)
	}
}

// TestTheSchemasRefuse makes sure that the checks above can fail.
func TestTheSchemasRefuse(t *testing.T) {
	tests := map[string]struct{ ref, text string }{
		"a share above 1":              {"#/components/schemas/IntentReply", `{"classification":{"category":"","confidence":2,"processing_time_ms":0},"recommended_model":"","routing_decision":""}`},
		"a reply without a field":      {"#/components/schemas/Health", `{"status":"healthy"}`},
		"a field that is not there":    {"#/components/schemas/Health", `{"status":"healthy","service":"classification-api","extra":1}`},
		"a code that is not there":     {"#/components/schemas/Failure", `{"error":{"code":"OOPS","message":"","timestamp":"2025-06-01T12:00:00Z"}}`},
		"a timestamp that is none":     {"#/components/schemas/Failure", `{"error":{"code":"TIMEOUT","message":"","timestamp":"noon"}}`},
		"a wrong condition far inside": {"#/components/schemas/Condition", `{"kind":"all","evaluated":true,"holds":true,"conditions":[{"kind":"domain"}]}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if schema(t, tt.ref).Validate(v) == nil {
				t.Error("no objection")
			}
		})
	}
}
