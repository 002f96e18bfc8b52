package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"semantic-epp/api"
	"semantic-epp/classifier"
)

// picker is a backend to show.
type picker struct{}

func (picker) Classify(context.Context, string) (classifier.Result, error) {
	return classifier.Result{Category: "math", Confidence: 0.9}, nil
}

func (p picker) Explain(ctx context.Context, query api.Query) (api.Explanation, error) {
	return api.Explanation{
		Model: "math-70b", Models: []api.RankedModel{{Name: "math-70b", Score: 1}}, Rule: "sums", Reason: "rule", Confidence: 0.9,
		Classification: api.ClassificationOf(p.Classify(ctx, query.Request.Prompt(16<<10))),
	}, nil
}

func (picker) Models() []api.Model         { return []api.Model{{Name: "auto"}, {Name: "math-70b"}} }
func (picker) Classifier() api.Info        { return api.Info{Info: classifier.Info{Name: "linear"}} }
func (picker) Ready(context.Context) error { return nil }

func ExampleNew() {
	server := httptest.NewServer(api.New(picker{}))
	defer server.Close()
	reply, err := http.Post(server.URL+"/api/v1/classify/intent", "application/json", strings.NewReader(`{"text": "Solve this integral"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer reply.Body.Close()
	var answer struct {
		Classification struct {
			Category   string
			Confidence float64
		}
		Recommended string `json:"recommended_model"`
		Decision    string `json:"routing_decision"`
	}
	err = json.NewDecoder(reply.Body).Decode(&answer)
	fmt.Printf("%+v %v\n", answer, err)
	// Output: {Classification:{Category:math Confidence:0.9} Recommended:math-70b Decision:sums} <nil>
}
