// Package schema holds the JSON Schema (draft 2020-12) of what an operator
// writes, for editors and for checks outside the program.
//
// schema.json is generated from the Go types of package config, their comments
// and constants; `go test ./config/schema -update` writes it anew, together with
// the reference part of docs/configuration.md. A schema is necessary and not
// sufficient: it knows keys, kinds and choices, while validation also knows
// which models there are and which rules can hold.
package schema
