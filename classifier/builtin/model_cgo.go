//go:build cgo

package builtin

import _ "embed" // for the file

//go:embed model.onnx
var onnxFile []byte
