package onnx

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A device is what Config.Device names.
type device struct {
	cuda bool
	must bool // the operator named it: nothing stands in for it
	id   int  // of the GPU
}

func (d device) String() string {
	if d.cuda {
		return fmt.Sprintf("cuda:%d", d.id)
	}
	return "cpu"
}

func parseDevice(s string) (device, error) {
	switch {
	case s == "" || s == "auto":
		return device{cuda: true}, nil
	case s == "cpu":
		return device{must: true}, nil
	case s == "cuda":
		return device{cuda: true, must: true}, nil
	}
	number, ok := strings.CutPrefix(s, "cuda:")
	id, err := strconv.ParseUint(number, 10, 8)
	if !ok || err != nil {
		return device{}, fmt.Errorf(`device is %q, none of "auto", "cpu", "cuda" and "cuda:N"`, s)
	}
	return device{cuda: true, must: true, id: int(id)}, nil
}

// cudaErrors are what ONNX Runtime 1.24 says where CUDA cannot start, and what
// to do about it. The first that fits counts.
var cudaErrors = []struct {
	says   string
	means  string
	remedy string
}{
	{
		says:   "execution provider is not enabled in this build",
		means:  ErrCPULibrary.Error(),
		remedy: "run `python3 deps/fetch.py onnxruntime-gpu` and let " + LibraryEnv + " name the libonnxruntime.so that it fetches",
	},
	{
		says:   "libonnxruntime_providers_shared.so: cannot open",
		means:  "the provider libraries do not lie beside libonnxruntime.so",
		remedy: "put libonnxruntime_providers_shared.so and libonnxruntime_providers_cuda.so of the same wheel into its folder",
	},
	{
		says:   "libonnxruntime_providers_cuda.so: cannot open",
		means:  "the CUDA provider does not lie beside libonnxruntime.so",
		remedy: "put libonnxruntime_providers_cuda.so of the same wheel into its folder",
	},
	{
		says:   "libcudnn",
		means:  "cuDNN 9 is missing",
		remedy: "install cuDNN 9 for CUDA 12 (libcudnn9-cuda-12) and let LD_LIBRARY_PATH name its folder",
	},
	{
		says:   "cannot open shared object file",
		means:  "a library of CUDA 12 is missing",
		remedy: "install the CUDA 12 runtime with cuBLAS, cuFFT and cuRAND (cuda-libraries-12-*) and let LD_LIBRARY_PATH name its folder",
	},
	{
		says:   "CUDA failure 35:",
		means:  "there is no NVIDIA driver here, or one too old for CUDA 12",
		remedy: "see that nvidia-smi works here and tells a driver of 525 or newer; a container must be started with the GPU (nvidia.com/gpu, --gpus)",
	},
	{
		says:   "CUDA failure 100:",
		means:  "there is no GPU here",
		remedy: "start the container with the GPU (nvidia.com/gpu, --gpus), and see that nvidia-smi lists it",
	},
	{
		says:   "CUDA failure 101:",
		means:  "there is no GPU of that number",
		remedy: "see `nvidia-smi -L`; inside a container the numbers begin at 0",
	},
	{
		says:   "Invalid device ID",
		means:  "there is no GPU of that number",
		remedy: "see `nvidia-smi -L`; inside a container the numbers begin at 0",
	},
	{
		says:   "CUDA failure 2:",
		means:  "the GPU has no memory left",
		remedy: "see nvidia-smi for who has it: the picker wants a GPU, or a share of one, that no model server fills",
	},
}

// ErrCPULibrary means that the ONNX Runtime library cannot use a GPU at all:
// with Device "auto" the ordinary state of a machine without one.
var ErrCPULibrary = errors.New("the ONNX Runtime library is one for the CPU only")

// explain puts what an error of the start of CUDA means, and the remedy,
// before ONNX Runtime's own words.
func explain(err error) error {
	for _, known := range cudaErrors {
		if strings.Contains(err.Error(), known.says) {
			if known.means == ErrCPULibrary.Error() {
				return fmt.Errorf("%w: %s: %w", ErrCPULibrary, known.remedy, err)
			}
			return fmt.Errorf("%s: %s: %w", known.means, known.remedy, err)
		}
	}
	return err
}

// errLost means that a text was not looked at since the GPU is lost.
var errLost = errors.New("the GPU is lost")

// lost reports whether an error of a run means that the GPU, or its memory, is
// gone for this process. ONNX Runtime tells errors of CUDA and its libraries
// only by their text.
func lost(err error) bool {
	for _, library := range []string{"CUDA", "CUBLAS", "CUDNN"} {
		if strings.Contains(err.Error(), library+" failure ") {
			return true
		}
	}
	return strings.Contains(err.Error(), "CUDA error") || strings.Contains(err.Error(), "Failed to allocate memory")
}
