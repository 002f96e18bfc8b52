// Package scheduling decides which models suit a request, and in what order.
//
// A [Policy] is compiled once from the operator's rules; [Policy.Decide] is a
// pure function of the request's signals. It knows nothing of Envoy, GIE,
// Kubernetes, or of how a prompt is classified.
package scheduling
