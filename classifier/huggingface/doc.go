// Package huggingface reads a model directory as the Hugging Face hub lays it
// out: config.json, tokenizer.json, ONNX files in the root or in onnx/, and
// what sentence-transformers and vLLM Semantic Router put beside them.
//
// A directory is somebody else's. What is read is bounded in size, nothing is
// read through a link that leaves the directory, and an ONNX file that names
// weights elsewhere is refused before ONNX Runtime sees it. The package needs
// no cgo and runs no model.
package huggingface
