package api

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"semantic-epp/classifier"
)

// sound is a backend without a fault, so that every failure is the client's.
type sound struct{ double }

func (s *sound) Classify(context.Context, string) (classifier.Result, error) {
	return result("math", "history"), nil
}

func (s *sound) Explain(_ context.Context, query Query) (Explanation, error) {
	// Everything that a backend may read of a request.
	_ = query.Request.Prompt(1 << 10)
	_, _ = query.Request.Metadata("tenant")
	_ = query.Header.Get("x-team")
	return Explanation{Model: "general", Reason: "default"}, nil
}

// FuzzRequests sends anything as the body of a request. Whatever it is: no
// panic, no status of 500 and above, and a reply as the document says.
func FuzzRequests(f *testing.F) {
	for _, body := range []string{
		`{"text": "Why?", "options": {"return_probabilities": true, "confidence_threshold": 0.5}}`,
		`{"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}], "tools": [{}], "metadata": {"a": "b"}}`,
		`{"texts": ["a", "b"], "task_type": "intent"}`,
		`{"request": {"model": "auto", "input": "Why?"}, "path": "/v1/responses", "headers": {"X-Team": "blue"}}`,
		`{"text": "` + "\xff\x00" + `"}`,
		`[]`, `null`, `{"text": null}`, `{"messages": [[[[]]]]}`, `{"headers": {"": ""}, "text": "a"}`, "\xef\xbb\xbf{}",
	} {
		for route := range byte(3) {
			f.Add(route, []byte(body))
		}
	}
	routes := []struct {
		path  string
		reply *jsonschema.Schema
	}{
		{"/api/v1/classify/intent", schema(f, "#/components/schemas/IntentReply")},
		{"/api/v1/classify/batch", schema(f, "#/components/schemas/BatchReply")},
		{"/api/v1/explain", schema(f, "#/components/schemas/Explanation")},
	}
	failure := schema(f, "#/components/schemas/Failure")
	s := newTestServer(&sound{})
	f.Fuzz(func(t *testing.T, which byte, body []byte) {
		route := routes[int(which)%len(routes)]
		w := post(s, route.path, string(body))
		var reply any
		if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
			t.Fatalf("%v in %q", err, w.Body)
		}
		want := failure
		switch {
		case w.Code == http.StatusOK:
			want = route.reply
		case w.Code < 400 || w.Code > 499:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if err := want.Validate(reply); err != nil {
			t.Errorf("%v: %s", err, w.Body)
		}
	})
}
