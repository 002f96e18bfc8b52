// Package onnx runs a text classification model with ONNX Runtime on the CPU.
//
// The runtime is a shared library that is loaded when the program runs:
// [FindLibrary] says where from. Where there is none, or the program was built
// without cgo, the error wraps [ErrUnavailable], and the caller can do with
// another classifier.
package onnx
