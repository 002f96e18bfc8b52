// Package scheduling decides which models suit a request, and in what order.
//
// A [Policy] is compiled once from the operator's rules; [Policy.Decide] is a
// function of the request's signals, and of chance where weights split
// requests. All conditions are one graph in which equal ones are one node, so
// that each is evaluated at most once a request, the cheap ones first; the
// classifier and the embedder are only asked for what cheap conditions leave
// open, and both at the same time. What cannot be evaluated is neither true
// nor false, after Kleene's logic.
//
// The package knows nothing of Envoy, GIE, Kubernetes, or of how a prompt is
// classified.
package scheduling
