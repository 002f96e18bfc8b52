// Package endpoints knows the replicas: where they are, how loaded they are,
// and how many requests are on their way to them.
//
// A [Store] keeps them behind an immutable [Snapshot], which is what a request
// reads; GIE's data layer runs the polling. [Watch] fills the store from a
// file. [Scraper] reads a model server's metrics page by a line scan.
package endpoints
