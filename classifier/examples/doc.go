// Package examples classifies a text by the labelled examples that are nearest
// to it: an operator gets categories of their own from about ten prompts each,
// with no training.
//
// Texts are compared by the cosine of their embeddings. A category's score is
// the mean of its few nearest examples; scores become probabilities by a
// softmax. A text that is near to no example has no category.
package examples
