// Package router is the life of one request: it composes the rooms. It reads
// the request with payload, asks semantic-router which models may answer, takes
// GIE's steps to pick a replica of them, and writes the verdict that extproc
// sends to the gateway.
//
// It takes the place of GIE's Director, whose copies of every endpoint and
// second parse cost more than all the rest of a request; GIE's plugins run
// unchanged.
package router
