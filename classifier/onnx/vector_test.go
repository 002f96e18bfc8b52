package onnx

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// All 65,536 of them, against the definition in IEEE 754.
func TestFromHalf(t *testing.T) {
	for h := range 1 << 16 {
		exponent, fraction := h>>10&0x1f, float64(h&0x3ff)
		var want float64
		switch {
		case exponent == 0x1f && fraction == 0:
			want = math.Inf(1)
		case exponent == 0x1f:
			want = math.NaN()
		case exponent == 0:
			want = math.Ldexp(fraction, -24)
		default:
			want = math.Ldexp(1024+fraction, exponent-25)
		}
		if h>>15 == 1 {
			want = -want
		}
		var got [1]float32
		fromHalf(got[:], binary.NativeEndian.AppendUint16(nil, uint16(h)))
		same := float64(got[0]) == want && math.Signbit(float64(got[0])) == math.Signbit(want)
		if !same && !(math.IsNaN(want) && math.IsNaN(float64(got[0]))) {
			t.Fatalf("%04x: got %v, want %v", h, got[0], want)
		}
	}
}

func TestNormalize(t *testing.T) {
	v := []float32{3e-30, 0, -4e-30}
	if err := normalize(v); err != nil || math.Abs(float64(v[0])-.6) > 1e-6 || v[1] != 0 || math.Abs(float64(v[2])+.8) > 1e-6 {
		t.Errorf("got %v, %v", v, err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, v := range [][]float32{{0, 0}, {1, nan}, {inf, 1}} {
		if err := normalize(v); err == nil || !strings.Contains(err.Error(), "no direction") {
			t.Errorf("%v: got %v", v, err)
		}
	}
}

func TestPool(t *testing.T) {
	tokens := []float32{1, 10, 2, 20, 3, 60}
	for pooling, want := range map[string][2]float32{MeanPooling: {6, 90}, CLSPooling: {1, 10}} {
		var got [2]float32
		if pool(got[:], tokens, pooling); got != want { // the mean times 3
			t.Errorf("%s: got %v, want %v", pooling, got, want)
		}
	}
}
