package builtin

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message of fields with a length: number, value, …
func message(fields ...any) []byte {
	var b []byte
	for i := 0; i < len(fields); i += 2 {
		b = protowire.AppendTag(b, protowire.Number(fields[i].(int)), protowire.BytesType)
		switch v := fields[i+1].(type) {
		case string:
			b = protowire.AppendString(b, v)
		case []byte:
			b = protowire.AppendBytes(b, v)
		}
	}
	return b
}

// family is ids → layer 1 → exit 2 (logits@2) and → layer 2 → logits.
var family = message(7, message(
	1, message(1, "ids", 1, "weights1", 2, "x1", 4, "Layer"),
	1, message(1, "x1", 2, "logits@2", 4, "Head"),
	1, message(1, "x1", 1, "weights2", 2, "x2", 4, "Layer"),
	1, message(1, "x2", 2, "logits", 4, "Head"),
	5, message(8, "weights1"),
	5, message(8, "weights2"),
	11, message(1, "ids"),
	12, message(1, "logits"),
	12, message(1, "logits@2"),
	13, message(1, "x1"),
))

func TestCut(t *testing.T) {
	tests := map[string]struct {
		exit string
		want []byte
	}{
		"the shallow exit runs one layer and gives logits": {exit: "2", want: message(7, message(
			1, message(1, "ids", 1, "weights1", 2, "x1", 4, "Layer"),
			1, message(1, "x1", 2, "logits", 4, "Head"),
			5, message(8, "weights1"),
			11, message(1, "ids"),
			12, message(1, "logits"),
		))},
		"the deep exit runs both layers without the other's head": {exit: "", want: message(7, message(
			1, message(1, "ids", 1, "weights1", 2, "x1", 4, "Layer"),
			1, message(1, "x1", 1, "weights2", 2, "x2", 4, "Layer"),
			1, message(1, "x2", 2, "logits", 4, "Head"),
			5, message(8, "weights1"),
			5, message(8, "weights2"),
			11, message(1, "ids"),
			12, message(1, "logits"),
		))},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := cut(family, tt.exit); err != nil || string(got) != string(tt.want) {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestCutRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		model []byte
		want  string
	}{
		"an exit that is not there": {model: message(7, message(12, message(1, "logits@4"))), want: "no such outputs"},
		"half a model":              {model: family[:len(family)-3], want: "cut the model"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := cut(tt.model, "2"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
