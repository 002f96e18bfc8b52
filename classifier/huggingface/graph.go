package huggingface

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Bounds of an ONNX file's structure. A large encoder has a tenth of them.
const (
	maxFields    = 8 << 20
	maxDepth     = 64
	maxLocations = 10_000
	maxString    = 1024
	maxDomains   = 100
	windowSize   = 16 << 10
)

// A graph is what a walk through an ONNX file finds out.
type graph struct {
	weights  map[uint64]int64 // bytes by TensorProto.DataType
	ops      map[string]bool  // those of quantized, by name
	external map[string]int64 // files with weights, and the bytes that they need to have
	domains  map[string]bool  // of operators
	own      map[string]bool  // domains of functions that the file itself defines
}

// quantized are the operators that tell how a model was made smaller, and
// whether it computes the scales of activations in every run.
var quantized = map[string]struct{ dynamic, fourBits bool }{
	"DynamicQuantizeLinear": {dynamic: true},
	"DynamicQuantizeMatMul": {dynamic: true},
	"DynamicQuantizeLSTM":   {dynamic: true},
	"MatMulInteger":         {dynamic: true},
	"MatMulIntegerToFloat":  {dynamic: true},
	"ConvInteger":           {dynamic: true},
	"QAttention":            {dynamic: true},
	"QuantizeLinear":        {},
	"DequantizeLinear":      {},
	"QLinearMatMul":         {},
	"MatMulNBits":           {fourBits: true},
	"MatMulBnb4":            {fourBits: true},
	"GatherBlockQuantized":  {fourBits: true},
}

// walk reads the structure of an ONNX file (onnx.proto of ONNX 1.20) and skips
// the weights in it. Time and memory are bounded whatever the bytes are.
func walk(file io.ReaderAt, size int64) (*graph, error) {
	w := &walker{file: file, window: make([]byte, 0, windowSize), graph: graph{
		weights: make(map[uint64]int64), ops: make(map[string]bool), external: make(map[string]int64),
		domains: make(map[string]bool), own: make(map[string]bool),
	}}
	if size > maxModel {
		return nil, fmt.Errorf("it has %d bytes, more than the 2 GiB of an ONNX file: keep its weights in a file beside it", size)
	}
	if err := w.message(modelProto, size); err != nil {
		return nil, err
	}
	if !w.graphSeen {
		return nil, errors.New("there is no graph in it: it is no ONNX file")
	}
	return &w.graph, nil
}

// A visit handles one field of a message that ends where w.end is; what it
// does not read is skipped.
type visit func(w *walker, field protowire.Number, f *fieldValue) error

// fieldValue is a varint's value, or the length of what follows.
type fieldValue struct {
	wire  protowire.Type
	value uint64
}

type walker struct {
	file      io.ReaderAt
	window    []byte // of the file, from base on
	base      int64
	at        int64 // where the next byte is
	depth     int
	fields    int
	graphSeen bool
	tensor    tensor // the one that is being read
	graph
}

// tensor collects what is spread over a tensor's fields.
type tensor struct {
	dataType       uint64
	size           int64
	location       string
	located        bool
	offset, length int64
	key, value     string // of the entry of external_data that is being read
}

// message reads fields until end.
func (w *walker) message(v visit, end int64) error {
	if w.depth++; w.depth > maxDepth {
		return fmt.Errorf("its messages are nested deeper than %d", maxDepth)
	}
	defer func() { w.depth-- }()
	for w.at < end {
		if w.fields++; w.fields > maxFields {
			return fmt.Errorf("it has more than %d parts", maxFields)
		}
		field, f, err := w.field(end)
		if err != nil {
			return err
		}
		next := w.at
		if f.wire == protowire.BytesType {
			next += int64(f.value)
		}
		if err := v(w, field, f); err != nil {
			return err
		}
		w.at = next
	}
	return nil
}

// field reads a tag and a value, or a length that stays within end.
func (w *walker) field(end int64) (protowire.Number, *fieldValue, error) {
	head, err := w.peek(min(2*10, end-w.at))
	if err != nil {
		return 0, nil, err
	}
	number, wire, n := protowire.ConsumeTag(head)
	if n < 0 {
		return 0, nil, w.bad(protowire.ParseError(n))
	}
	f := &fieldValue{wire: wire}
	m := 0
	switch wire {
	case protowire.VarintType, protowire.BytesType:
		f.value, m = protowire.ConsumeVarint(head[n:])
	case protowire.Fixed32Type:
		_, m = protowire.ConsumeFixed32(head[n:])
	case protowire.Fixed64Type:
		_, m = protowire.ConsumeFixed64(head[n:])
	default: // groups, which no version of ONNX has
		return 0, nil, w.bad(fmt.Errorf("field %d has the wire type %d", number, wire))
	}
	if m < 0 {
		return 0, nil, w.bad(protowire.ParseError(m))
	}
	w.at += int64(n + m)
	if wire == protowire.BytesType && f.value > uint64(end-w.at) {
		return 0, nil, w.bad(io.ErrUnexpectedEOF)
	}
	return number, f, nil
}

func (w *walker) bad(err error) error {
	return fmt.Errorf("it is no ONNX file, or cut short, at byte %d: %w", w.at, err)
}

