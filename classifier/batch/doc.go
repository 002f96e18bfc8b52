// Package batch gathers items that come one by one into batches for a device
// that works best on many at once, such as a GPU.
//
// It is a micro-batcher: nothing waits while the device is free, and what
// gathers during one run makes up the next. It knows nothing about what runs.
package batch
