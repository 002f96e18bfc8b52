package onnx

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseDevice(t *testing.T) {
	for s, want := range map[string]device{
		"":         {cuda: true},
		"auto":     {cuda: true},
		"cpu":      {must: true},
		"cuda":     {cuda: true, must: true},
		"cuda:0":   {cuda: true, must: true},
		"cuda:3":   {cuda: true, must: true, id: 3},
		"cuda:-1":  {},
		"cuda:1.5": {},
		"cuda:300": {},
		"gpu":      {},
		"CUDA":     {},
	} {
		got, err := parseDevice(s)
		if got != want || (err != nil) != (want == device{}) || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
			t.Errorf("%q: got %+v, %v; want %+v", s, got, err, want)
		}
	}
}

// The texts are ONNX Runtime 1.24.4's own: the first five as a machine without
// a GPU gave them, with less and less missing; the rest follow CUDA's.
func TestEveryStartErrorHasARemedy(t *testing.T) {
	const provider = "provider_bridge_ort.cc:1952 onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : FAIL : Failed to load library /opt/ort/"
	tests := map[string]struct{ says, means, remedy string }{
		"a library for the CPU": {
			says:  "CUDA execution provider is not enabled in this build.",
			means: "for the CPU only", remedy: "deps/fetch.py onnxruntime-gpu",
		},
		"the library alone": {
			says:  provider + "libonnxruntime_providers_shared.so with error: /opt/ort/libonnxruntime_providers_shared.so: cannot open shared object file: No such file or directory",
			means: "beside libonnxruntime.so", remedy: "libonnxruntime_providers_cuda.so",
		},
		"no CUDA": {
			says:  provider + "libonnxruntime_providers_cuda.so with error: libcublasLt.so.12: cannot open shared object file: No such file or directory",
			means: "CUDA 12 is missing", remedy: "LD_LIBRARY_PATH",
		},
		"no cuDNN": {
			says:  provider + "libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open shared object file: No such file or directory",
			means: "cuDNN 9 is missing", remedy: "libcudnn9-cuda-12",
		},
		"no driver": {
			says:  `Parse Failed to parse provider option "device_id": CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=-1 ; hostname=vm`,
			means: "no NVIDIA driver here, or one too old", remedy: "nvidia-smi",
		},
		"no CUDA provider": {
			says:  provider + "libonnxruntime_providers_cuda.so with error: /opt/ort/libonnxruntime_providers_cuda.so: cannot open shared object file: No such file or directory",
			means: "does not lie beside", remedy: "same wheel",
		},
		"no GPU":            {says: "CUDA failure 100: no CUDA-capable device is detected ; GPU=0", means: "no GPU here", remedy: "nvidia.com/gpu"},
		"not so many GPUs":  {says: "CUDA failure 101: invalid device ordinal ; GPU=7", means: "no GPU of that number", remedy: "nvidia-smi -L"},
		"a number too high": {says: "Invalid device ID: 7, must be between 0 and 1", means: "no GPU of that number", remedy: "nvidia-smi -L"},
		"a full GPU":        {says: "CUDA failure 2: out of memory ; GPU=0", means: "no memory left", remedy: "nvidia-smi"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			cause := errors.New(tc.says)
			got := explain(cause)
			if !errors.Is(got, cause) || !strings.HasPrefix(got.Error(), tc.means) && !strings.Contains(strings.SplitN(got.Error(), ":", 2)[0], tc.means) || !strings.Contains(strings.TrimSuffix(got.Error(), tc.says), tc.remedy) {
				t.Errorf("got %v; want %q, then %q, then the cause", got, tc.means, tc.remedy)
			}
		})
	}
	if unknown := errors.New("something else"); explain(unknown) != unknown {
		t.Errorf("got %v for an error that nobody knows", explain(unknown))
	}
}

func TestLost(t *testing.T) {
	for text, want := range map[string]bool{
		"CUDA failure 700: an illegal memory access was encountered ; GPU=0":                                          true,
		"CUDA failure 999: unknown error ; GPU=0":                                                                     true,
		"CUBLAS failure 14: CUBLAS_STATUS_INTERNAL_ERROR ; GPU=0":                                                     true,
		"CUDNN failure 4000: CUDNN_STATUS_INTERNAL_ERROR ; GPU=0":                                                     true,
		"BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 1024":                   true,
		"Non-zero status code returned while running Gather node. Status Message: indices element out of data bounds": false,
		"Got invalid dimensions for input: input_ids for the following indices index: 1 Got: 600 Expected: 512":       false,
	} {
		if got := lost(errors.New("Error running network: " + text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}
