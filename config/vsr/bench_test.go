package vsr_test

import (
	"testing"

	"semantic-epp/config/vsr"
)

func BenchmarkConvert(b *testing.B) {
	data := read(b, "testdata/generation2.in.yaml")
	for b.Loop() {
		if _, err := vsr.Convert(data, vsr.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
