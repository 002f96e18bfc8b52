package builtin

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"semantic-epp/classifier"
	"semantic-epp/classifier/onnx"
	"semantic-epp/classifier/tokenizer"
)

func floats(values ...float32) (raw []byte) {
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	return raw
}

// initializer is a TensorProto whose values are in the given field.
func initializer(name string, kind uint64, in protowire.Number, values []byte, dims ...uint64) []byte {
	var b []byte
	for _, n := range dims {
		b = protowire.AppendVarint(protowire.AppendTag(b, tensorDims, protowire.VarintType), n)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, tensorType, protowire.VarintType), kind)
	return append(b, message(tensorName, name, int(in), values)...)
}

// The zero points are in int32_data, as quantize_dynamic writes them; the
// second is -3.
var (
	weights8 = initializer("W8", int8Type, tensorRaw, []byte("\x01\xff\x05\x7f"), 2, 2)
	scales2  = initializer("scales", float32Type, tensorFloats, floats(.5, 2), 2)
	zeros2   = initializer("zeros", int8Type, tensorInts, []byte("\x00\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 2)
)

// quantised is x → MatMul with W8 → Relu → y, as quantize_dynamic leaves it;
// more fields are added to its graph.
func quantised(more ...any) []byte { return message(7, quantisedGraph(more...)) }

func quantisedGraph(more ...any) []byte {
	return message(append([]any{
		1, message(1, "x", 2, "q", 2, "s", 2, "z", 4, "DynamicQuantizeLinear"),
		1, message(1, "s", 1, "scales", 2, "ss", 4, "Mul"),
		1, message(1, "q", 1, "W8", 1, "z", 1, "zeros", 2, "i", 4, "MatMulInteger"),
		1, message(1, "i", 2, "f", 4, "Cast"),
		1, message(1, "f", 1, "ss", 2, "p", 4, "Mul"),
		1, message(1, "p", 2, "y", 4, "Relu"),
		5, weights8,
		5, scales2,
		5, zeros2,
		11, message(1, "x"),
		12, message(1, "y"),
	}, more...)...)
}

func TestDequantize(t *testing.T) {
	want := message(7, message(
		1, message(1, "x", 1, "W8", 2, "p", 4, "MatMul"),
		1, message(1, "p", 2, "y", 4, "Relu"),
		5, initializer("W8", float32Type, tensorRaw, floats(.5, 2*(-1+3), 2.5, 2*(127+3)), 2, 2),
		11, message(1, "x"),
		12, message(1, "y"),
	))
	got, err := dequantize(quantised())
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
	if again, err := dequantize(got); err != nil || !bytes.Equal(again, got) {
		t.Errorf("of a float model it makes %q, %v", again, err)
	}
}

func TestDequantizeRefuses(t *testing.T) {
	with := func(old, other []byte) []byte {
		return message(7, bytes.Replace(quantisedGraph(), message(5, old), message(5, other), 1))
	}
	for name, tt := range map[string]struct {
		model []byte
		want  string
	}{
		"half a model":                    {model: quantised()[:90], want: "dequantize the model: "},
		"a quantised convolution":         {model: quantised(1, message(1, "q", 1, "V8", 1, "z", 2, "c", 4, "ConvInteger")), want: `ConvInteger, which gives ["c"], takes the quantised value q`},
		"a fused operator":                {model: quantised(1, message(1, "x", 1, "V8", 2, "c", 4, "DynamicQuantizeMatMul")), want: "DynamicQuantizeMatMul"},
		"a node without an output":        {model: quantised(1, message(1, "i", 4, "Cast")), want: `"Cast" has no output`},
		"an int32 output":                 {model: quantised(12, message(1, "i")), want: "the output i is quantised"},
		"an int8 weight with two uses":    {model: quantised(1, message(1, "W8", 2, "c", 4, "Shape")), want: "W8 is also used as int8"},
		"no weight":                       {model: with(weights8, nil), want: "W8 is not a constant"},
		"a uint8 weight":                  {model: with(weights8, initializer("W8", 2, tensorRaw, []byte{1, 2, 3, 4}, 2, 2)), want: "W8 has the type 2"},
		"a weight that is no matrix":      {model: with(weights8, initializer("W8", int8Type, tensorRaw, []byte{1, 2, 3, 4}, 4)), want: "the shape [4]"},
		"a weight shorter than its shape": {model: with(weights8, initializer("W8", int8Type, tensorRaw, []byte{1, 2, 3, 4}, 4, 2)), want: "4 values and the shape [4 2]"},
		"an empty weight":                 {model: with(weights8, initializer("W8", int8Type, tensorRaw, nil, 0, 1<<60)), want: "W8 has 0 values"},
		"too many scales":                 {model: with(scales2, initializer("scales", float32Type, tensorFloats, floats(1, 2, 3), 3)), want: "scales has 3 values, for 2 columns"},
		"whole scales":                    {model: with(scales2, initializer("scales", 6, tensorInts, []byte{1, 1}, 2)), want: "scales has 0 values"},
		"half of the zero points":         {model: with(zeros2, initializer("zeros", int8Type, tensorInts, []byte{0, 0xfd}, 2)), want: "read zeros"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := dequantize(tt.model); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// Whatever comes, there is an error or a model that has nothing left to
// dequantise.
func FuzzDequantize(f *testing.F) {
	f.Add(quantised())
	f.Add(family)
	f.Fuzz(func(t *testing.T, model []byte) {
		got, err := dequantize(model)
		if err != nil {
			return
		}
		if again, err := dequantize(got); err != nil || !bytes.Equal(again, got) {
			t.Errorf("%q: first %q, then %q, %v", model, got, again, err)
		}
	})
}

// The model for the GPU has the weights of that for the CPU but does not round
// activations. So it is not the same model: they agree about as well as int8
// agrees with the float model that it was made from (0.963 of 1,000 chat
// prompts and 0.033, against 0.966 and 0.030 here; the dequantised one agrees
// with that to 0.989 and 0.009). Where the one is sure, the other is to say the
// same.
func TestDequantisedModelGivesTheSameCategories(t *testing.T) {
	for name, exit := range map[string]string{ONNX: "", Small: shallow} {
		t.Run(name, func(t *testing.T) {
			open(t, ONNX) // or skip: the linear model stands in for the small one
			int8Model := openWith(t, Options{Model: name, Alone: true})
			model, err := cut(onnxFile, exit)
			if err != nil {
				t.Fatal(err)
			}
			float, err := dequantize(model)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes of int8, %d of float", len(model), len(float))
			floatModel := openBytes(t, float)
			prompts := chatPrompts(t, 300)
			same, sure, sureSame, difference := 0, 0, 0, 0.0
			for _, text := range prompts {
				a, b := ask(t, int8Model, text), ask(t, floatModel, text)
				agree := 0
				if a.Category == b.Category {
					agree = 1
				}
				same += agree
				if a.Margin >= .5 {
					sure++
					sureSame += agree
				}
				difference += math.Abs(probability(a, b.Category) - b.Confidence)
			}
			difference /= float64(len(prompts))
			t.Logf("%d of %d categories are the same, %d of %d with a margin of 0.5; mean |Δp| %.4f", same, len(prompts), sureSame, sure, difference)
			if same < 94*len(prompts)/100 || difference > .05 {
				t.Errorf("%d of %d categories are the same, and probabilities differ by %.4f on average", same, len(prompts), difference)
			}
			if sure < len(prompts)/3 || sureSame < 99*sure/100 {
				t.Errorf("of %d categories with a margin of 0.5, %d are the same", sure, sureSame)
			}
		})
	}
}

// The ONNX package takes it for CUDA: what is in the way here is the machine.
func TestDequantisedModelIsForCUDA(t *testing.T) {
	open(t, ONNX)
	model, err := cut(onnxFile, shallow)
	if err != nil {
		t.Fatal(err)
	}
	float, err := dequantize(model)
	if err != nil {
		t.Fatal(err)
	}
	cfg := config(t, model)
	cfg.Device = "auto"
	const refusal = "dynamically quantised"
	if m := openConfig(t, cfg); m.Fallback() == nil || !strings.Contains(m.Fallback().Error(), refusal) {
		t.Errorf("the int8 model on CUDA: got %v, want %q", m.Fallback(), refusal)
	}
	cfg.CUDAModel = float
	if m := openConfig(t, cfg); m.Fallback() != nil && strings.Contains(m.Fallback().Error(), refusal) {
		t.Error(m.Fallback())
	}
}

func probability(r classifier.Result, category string) float64 {
	i := slices.IndexFunc(r.Probabilities, func(p classifier.Probability) bool { return p.Category == category })
	return r.Probabilities[i].P
}

func ask(tb testing.TB, m classifier.Classifier, text string) classifier.Result {
	tb.Helper()
	r, err := m.Classify(tb.Context(), text)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func config(tb testing.TB, model []byte) onnx.Config {
	tb.Helper()
	tokens, err := tokenizer.Load(tokenizerFile)
	labels, labelsErr := readLabels(configFile)
	if err := errors.Join(err, labelsErr); err != nil {
		tb.Fatal(err)
	}
	return onnx.Config{Model: model, Device: "cpu", Tokenizer: tokens, PadID: tokens.PadID(), MaxTokens: MaxTokens, Labels: labels, Embeddings: true}
}

func openConfig(tb testing.TB, cfg onnx.Config) *onnx.Model {
	tb.Helper()
	m, err := onnx.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

func openBytes(tb testing.TB, model []byte) *onnx.Model { return openConfig(tb, config(tb, model)) }

// chatPrompts are the first n of those that no model learned from.
func chatPrompts(tb testing.TB, n int) (prompts []string) {
	tb.Helper()
	f, err := os.Open("../train/chat/test.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for len(prompts) < n && lines.Scan() {
		var prompt struct{ Text string }
		if err := json.Unmarshal(lines.Bytes(), &prompt); err != nil {
			tb.Fatal(err)
		}
		prompts = append(prompts, prompt.Text)
	}
	if err := lines.Err(); err != nil || len(prompts) < n {
		tb.Fatalf("%d prompts of %d, %v", len(prompts), n, err)
	}
	return prompts
}

func BenchmarkDequantize(b *testing.B) {
	open(b, ONNX)
	model, err := cut(onnxFile, "")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dequantize(model); err != nil {
			b.Fatal(err)
		}
	}
}
