package vsr_test

import (
	"errors"
	"reflect"
	"testing"

	"semantic-epp/config/vsr"
)

// What Detect does not know, Convert refuses for the same reason. What Convert
// makes reads back, says the same each time, and reports on every line.
func FuzzConvert(f *testing.F) {
	for _, file := range inputs(f) {
		if data := read(f, file); len(data) < 8<<10 {
			f.Add(data)
		}
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("version: v0.3\nproviders: {models: [{name: a, backend_refs: [{endpoint: 'x:y'}]}]}"))
	f.Add([]byte("decisions: [{rules: {conditions: [{type: language, name: de}]}, modelRefs: [{model: a, weight: .5}, {model: b}]}]"))
	f.Add([]byte("config: {<<: {categories: [{name: math, model_scores: [{model: \"\\x7f\", score: 1e9}]}]}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		format, detected := vsr.Detect(data)
		result, err := vsr.Convert(data, vsr.Options{Standalone: true})
		if errors.Is(detected, vsr.ErrNotVSR) != errors.Is(err, vsr.ErrNotVSR) {
			t.Errorf("Detect says %v, Convert %v", detected, err)
		}
		if err != nil {
			return
		}
		if detected != nil || result.Format != format || result.Router == nil || len(result.Report) == 0 {
			t.Fatalf("Detect says %+v, %v; Convert made %+v of it", format, detected, result)
		}
		again, err := vsr.Convert(data, vsr.Options{Standalone: true})
		if err != nil || !reflect.DeepEqual(again, result) {
			t.Errorf("not the same again (%v):\n%s\n%s", err, result.YAML, again.YAML)
		}
		for _, e := range result.Report {
			if e.Key == "" || e.Line < 1 || e.Note == "" {
				t.Errorf("an entry says nothing: %+v", e)
			}
		}
	})
}
