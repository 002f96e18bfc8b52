// Conformance puts an endpoint picker to the test from outside, as gateways
// meet it: GIE's endpoint picker protocol (proposal 004) and what Envoy's
// External Processing API asks of a server, mode by mode.
//
// It plays the gateway with scripted ext_proc clients, at any picker's address
// (--address), or it starts model servers and pickers itself (--start) and can
// then also load the model servers and leave a picker without endpoints. Each
// check has an id, a sentence, a source and a level; a picker that breaks a MUST
// makes the exit status 1.
//
// The checks and the results of two pickers are in docs/conformance.md.
package main
