package modelfilter_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/datalayer"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/config"
	"semantic-epp/plugins/modelfilter"
	"semantic-epp/plugins/modelscorer"
	"semantic-epp/plugins/semantic"
	"semantic-epp/scheduling"
)

var catalog = scheduling.NewCatalog([]config.Model{
	{Name: "big", Match: map[string]string{"app": "big"}},
	{Name: "small", Match: map[string]string{"app": "small"}},
})

func endpoints(choice *semantic.Choice, apps ...string) []giesched.Endpoint {
	eps := make([]giesched.Endpoint, len(apps))
	for i, app := range apps {
		meta := &datalayer.EndpointMetadata{NamespacedName: types.NamespacedName{Name: app}, Labels: map[string]string{"app": app}}
		eps[i] = giesched.NewEndpoint(meta, datalayer.NewMetrics(), nil)
		if choice != nil {
			eps[i].Put(semantic.ChoiceKey, choice)
		}
	}
	return eps
}

func TestFilterAndScore(t *testing.T) {
	big, small := scheduling.Ranked{Model: "big", Score: 1}, scheduling.Ranked{Model: "small", Score: 0.4}
	tests := map[string]struct {
		eligible []scheduling.Ranked
		kept     []string
		scores   []float64 // of big, small, other
	}{
		"only the best model's endpoints stay":        {[]scheduling.Ranked{big}, []string{"big"}, []float64{1, 0, 0}},
		"those of all models that are allowed stay":   {[]scheduling.Ranked{big, small}, []string{"big", "small"}, []float64{1, 0.4, 0}},
		"nothing stays where no endpoint serves it":   {[]scheduling.Ranked{{Model: "other", Score: 1}}, nil, []float64{0, 0, 0}},
		"without a choice all stay, and all are good": {nil, []string{"big", "small", "other"}, []float64{1, 1, 1}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var choice *semantic.Choice
			if tc.eligible != nil {
				choice = &semantic.Choice{Eligible: tc.eligible, Catalog: catalog}
			}
			eps := endpoints(choice, "big", "small", "other")
			kept := modelfilter.New("filter").Filter(t.Context(), nil, nil, eps)
			if len(kept) != len(tc.kept) {
				t.Fatalf("%d endpoints stay, want %v", len(kept), tc.kept)
			}
			for i, ep := range kept {
				if got := ep.GetMetadata().NamespacedName.Name; got != tc.kept[i] {
					t.Errorf("endpoint %d is %s, want %s", i, got, tc.kept[i])
				}
			}
			scores := modelscorer.New("scorer").Score(t.Context(), nil, nil, eps)
			for i, ep := range eps {
				if scores[ep] != tc.scores[i] {
					t.Errorf("score of %s is %v, want %v", ep.GetMetadata().NamespacedName.Name, scores[ep], tc.scores[i])
				}
			}
		})
	}
}
