// Train makes the linear model of package linear from labelled questions, and
// tells how good a model is on others.
//
//	go run ./classifier/train -data DIR -out FILE    train and write
//	go run ./classifier/train -data DIR -eval onnx   only measure
//
// A second folder, given by -also, is learned from and measured on beside it.
//
// DIR holds train.jsonl, val.jsonl and test.jsonl: one object a line with text,
// label and opts (the answers to choose from). Training looks at the first,
// the temperature at the second, nothing at the third. The same data and flags
// give the same file.
package main
