// Package rig starts the real processes that whole-system tests and the demo
// stand on: Envoy, configured from a template for every way in which it can
// talk to an endpoint picker, and the picker's own binary.
//
// Nothing here needs a *testing.T. What is started must be stopped; a process
// also ends when the program that started it dies, however it dies. All ports
// are of 127.0.0.1.
package rig
