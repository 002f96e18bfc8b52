// Package builtin holds the category models that come with the program: a
// small transformer for ONNX Runtime, and a linear model that stands in for it
// where the runtime is not there. MODEL_CARD.md says what they are made of and
// how good they are.
package builtin
