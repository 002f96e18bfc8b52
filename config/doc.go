// Package config holds what an operator writes: the parameters of the plugin
// semantic-router inside GIE's EndpointPickerConfig, and the endpoints file.
//
// Decoding is strict and complete: an unknown key is an error, and every fault
// is reported at once, each with the path of its key. The package knows
// neither Envoy nor Kubernetes nor models; it is data with defaults.
package config
