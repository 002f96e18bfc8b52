package vsr_test

import (
	"fmt"

	"semantic-epp/config/vsr"
)

func ExampleConvert() {
	result, err := vsr.Convert([]byte(`
default_model: general
categories:
- name: math
  jailbreak_enabled: true
  model_scores: [{model: small, score: 1.0}, {model: general, score: 0.4}]
`), vsr.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Format.Generation, result.Router.Rules[0].Models[0].Name)
	for _, e := range result.Report[:3] {
		fmt.Println(e.Line, e.Key, e.Outcome, e.Warn)
	}
	// Output:
	// 0 small
	// 2 default_model taken false
	// 4 categories[0].name taken false
	// 5 categories[0].jailbreak_enabled ignored true
}
