// Package parser is the plugin semantic-parser: it reads a request in one pass
// over its bytes and leaves them as they are.
//
// It stands in for GIE's openai-parser, which decodes every body twice.
package parser

import (
	"context"
	"encoding/json"
	"fmt"
	"unsafe"

	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/plugin"
	"sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requestcontrol"
	requesthandling "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/requesthandling"
	giesched "sigs.k8s.io/gateway-api-inference-extension/pkg/epp/framework/interface/scheduling"

	"semantic-epp/config"
	"semantic-epp/payload"
)

// Type is the plugin type in a configuration.
const Type = "semantic-parser"

// Plugin is the parser. It has no state.
type Plugin struct{ name string }

var _ requesthandling.Parser = (*Plugin)(nil)

// Factory makes the plugin of a configuration; it takes no parameters.
func Factory(name string, parameters json.RawMessage, _ plugin.Handle) (plugin.Plugin, error) {
	if err := config.Strict(parameters, &struct{}{}); err != nil {
		return nil, fmt.Errorf("%s takes no parameters: %w", Type, err)
	}
	return New(name), nil
}

// New returns the plugin.
func New(name string) *Plugin { return &Plugin{name: name} }

// TypedName names the plugin.
func (p *Plugin) TypedName() plugin.TypedName { return plugin.TypedName{Type: Type, Name: p.name} }

// ParseRequest reads a body by the API that the pseudo header fields name.
func (p *Plugin) ParseRequest(_ context.Context, body []byte, headers map[string]string) (*giesched.LLMRequestBody, error) {
	request, err := payload.Parse(payload.APIOf(headers[":method"], headers[":path"]), body)
	if err != nil {
		return nil, err
	}
	return BodyOf(request, body), nil
}

// BodyOf is GIE's view of a request that was read already. Its text is raw JSON,
// enough to hash and to count: what the model reads first, a system prompt that
// stands apart, then the conversation. It is valid as long as body is.
func BodyOf(request *payload.Request, body []byte) *giesched.LLMRequestBody {
	return &giesched.LLMRequestBody{
		Completions: &giesched.CompletionsRequest{
			Prompt:    giesched.Prompt{Raw: text(request.System(), request.Conversation())},
			CacheSalt: request.CacheSalt,
		},
		Payload: giesched.RawPayload(body),
		Stream:  request.Stream,
	}
}

// text joins both; without a system prompt apart, as in chat completions, it
// copies nothing.
func text(system, conversation []byte) string {
	if len(system) == 0 {
		return unsafe.String(unsafe.SliceData(conversation), len(conversation))
	}
	return string(system) + string(conversation)
}

// ParseResponse finds the usage in a reply that is given whole. Streams are
// read by the router itself.
func (p *Plugin) ParseResponse(_ context.Context, body []byte, headers map[string]string, _ bool) (*requesthandling.ParsedResponse, error) {
	reader := payload.NewUsageReader(payload.ChatCompletions, headers["content-type"], headers["content-encoding"])
	reader.Write(body)
	usage, ok := reader.Usage()
	if !ok {
		return &requesthandling.ParsedResponse{}, nil
	}
	return &requesthandling.ParsedResponse{Usage: UsageOf(usage)}, nil
}

// UsageOf is GIE's form of a usage.
func UsageOf(u payload.Usage) *requestcontrol.Usage {
	return &requestcontrol.Usage{
		PromptTokens:       int(u.PromptTokens),
		CompletionTokens:   int(u.CompletionTokens),
		TotalTokens:        int(u.TotalTokens),
		PromptTokenDetails: &requestcontrol.PromptTokenDetails{CachedTokens: int(u.CachedTokens)},
	}
}
