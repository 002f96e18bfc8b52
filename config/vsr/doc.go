// Package vsr takes over configurations of vLLM Semantic Router (vSR,
// github.com/vllm-project/semantic-router) as they are.
//
// vSR's config.yaml has had three shapes: generation 0 (until November 2025,
// categories with model_scores), generation 1 (v0.1 and v0.2, decisions beside
// flat lists of signals) and generation 2 (v0.3: providers, routing and
// global). [Detect] tells them apart, also where they stand under config: in
// Helm values. [Convert] makes our configuration of each, and says of every key
// what became of it: taken, approximated or ignored, and why.
//
// Nothing is dropped silently. What vSR would do and the picker cannot (checking
// prompts, caching replies, asking several models) is left out and reported;
// where that changes how requests are answered, the report warns.
package vsr
