package builtin

import (
	"math"
	"testing"

	"semantic-epp/classifier"
)

func TestForeign(t *testing.T) {
	for text, want := range map[string]int{
		"":                        0,
		"2+2 is  ":                0,
		"what is a naïve façade?": 0,
		"Что такое митоз?":        1,
		"蜜蜂的蜂王是怎么产生的":             1,
		"What does 蜂王 mean":       0,
		"explain 量子力学":            1,
	} {
		if got := Foreign(text); got != want {
			t.Errorf("%q: got %d, want %d", text, got, want)
		}
	}
}

func TestMix(t *testing.T) {
	labels := []string{"law", "math"}
	result := func(law float64) classifier.Result {
		return classifier.Result{Probabilities: []classifier.Probability{{Category: "law", P: law}, {Category: "math", P: 1 - law}}}
	}
	tests := map[string]struct {
		transformer, linear float64
		powers              Powers
		want                float64 // of law
	}{
		"one model alone speaks":        {.9, .1, Powers{1, 0}, .9},
		"equal say, equal doubt":        {.9, .1, Powers{1, 1}, .5},
		"two that agree are surer":      {.9, .9, Powers{1, 1}, .81 / .82},
		"half a say is half the logits": {.9, .5, Powers{.5, 1}, 3. / 4},
		"certainty stays finite":        {1, 0, Powers{1, 1}, .5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r, err := Mix(result(tt.transformer), result(tt.linear), tt.powers, labels, "r")
			if err != nil {
				t.Fatal(err)
			}
			got := r.Confidence
			if r.Category != "law" {
				got = 1 - got
			}
			if math.Abs(got-tt.want) > 1e-6 {
				t.Errorf("law has %v, want %v", got, tt.want)
			}
		})
	}
	if _, err := Mix(result(.5), result(.5), Powers{1, 1}, []string{"law"}, "r"); err == nil {
		t.Error("a category that is none of the labels is taken")
	}
}
