// Bench measures what an endpoint picker costs per request, over raw gRPC on
// loopback, with no Envoy between.
//
// It compares three ext_proc servers, each in a process of its own: the floor
// (it holds the body to its end and gives it back), GIE v1.5.0's picker
// assembled from its public packages, and semantic-epp's binary. They take
// turns in short rounds on one core, while the client and the fake model
// servers run on the others; a server whose turn it is not stands still. What
// is compared is the CPU time per request, as a ratio to the floor in the same
// round: on a busy machine that ratio holds where latencies do not.
//
// The client checks every answer, so that a server cannot look fast by being
// wrong. Method and figures are in docs/benchmarks.md.
package main
