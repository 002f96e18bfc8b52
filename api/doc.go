// Package api serves the HTTP API beside the ext_proc port: what a prompt is
// about, where it would go and why, which models there are, and how the picker
// is doing.
//
// Routes, fields, values and error codes are those of vLLM Semantic Router's
// classification API where it has them, so that its clients and evaluation
// scripts work unchanged
// (https://github.com/vllm-project/semantic-router, src/semantic-router/pkg/apiserver
// and pkg/services). openapi.json describes all of it.
//
// [New] makes the handler around a [Backend], and [Serve] runs it. There is no
// authentication: serve it on loopback, or behind something that has some.
//
// No prompt is ever logged, and no error quotes one.
package api
