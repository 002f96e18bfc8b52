package api

import (
	"context"
	_ "embed" // for the document
	"encoding/json"
)

// openAPIDocument describes the API, by OpenAPI 3.1.
//
//go:embed openapi.json
var openAPIDocument []byte

// openAPI serves GET /openapi.json.
func (s *server) openAPI(context.Context, []byte) (reply, error) {
	return ok(json.RawMessage(openAPIDocument)), nil
}
