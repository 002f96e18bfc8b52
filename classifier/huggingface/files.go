package huggingface

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/cpu"
)

// Precisions of weights, for File.
const (
	FP32  = "fp32"
	FP16  = "fp16"
	INT8  = "int8"
	Other = "other" // 4-bit weights, bfloat16, …
)

// A File is an ONNX file of a directory.
type File struct {
	Path      string   // relative to the directory, with slashes
	Precision string   // of most weights, as the graph has them, whatever the name says
	Dynamic   bool     // quantizes activations in every run: for the CPU only
	Custom    string   // a domain of operators that ONNX Runtime does not have by itself; "" for none
	External  []string // files with weights, relative to the directory
	Err       error    // why it cannot be used; nil where it can
}

// maxFiles bounds what is looked at.
const maxFiles = 100

// readFiles looks at the ONNX files in the root and in onnx/.
func (d *Directory) readFiles(root *root) error {
	names, err := root.onnxFiles()
	if err != nil {
		return err
	}
	if d.file != "" && !slices.Contains(names, d.file) {
		names = append(names, d.file)
	}
	if len(names) == 0 {
		return errors.New("there is no .onnx file in the root or in onnx/: export the model with `optimum-cli export onnx --model DIR DIR/onnx`")
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(strings.Count(a, "/"), strings.Count(b, "/")), cmp.Compare(a, b))
	})
	var errs []error
	for _, name := range names {
		f := root.inspect(name)
		switch {
		case f.Err == nil:
		case d.file == name || len(names) == 1:
			errs = append(errs, f.Err)
		default:
			d.Notices = append(d.Notices, fmt.Sprintf("left out: %v", f.Err))
		}
		d.Files = append(d.Files, f)
	}
	if len(errs) == 0 && !slices.ContainsFunc(d.Files, func(f File) bool { return f.Err == nil }) {
		for _, f := range d.Files {
			errs = append(errs, f.Err)
		}
	}
	return errors.Join(errs...)
}

func (r *root) onnxFiles() ([]string, error) {
	var names []string
	for _, dir := range []string{".", "onnx"} {
		entries, err := fs.ReadDir(r.FS(), dir)
		if err != nil && !(dir == "onnx" && errors.Is(err, fs.ErrNotExist)) {
			return nil, r.explain(dir, err)
		}
		for _, e := range entries {
			if path.Ext(e.Name()) == ".onnx" && !e.IsDir() {
				names = append(names, path.Join(dir, e.Name()))
			}
		}
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("there are %d ONNX files, more than %d: name a directory of one model", len(names), maxFiles)
	}
	return names, nil
}

// inspect walks through an ONNX file and looks for the weights outside it.
func (r *root) inspect(name string) File {
	f := File{Path: name}
	if err := r.fill(&f); err != nil {
		f.Err = fmt.Errorf("%s: %w", name, err)
	}
	return f
}

func (r *root) fill(f *File) error {
	file, info, err := r.open(f.Path)
	if err != nil {
		return err
	}
	defer file.Close()
	head := make([]byte, 64)
	n, err := file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := isPointer(f.Path, head[:n]); err != nil {
		return err
	}
	if n >= 8 && string(head[4:8]) == "ORTM" { // ONNX Runtime would take it all the same
		return errors.New("it is in ONNX Runtime's own format and cannot be checked: give the ONNX file that it was made from")
	}
	g, err := walk(file, info.Size())
	if err != nil {
		return err
	}
	f.Precision, f.Dynamic, f.Custom = g.precision(), g.dynamic(), g.custom()
	var errs []error
	for _, location := range slices.Sorted(maps.Keys(g.external)) {
		external, err := r.external(f.Path, location, g.external[location])
		errs = append(errs, err)
		f.External = append(f.External, external)
	}
	return errors.Join(errs...)
}

