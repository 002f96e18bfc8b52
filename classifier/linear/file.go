package linear

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// magic begins a file; its last byte is the version of the format and of the
// features.
const magic = "sepplin\x01"

// Limits of what Load accepts.
const (
	maxBuckets = 1 << 20
	maxLabels  = 256
)

// Parameters are what training finds.
type Parameters struct {
	Labels  []string
	Buckets int
	Bias    []float32 // one for each label
	Weights []float32 // [bucket][label]
}

// A file is magic, header, labels (a byte of length, then the name), bias and
// scale of each label, weights, and the SHA-256 of all that. Numbers are
// little-endian; a weight is its byte times its label's scale.
type header struct {
	Labels  uint32
	Buckets uint32
}

// Encode writes the parameters as a file that Load reads, with weights rounded
// to 8 bits.
func (p Parameters) Encode() ([]byte, error) {
	n := len(p.Labels)
	if len(p.Bias) != n || len(p.Weights) != n*p.Buckets {
		return nil, fmt.Errorf("encode linear model: %d labels and %d buckets, but %d biases and %d weights", n, p.Buckets, len(p.Bias), len(p.Weights))
	}
	out := append([]byte(nil), magic...)
	out, _ = binary.Append(out, binary.LittleEndian, header{uint32(n), uint32(p.Buckets)}) // fixed size: cannot fail
	for _, label := range p.Labels {
		if len(label) == 0 || len(label) > math.MaxUint8 {
			return nil, fmt.Errorf("encode linear model: label %q has not 1 to 255 bytes", label)
		}
		out = append(append(out, byte(len(label))), label...)
	}
	scales := p.scales()
	out, _ = binary.Append(out, binary.LittleEndian, p.Bias)
	out, _ = binary.Append(out, binary.LittleEndian, scales)
	for i, w := range p.Weights {
		q := math.RoundToEven(float64(w / scales[i%n]))
		out = append(out, byte(int8(max(-127, min(127, q)))))
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...), nil
}

// scales fits each label's weights into 127 steps.
func (p Parameters) scales() []float32 {
	scales := make([]float32, len(p.Labels))
	for i, w := range p.Weights {
		label := i % len(p.Labels)
		scales[label] = max(scales[label], float32(math.Abs(float64(w)))/127)
	}
	for i := range scales {
		if scales[i] == 0 {
			scales[i] = 1
		}
	}
	return scales
}

// Load reads a file that Encode made. It refuses one of another version, one
// that is damaged, and one with parameters that make no sense.
func Load(file []byte) (*Classifier, error) {
	c, err := decode(file)
	if err != nil {
		return nil, fmt.Errorf("load linear model: %w", err)
	}
	return c, nil
}

func decode(file []byte) (*Classifier, error) {
	if len(file) < len(magic)+sha256.Size || !bytes.HasPrefix(file, []byte(magic[:len(magic)-1])) {
		return nil, errors.New("not a linear model: train one with classifier/train")
	}
	if v := file[len(magic)-1]; v != magic[len(magic)-1] {
		return nil, fmt.Errorf("the file is of version %d, this program reads version %d: train it anew with classifier/train", v, magic[len(magic)-1])
	}
	body, sum := file[:len(file)-sha256.Size], file[len(file)-sha256.Size:]
	if got := sha256.Sum256(body); !bytes.Equal(got[:], sum) {
		return nil, errors.New("the file is damaged: its checksum is wrong")
	}
	in := bytes.NewReader(body[len(magic):])
	var h header
	if err := binary.Read(in, binary.LittleEndian, &h); err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if h.Labels < 1 || h.Labels > maxLabels || h.Buckets < 1 || h.Buckets > maxBuckets {
		return nil, fmt.Errorf("%d labels and %d buckets: not within 1 to %d and %d", h.Labels, h.Buckets, maxLabels, maxBuckets)
	}
	labels, err := readLabels(in, int(h.Labels))
	if err != nil {
		return nil, err
	}
	if want := int(h.Labels) * (int(h.Buckets) + 8); in.Len() != want {
		return nil, fmt.Errorf("there are %d bytes of parameters, not %d", in.Len(), want)
	}
	bias, scales := make([]float32, h.Labels), make([]float32, h.Labels)
	weights := make([]int8, int(h.Labels)*int(h.Buckets))
	for _, part := range []any{bias, scales, weights} {
		if err := binary.Read(in, binary.LittleEndian, part); err != nil {
			return nil, fmt.Errorf("parameters: %w", err)
		}
	}
	for i, x := range slices.Concat(bias, scales) {
		if math.Abs(float64(x)) > 1e6 || x != x {
			return nil, fmt.Errorf("bias or scale of %q is %v", labels[i%len(labels)], x)
		}
	}
	return newClassifier(file, labels, bias, scales, weights), nil
}

func readLabels(in *bytes.Reader, n int) ([]string, error) {
	labels := make([]string, n)
	for i := range labels {
		size, err := in.ReadByte()
		if err != nil {
			return nil, fmt.Errorf("label %d: %w", i, err)
		}
		name := make([]byte, size)
		if _, err := io.ReadFull(in, name); err != nil || size == 0 {
			return nil, fmt.Errorf("label %d is cut short or empty", i)
		}
		labels[i] = string(name)
		if slices.Contains(labels[:i], labels[i]) {
			return nil, fmt.Errorf("label %q is there twice", labels[i])
		}
	}
	return labels, nil
}
