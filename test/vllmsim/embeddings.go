package vllmsim

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strconv"
)

// embeddings answers POST /v1/embeddings with vectors that depend on the text
// alone.
func (s *Server) embeddings(w http.ResponseWriter, r *http.Request, body []byte) {
	b := s.Behaviour()
	fail := func(status int, message string) { writeJSON(w, status, openAIError(status, message)) }
	if misbehaved(b, fail) {
		return
	}
	var request struct {
		Model string          `json:"model"`
		Input json.RawMessage `json:"input"`
	}
	if err := decode(body, &request); err != nil {
		fail(http.StatusBadRequest, err.Error())
		return
	}
	texts, tokens, err := input(request.Input)
	if err != nil {
		fail(http.StatusBadRequest, err.Error())
		return
	}
	adapter, served := s.adapters.find(request.Model)
	if !served {
		fail(http.StatusNotFound, unknownModel(request.Model))
		return
	}
	if tokens > s.cfg.MaxModelLen {
		fail(http.StatusBadRequest, fmt.Sprintf("This model's maximum context length is %d tokens. However, your request has %d input tokens.",
			s.cfg.MaxModelLen, tokens))
		return
	}
	if err := s.engine.embed(r.Context(), &sequence{adapter: adapter, promptTokens: tokens}, b.Hang); err != nil {
		panic(http.ErrAbortHandler) // the client left, or the server closes
	}
	data := make([]any, len(texts))
	for i, text := range texts {
		data[i] = map[string]any{"index": i, "object": "embedding", "embedding": vector(text)}
	}
	out := newReply(w, b)
	defer out.close()
	out.json(map[string]any{
		"id": "embd-" + strconv.FormatInt(s.replies.Add(1), 10), "object": "list", "model": request.Model, "data": data,
		"usage": usage{Prompt: tokens, Total: tokens},
	})
}

// vector makes eight numbers from 0 to 1 out of a text.
func vector(text string) []float64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	sum := h.Sum64()
	v := make([]float64, 8)
	for i := range v {
		v[i] = float64(byte(sum>>(8*i))) / 255
	}
	return v
}
