// Package classifier says what a prompt is about.
//
// It turns text into a [Result]: a category, how sure we are, and by which
// model. It knows nothing about Envoy, Kubernetes or the models that prompts
// are routed to.
//
// A Classifier is safe for concurrent use, never keeps the prompt after it
// returns, and gives up when its context ends. One that cannot be interrupted,
// such as a run of a neural network, gets the latter from [Bound].
package classifier
