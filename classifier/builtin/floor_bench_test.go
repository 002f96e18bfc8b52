//go:build linux && cgo

package builtin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/encoding/protowire"
)

// BenchmarkFloor compares the models with the least that their layers can take
// in int8 with this runtime on this machine: the multiplications of
// activations by weights alone. There are no attention scores in it, no
// activation functions, no norms and no quantising. Both run in turn, on one
// thread; ratio is the median over the pairs.
func BenchmarkFloor(b *testing.B) {
	for _, model := range []string{ONNX, Small} {
		b.Run("model="+model, func(b *testing.B) {
			m := openLong(b, model)
			for _, tokens := range textLengths {
				b.Run(fmt.Sprintf("tokens=%d", tokens), func(b *testing.B) {
					text := textOf(b, tokens)
					floor := openFloor(b, model, tokens)
					var whole, least []time.Duration
					var ratios []float64
					ask(b, m, text)
					floor(b)
					for b.Loop() {
						start := time.Now()
						ask(b, m, text)
						between := time.Now()
						floor(b)
						end := time.Now()
						whole = append(whole, between.Sub(start))
						least = append(least, end.Sub(between))
						ratios = append(ratios, between.Sub(start).Seconds()/end.Sub(between).Seconds())
					}
					slices.Sort(ratios)
					b.ReportMetric(0, "ns/op") // of both together: says nothing
					b.ReportMetric(percentile(whole, 50), "model-p50-ms")
					b.ReportMetric(percentile(least, 50), "floor-p50-ms")
					b.ReportMetric(ratios[len(ratios)/2], "ratio")
				})
			}
		})
	}
}

// openFloor returns a function that runs the floor of a model once.
func openFloor(b *testing.B, name string, tokens int) func(*testing.B) {
	b.Helper()
	exit := ""
	if name == Small {
		exit = shallow
	}
	model, err := cut(onnxFile, exit)
	if err != nil {
		b.Fatal(err)
	}
	file, widths, err := matMulsOf(model)
	if err != nil {
		b.Fatal(err)
	}
	options, err := ort.NewSessionOptions()
	if err != nil {
		b.Fatal(err)
	}
	defer options.Destroy()
	if err := errors.Join(
		options.SetIntraOpNumThreads(1), options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	); err != nil {
		b.Fatal(err)
	}
	var names []string
	var inputs []ort.Value
	random := rand.New(rand.NewPCG(1, 2))
	for _, width := range widths {
		values := make([]uint8, tokens*width)
		for i := range values {
			values[i] = uint8(random.Uint32())
		}
		input, err := ort.NewTensor(ort.NewShape(int64(tokens), int64(width)), values)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { input.Destroy() })
		names, inputs = append(names, floorInput(width)), append(inputs, input)
	}
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(file, names, []string{"y"}, options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { session.Destroy() })
	return func(b *testing.B) {
		outputs := []ort.Value{nil}
		if err := session.Run(inputs, outputs); err != nil {
			b.Fatal(err)
		}
		if err := outputs[0].Destroy(); err != nil {
			b.Fatal(err)
		}
	}
}

func floorInput(width int) string { return fmt.Sprintf("x%d", width) }

// matMulsOf makes a graph of the MatMulIntegers of the model's layers, with
// its weights, and tells the widths of its uint8 inputs [tokens, width]. Its
// output is a row of each product, so that none of them is left out.
func matMulsOf(model []byte) (file []byte, widths []int, err error) {
	d := dequantizer{tensors: map[string][]byte{}}
	var weights []string
	err = eachOfGraph(model, func(f field) error {
		switch f.number {
		case graphNode:
			n, err := readNode(f.value)
			// The exits' are of one row; the names are PyTorch's, of encoder.py.
			if err == nil && n.operator == "MatMulInteger" && strings.Contains(n.outputs[0], "/layers.") {
				weights = append(weights, n.inputs[1])
			}
			return err
		case graphInitializer:
			names, err := texts(f.value, tensorName)
			d.tensors[names[0]] = f.value
			return err
		}
		return nil
	})
	if err == nil && len(weights) == 0 {
		err = errors.New("no MatMulInteger in the model's layers")
	}
	if err != nil {
		return nil, nil, err
	}
	const uint8Type, int64Type = 2, 7
	var graph, rows []byte
	add := func(number int, part []byte) { graph = append(graph, message(number, part)...) }
	for i, name := range weights {
		t, err := d.tensor(name)
		if err != nil {
			return nil, nil, err
		}
		if !slices.Contains(widths, t.dims[0]) {
			widths = append(widths, t.dims[0])
		}
		product, row := fmt.Sprintf("product%d", i), fmt.Sprintf("row%d", i)
		add(graphNode, message(1, floorInput(t.dims[0]), 1, name, 1, "zero", 2, product, 4, "MatMulInteger"))
		add(graphNode, message(1, product, 1, "first", 2, row, 4, "Gather"))
		rows = append(rows, message(nodeInput, row)...)
		add(graphInitializer, d.tensors[name])
	}
	axis := protowire.AppendVarint(protowire.AppendTag(message(1, "axis"), 3, protowire.VarintType), 0)
	axis = protowire.AppendVarint(protowire.AppendTag(axis, 20, protowire.VarintType), 2) // of type INT
	add(graphNode, append(rows, message(2, "y", 4, "Concat", 5, axis)...))
	add(graphInitializer, initializer("zero", uint8Type, tensorRaw, []byte{128}))
	add(graphInitializer, initializer("first", int64Type, tensorRaw, make([]byte, 8)))
	for _, width := range widths {
		add(11, anyRows(floorInput(width), uint8Type, width))
	}
	const int32Type = 6
	add(graphOutput, anyRows("y", int32Type))
	add(2, []byte("floor"))
	file = protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), 8) // IR version
	file = append(file, message(modelGraph, graph)...)
	operators := protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 17)
	return append(file, message(8, operators)...), widths, nil
}

// anyRows is a ValueInfoProto of shape [any, dims...].
func anyRows(name string, kind uint64, dims ...int) []byte {
	shape := message(1, message(2, "any"))
	for _, n := range dims {
		size := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), uint64(n))
		shape = append(shape, message(1, size)...)
	}
	tensor := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), kind)
	tensor = append(tensor, message(2, shape)...)
	return message(valueName, name, 2, message(1, tensor))
}

func eachOfGraph(model []byte, visit func(field) error) error {
	return fields(model, func(f field) error {
		if f.number != modelGraph {
			return nil
		}
		return fields(f.value, visit)
	})
}
