// Demo starts everything that one request crosses, on this machine: simulated
// vLLM servers, the picker and Envoy. It prints requests to paste and a line for
// each decision of the picker. `make run` starts it.
package main
