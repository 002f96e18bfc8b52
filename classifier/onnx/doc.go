// Package onnx runs text classification and embedding models with ONNX Runtime
// on the CPU or, through CUDA, on a GPU.
//
// The runtime is a shared library that is loaded when the program runs:
// [FindLibrary] says where from. Where there is none, or the program was built
// without cgo, the error wraps [ErrUnavailable], and the caller can do with
// another classifier.
//
// On the CPU each caller's text is a run of its own, on one thread. On a GPU
// texts are gathered into batches, and the same model stands by on the CPU: it
// takes over, for good, when the GPU is lost.
package onnx
