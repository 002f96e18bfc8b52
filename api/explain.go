package api

import (
	"context"
	"net/http"

	"semantic-epp/payload"
)

// explainReply is an explanation with the facts about the request that rules
// look at.
type explainReply struct {
	Explanation
	Request          requestFacts `json:"request"`
	ProcessingTimeMs int64        `json:"processing_time_ms"`
}

type requestFacts struct {
	API         string `json:"api"`
	Model       string `json:"model"` // asked for; "" asks for a decision
	Stream      bool   `json:"stream"`
	Messages    int    `json:"messages"`
	UserTurns   int    `json:"user_turns"`
	Tools       int    `json:"tools"`
	ToolResults int    `json:"tool_results"`
	Images      int    `json:"images"`
	TextBytes   int    `json:"text_bytes"` // of all texts that the model reads, in UTF-8
}

// explain serves POST /api/v1/explain.
func (s *server) explain(ctx context.Context, body []byte) (reply, error) {
	f, err := fieldsOf(body)
	if err != nil {
		return reply{}, err
	}
	query, err := f.explained()
	if err != nil {
		return reply{}, err
	}
	e, took, err := s.explanation(ctx, query)
	if err != nil {
		return reply{}, err
	}
	if e.Models == nil {
		e.Models = []RankedModel{}
	}
	r := query.Request
	return ok(explainReply{e, requestFacts{
		API:         r.API.String(),
		Model:       query.Model,
		Stream:      r.Stream,
		Messages:    r.Shape.Messages,
		UserTurns:   r.Shape.UserTurns,
		Tools:       r.Shape.Tools,
		ToolResults: r.Shape.ToolResults,
		Images:      r.Shape.Images,
		TextBytes:   r.Shape.TextBytes,
	}, took.Milliseconds()}), nil
}

// explained is what to explain: text or messages as for a classification, or a
// client's request as it is.
func (f fields) explained() (Query, error) {
	var headers map[string]string
	if err := f.read("headers", &headers, "an object of strings"); err != nil {
		return Query{}, err
	}
	query, err := f.asked()
	if err != nil {
		return Query{}, err
	}
	query.Header = make(http.Header, len(headers))
	for name, value := range headers {
		query.Header.Set(name, value)
	}
	return query, nil
}

func (f fields) asked() (Query, error) {
	if !f.has("request") {
		return f.query()
	}
	path := "/v1/chat/completions"
	if err := f.read("path", &path, "a string"); err != nil {
		return Query{}, err
	}
	kind := payload.APIOf(http.MethodPost, path)
	if kind == payload.Other {
		return Query{}, invalid("path must be /v1/chat/completions, /v1/completions, /v1/responses, /v1/messages or /v1/embeddings: other requests are not read")
	}
	request, err := payload.Parse(kind, f["request"])
	if err != nil {
		return Query{}, err
	}
	return Query{Request: request, Model: request.Model}, nil
}