// peek returns the next n bytes, at most windowSize.
func (w *walker) peek(n int64) ([]byte, error) {
	from := w.at - w.base
	if from < 0 || from+n > int64(len(w.window)) {
		got, err := w.file.ReadAt(w.window[:cap(w.window)], w.at)
		if err != nil && (!errors.Is(err, io.EOF) || int64(got) < n) {
			return nil, fmt.Errorf("read at byte %d: %w", w.at, err)
		}
		w.window, w.base, from = w.window[:got], w.at, 0
	}
	return w.window[from : from+n], nil
}

// text reads a string; a longer one than any name is given as "".
func (w *walker) text(f *fieldValue) (string, error) {
	if f.wire != protowire.BytesType || f.value > maxString {
		return "", nil
	}
	b, err := w.peek(int64(f.value))
	return string(b), err
}

// into reads a message inside this one.
func (w *walker) into(v visit, f *fieldValue) error {
	if f.wire != protowire.BytesType {
		return w.bad(errors.New("a number where a message belongs"))
	}
	return w.message(v, w.at+int64(f.value))
}

func modelProto(w *walker, field protowire.Number, f *fieldValue) error {
	switch field {
	case 7: // graph
		w.graphSeen = true
		return w.into(graphProto, f)
	case 20: // training_info
		return w.into(trainingInfoProto, f)
	case 25: // functions
		return w.into(functionProto, f)
	}
	return nil
}

func trainingInfoProto(w *walker, field protowire.Number, f *fieldValue) error {
	if field == 1 || field == 2 { // initialization, algorithm
		return w.into(graphProto, f)
	}
	return nil
}

func functionProto(w *walker, field protowire.Number, f *fieldValue) error {
	switch field {
	case 7: // node
		return w.into(nodeProto, f)
	case 10: // domain
		return w.domain(w.own, f)
	case 11: // attribute_proto
		return w.into(attributeProto, f)
	}
	return nil
}

func graphProto(w *walker, field protowire.Number, f *fieldValue) error {
	switch field {
	case 1: // node
		return w.into(nodeProto, f)
	case 5: // initializer
		return w.tensorProto(f)
	case 15: // sparse_initializer
		return w.into(sparseTensorProto, f)
	}
	return nil
}

func sparseTensorProto(w *walker, field protowire.Number, f *fieldValue) error {
	if field == 1 || field == 2 { // values, indices
		return w.tensorProto(f)
	}
	return nil
}

func nodeProto(w *walker, field protowire.Number, f *fieldValue) error {
	switch field {
	case 4: // op_type
		op, err := w.text(f)
		if _, ok := quantized[op]; ok {
			w.ops[op] = true
		}
		return err
	case 5: // attribute
		return w.into(attributeProto, f)
	case 7: // domain
		return w.domain(w.domains, f)
	}
	return nil
}

func attributeProto(w *walker, field protowire.Number, f *fieldValue) error {
	switch field {
	case 5, 10: // t, tensors
		return w.tensorProto(f)
	case 6, 11: // g, graphs
		return w.into(graphProto, f)
	case 22, 23: // sparse_tensor, sparse_tensors
		return w.into(sparseTensorProto, f)
	}
	return nil
}

func (w *walker) domain(domains map[string]bool, f *fieldValue) error {
	domain, err := w.text(f)
	if err != nil {
		return err
	}
	domains[domain] = true
	if len(domains) > maxDomains {
		return fmt.Errorf("its operators are of more than %d domains", maxDomains)
	}
	return nil
}

func (w *walker) tensorProto(f *fieldValue) error {
	w.tensor = tensor{}
	if err := w.into(tensorFields, f); err != nil {
		return err
	}
	t := &w.tensor
	w.weights[min(t.dataType, 64)] += t.size + t.length
	if !t.located {
		return nil
	}
	if t.offset > math.MaxInt64-t.length {
		return fmt.Errorf("a tensor has its weights from byte %d on, which no file has", t.offset)
	}
	w.external[t.location] = max(w.external[t.location], t.offset+t.length)
	if len(w.external) > maxLocations {
		return fmt.Errorf("its weights are in more than %d files", maxLocations)
	}
	return nil
}

func tensorFields(w *walker, field protowire.Number, f *fieldValue) error {
	t := &w.tensor
	switch field {
	case 2: // data_type
		t.dataType = f.value
	case 4, 5, 7, 9, 10, 11: // float_data, int32_data, int64_data, raw_data, double_data, uint64_data
		if f.wire == protowire.BytesType {
			t.size += int64(f.value)
		}
	case 13: // external_data
		t.key, t.value = "", ""
		if err := w.into(entryProto, f); err != nil {
			return err
		}
		return t.entry()
	case 14: // data_location
		t.located = t.located || f.value == 1
	}
	return nil
}

// entryProto is a StringStringEntryProto.
func entryProto(w *walker, field protowire.Number, f *fieldValue) (err error) {
	if f.wire == protowire.BytesType && f.value > maxString && field <= 2 {
		return fmt.Errorf("a name of external data has %d bytes, more than %d", f.value, maxString)
	}
	switch field {
	case 1:
		w.tensor.key, err = w.text(f)
	case 2:
		w.tensor.value, err = w.text(f)
	}
	return err
}

// entry takes over one entry of external_data, whatever data_location says.
func (t *tensor) entry() (err error) {
	switch t.key {
	case "location":
		if t.location != "" && t.location != t.value {
			return fmt.Errorf("a tensor has its weights in two files, %q and %q", t.location, t.value)
		}
		t.location, t.located = t.value, true
	case "offset":
		t.offset, err = count(t.value)
	case "length":
		t.length, err = count(t.value)
	}
	return err
}

func count(s string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("external data begins at, or has the length, %q", s)
	}
	return n, nil
}
