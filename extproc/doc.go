// Package extproc serves Envoy's External Processing protocol (ext_proc): one
// gRPC stream is one HTTP exchange.
//
// A [Handler] sees whole requests and the replies to them; everything that the
// protocol asks for beyond that happens here: the body modes of each
// direction, the order of the answers, limits, deadlines, trailers,
// cancellation and the containment of panics. [Server] is the gRPC service and
// [Server.Serve] runs it with health and TLS beside it.
//
// # Body modes of requests
//
// The gateway declares its modes in protocol_config of the first message.
//
//   - FULL_DUPLEX_STREAMED: every answer waits for the end of the request;
//     then come the headers answer with all edits, the body in chunks, and the
//     trailers answer. This is the mode to prefer.
//   - BUFFERED: headers are answered at once, edits travel in the body answer.
//     The body is complete at end_of_stream; or when it is as long as
//     content-length says; or, without content-length, at its first message
//     where pseudo header fields come first, as in Envoy, which sends one
//     message and, before trailers, leaves end_of_stream unset in it.
//     AgentGateway puts pseudo header fields last and may send the end in an
//     empty message of its own, which is awaited.
//   - STREAMED with send_body_without_waiting_for_header_response: as
//     FULL_DUPLEX_STREAMED, with one answer per message. HTTP/2 trailers on a
//     request without content-length cannot work here: Envoy holds the trailers
//     back until the body is answered and marks no end in the body.
//   - BUFFERED_PARTIAL, NONE: with [Config.AllowModeOverride] the body is asked
//     for in BUFFERED mode. Otherwise, in NONE, a request with a body is refused.
//     In BUFFERED_PARTIAL one is refused that was cut short and whose body must
//     change, and one that needs another route, which Envoy can miss there.
//   - STREAMED without that setting, and GRPC: refused.
//
// A gateway that declares nothing is taken to use [Config.AssumedBodyMode].
//
// # Replies
//
// Replies are never held back, nor changed but for header edits: each part
// goes back before the Handler sees it. A reply of server-sent events under
// response_body_mode BUFFERED is released by mode_override; its end is then
// not seen ([Unobserved]). Gateways honour that only where allow_mode_override
// is set.
//
// The protocol: https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/ext_proc/v3/external_processor.proto
package extproc
