package onnx

import (
	"encoding/binary"
	"fmt"
	"math"
)

// fromHalf converts IEEE 754 binary16 numbers, in the machine's order as ONNX
// Runtime leaves them, to float32.
func fromHalf(dst []float32, src []byte) {
	for i := range dst {
		dst[i] = halfToFloat(binary.NativeEndian.Uint16(src[2*i:]))
	}
}

func halfToFloat(h uint16) float32 {
	sign := uint32(h>>15) << 31
	exponent := uint32(h>>10) & 0x1f
	fraction := uint32(h) & 0x3ff
	switch exponent {
	case 0: // zero, or below the normal numbers: fraction × 2^-24
		f := float32(fraction) * (1.0 / (1 << 24))
		return math.Float32frombits(math.Float32bits(f) | sign)
	case 0x1f: // infinity or NaN
		return math.Float32frombits(sign | 0xff<<23 | fraction<<13)
	default: // the exponent's bias is 15 there and 127 here
		return math.Float32frombits(sign | (exponent+127-15)<<23 | fraction<<13)
	}
}

// pool makes one vector from those of a text's tokens, which stand one after
// the other in tokens, without padding.
func pool(vector, tokens []float32, pooling string) {
	copy(vector, tokens)
	if pooling == CLSPooling {
		return
	}
	for tokens = tokens[len(vector):]; len(tokens) > 0; tokens = tokens[len(vector):] {
		for i := range vector {
			vector[i] += tokens[i]
		}
	}
	// The mean is the sum over a count, which normalizing takes out again.
}

// normalize gives the vector a Euclidean length of 1.
func normalize(vector []float32) error {
	sum := 0.0
	for _, v := range vector {
		sum += float64(v) * float64(v)
	}
	length := math.Sqrt(sum)
	if !(length > 0) || math.IsInf(length, 1) {
		return fmt.Errorf("the embedding's length is %v: it has no direction", length)
	}
	for i, v := range vector {
		vector[i] = float32(float64(v) / length)
	}
	return nil
}