// external checks a file with weights that an ONNX file names. ONNX Runtime
// takes some names as addresses in memory: they have stars, which no exporter
// writes.
func (r *root) external(model, location string, size int64) (string, error) {
	local := filepath.IsLocal(filepath.FromSlash(location)) && !strings.Contains(location, `\`)
	if !local || slices.Contains(strings.Split(location, "/"), "..") || strings.ContainsAny(location, "*\x00") {
		return "", fmt.Errorf("its external data is in %q, which is not inside the directory: export the model again, with the weights beside it", location)
	}
	name := path.Join(path.Dir(model), location)
	f, info, err := r.open(name)
	if err != nil {
		return "", fmt.Errorf("its external data: %w", err)
	}
	defer f.Close()
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return "", fmt.Errorf("its external data: %s has %d hard links, one of which may be outside the directory: copy the file", name, stat.Nlink)
	}
	if info.Size() < size {
		return "", fmt.Errorf("its external data: %s has %d bytes, but %d are needed: fetch it again (with Git, after `git lfs pull`)", name, info.Size(), size)
	}
	return name, nil
}

// TensorProto.DataType of ONNX.
const (
	typeFloat    = 1
	typeFloat16  = 10
	typeBfloat16 = 16
)

// precision is what most bytes of the weights are in.
func (g *graph) precision() string {
	for op := range g.ops {
		if quantized[op].fourBits {
			return Other
		}
	}
	if len(g.ops) > 0 {
		return INT8
	}
	precision, most := FP32, g.weights[typeFloat]
	for _, c := range []struct {
		precision string
		bytes     int64
	}{{FP16, g.weights[typeFloat16]}, {Other, g.weights[typeBfloat16]}} {
		if c.bytes > most {
			precision, most = c.precision, c.bytes
		}
	}
	return precision
}

func (g *graph) dynamic() bool {
	for op := range g.ops {
		if quantized[op].dynamic {
			return true
		}
	}
	return false
}

// custom is a domain that neither ONNX, nor ONNX Runtime, nor the file itself
// has.
func (g *graph) custom() string {
	for _, domain := range slices.Sorted(maps.Keys(g.domains)) {
		known := []string{"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
		if !slices.Contains(known, domain) && !g.own[domain] {
			return domain
		}
	}
	return ""
}

// rank orders names of the same precision: the plain names of exporters first,
// then the one that was quantized for this processor, then others.
func rank(name string) int {
	base := strings.TrimSuffix(path.Base(name), ".onnx")
	fit := map[string]bool{
		"arm64":       runtime.GOARCH == "arm64",
		"avx512_vnni": cpu.X86.HasAVX512VNNI,
		"avx512":      cpu.X86.HasAVX512,
		"avx2":        cpu.X86.HasAVX2,
	}
	for i, target := range []string{"arm64", "avx512_vnni", "avx512", "avx2"} {
		if strings.HasSuffix(base, target) {
			if fit[target] {
				return 10 + i
			}
			return 100
		}
	}
	plain := []string{"model", "model_sdpa_fp16", "model_fp16", "model_quantized", "model_int8", "model_uint8", "classifier", "model_optimized"}
	if i := slices.Index(plain, base); i >= 0 {
		return i
	}
	return 50
}

// File chooses the ONNX file for a device, "cpu" or "cuda" or "cuda:0", and
// returns its absolute path: Options.File where that was given; else, on the
// CPU, the first of int8, fp32 and fp16 that there is, and with CUDA, the first
// of fp16 and fp32. A file that quantizes activations in every run is never for
// CUDA: its operators would run on the CPU, with a copy there and back each.
func (d *Directory) File(device string) (string, error) {
	f, err := d.choose(device)
	if err != nil {
		return "", fmt.Errorf("choose an ONNX file in %s: %w", d.Path, err)
	}
	return filepath.Join(d.Path, filepath.FromSlash(f.Path)), nil
}

func (d *Directory) choose(device string) (*File, error) {
	kind, _, _ := strings.Cut(device, ":")
	want := map[string][]string{"cpu": {INT8, FP32, FP16}, "cuda": {FP16, FP32}}[kind]
	if want == nil {
		return nil, fmt.Errorf("the device %q is neither cpu nor cuda", device)
	}
	if d.file != "" {
		i := slices.IndexFunc(d.Files, func(f File) bool { return f.Path == d.file })
		if f := &d.Files[i]; kind != "cuda" || !f.Dynamic {
			return f, nil
		}
		return nil, fmt.Errorf("%s is quantized dynamically and slow with CUDA: name an fp16 or fp32 file, or use the CPU", d.file)
	}
	for _, precision := range want {
		i := slices.IndexFunc(d.Files, func(f File) bool {
			return f.Err == nil && f.Custom == "" && f.Precision == precision && !(kind == "cuda" && f.Dynamic)
		})
		if i >= 0 {
			return &d.Files[i], nil
		}
	}
	return nil, fmt.Errorf("none of %s is %s and usable with %s: export one, or name a file", d.list(), strings.Join(want, " or "), kind)
}

// list tells what there is.
func (d *Directory) list() string {
	var parts []string
	for _, f := range d.Files {
		what := f.Precision
		switch {
		case f.Err != nil:
			what = "left out"
		case f.Custom != "":
			what += ", with operators of " + f.Custom
		case f.Dynamic:
			what += ", dynamic"
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", f.Path, what))
	}
	return strings.Join(parts, ", ")
}
