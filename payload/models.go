package payload

import "encoding/json"

// A ModelEntry is one model of a model list.
type ModelEntry struct {
	ID      string // the name that requests give
	Created int64  // Unix time in seconds
	OwnedBy string
	Root    string // the model's own name or path; empty: the ID
	Parent  string // the base model of a LoRA adapter; empty: null
}

// ModelListBody returns the body of a reply to GET /v1/models: OpenAI's shape
// with the fields root and parent that vLLM adds. The order is kept.
func ModelListBody(models []ModelEntry) []byte {
	type entry struct {
		ID      string  `json:"id"`
		Object  string  `json:"object"`
		Created int64   `json:"created"`
		OwnedBy string  `json:"owned_by"`
		Root    string  `json:"root"`
		Parent  *string `json:"parent"`
	}
	list := struct {
		Object string  `json:"object"`
		Data   []entry `json:"data"`
	}{Object: "list", Data: make([]entry, len(models))}
	for i, m := range models {
		if m.Root == "" {
			m.Root = m.ID
		}
		list.Data[i] = entry{ID: m.ID, Object: "model", Created: m.Created, OwnedBy: m.OwnedBy, Root: m.Root, Parent: orNull(m.Parent)}
	}
	b, _ := json.Marshal(list) // strings and integers always marshal
	return b
}
