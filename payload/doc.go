// Package payload says what is in the bytes of an LLM API request, edits them
// in place, answers in place of a model, reads token usage from replies and
// restores the model's name in them.
//
// It knows nothing about Envoy, Kubernetes or models, and keeps no text of its
// own: a [Request] holds positions in the body it was parsed from.
//
// # One text for everybody
//
// A picker that classifies prompts must read exactly what the model server
// will read. JSON leaves room for disagreement: when a key stands twice,
// Python's json module and Go's encoding/json take the last one and others the
// first; encoding/json also takes "Model" or "ſtream" for "model" and "stream",
// Python does not. [Parse] leaves no such room. It accepts RFC 8259 JSON in
// UTF-8 and nothing else, and refuses a request in which a key that matters
// appears twice in one object or in another spelling:
//
//   - in the request: model, messages, prompt, input, stream, cache_salt, system, instructions, tools, functions
//   - in a message: type, role, content, tool_calls; in an input item: type, role, content, output
//   - in a content part: type, text, refusal, thinking, content
//
// [Request.Apply] does the same for every field that an edit is about.
//
// Another spelling is one that differs in letter case as Unicode simple case
// folding sees it (which adds long s and the Kelvin sign), or that goes on
// after a NUL, where a C string ends. Escapes in keys and values are decoded
// before they are compared. All other keys are the model server's business.
//
// A lone surrogate escape in a text reads as U+FFFD, as in encoding/json; in a
// model name or a cache salt it is refused.
//
// # Cost
//
// Parse goes over the body once, allocates the same few objects for any body,
// and never recurses. [Request.Apply] looks again at what stands around the
// conversation, and at the messages up to the last one of the system's if there
// is a system prompt to set; it copies nothing that is large, unless the body
// falls into many parts. A [UsageReader] works in time linear in the reply and
// holds less than 64 KiB, whatever the reply is; a [ModelRestorer] holds less
// than 2 KiB for any name that Parse accepts.
package payload
