//go:build !cgo

package builtin

// Nothing could run it: the program is 23 MB smaller without.
var onnxFile []byte
