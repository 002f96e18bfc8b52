// Package vllmsim simulates a vLLM server well enough to route to.
//
// A [Server] speaks vLLM's HTTP interface (OpenAI's chat completions,
// completions, responses and embeddings, Anthropic's messages, the model list,
// LoRA loading, /metrics) over HTTP/1.1 and unencrypted HTTP/2. Behind it an
// engine with vLLM's limits does no arithmetic but takes its time: a bounded
// batch, a queue in front of it, KV-cache blocks that fill with the tokens in
// flight, a bound on the adapters of one batch. What /metrics shows is what the
// engine does, so a scheduler that reads it sees consequences of its own picks.
//
// It is an instrument for tests as well: it keeps the last requests byte by
// byte, and a [Behaviour] makes it fail, hang, drop connections or pretend load
// at run time. The reply header x-inference-pod names the server that answered.
//
// Where it is simpler than vLLM: a token is four bytes of text; admission
// reserves the blocks of the whole answer, so nothing is ever preempted; there
// is no prefix cache (queries count, hits stay 0).
package vllmsim
