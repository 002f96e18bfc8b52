//go:build cgo

package builtin

import _ "embed" // for the file

//go:embed model-int8.onnx
var onnxFile []byte
