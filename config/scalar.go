package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Strings is a list that may be written as a single string.
type Strings []string

// UnmarshalJSON takes a string or a list of strings; null changes nothing.
func (s *Strings) UnmarshalJSON(data []byte) error {
	if isNull(data) {
		return nil
	}
	many, err := stringOrList(data)
	if err != nil {
		return err
	}
	*s = many
	return nil
}

func stringOrList(data []byte) ([]string, error) {
	var one string
	if json.Unmarshal(data, &one) == nil {
		return []string{one}, nil
	}
	var many []string
	if json.Unmarshal(data, &many) != nil {
		return nil, errNotStrings
	}
	return many, nil
}

var errNotStrings = errors.New(`must be a string or a list of strings; put quotes around words that YAML takes for true or false, such as "no", "yes", "on" and "y"`)

// isList says that a short form was meant.
func isList(data []byte) bool { return len(data) > 0 && data[0] == '[' }

// Count is a number of things that may be written with K or M: 32K is 32,000.
type Count int

// UnmarshalJSON takes a whole number, or a string of one with K or M.
func (c *Count) UnmarshalJSON(data []byte) error {
	if isNull(data) {
		return nil
	}
	text := strings.Trim(string(data), `"`)
	digits, times := text, 1
	switch {
	case strings.HasSuffix(text, "K") || strings.HasSuffix(text, "k"):
		digits, times = text[:len(text)-1], 1000
	case strings.HasSuffix(text, "M") || strings.HasSuffix(text, "m"):
		digits, times = text[:len(text)-1], 1_000_000
	}
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || n > 1<<40/times {
		return fmt.Errorf("%s is no count: use a whole number such as 4000, 32K or 1M", data)
	}
	*c = Count(n * times)
	return nil
}

// UnmarshalJSON takes the full form or a list of words, which means any.
func (k *Keyword) UnmarshalJSON(data []byte) error {
	var words []string
	if json.Unmarshal(data, &words) == nil {
		*k = Keyword{Any: words}
		return nil
	}
	if isList(data) {
		return fmt.Errorf("keyword: %w", errNotStrings)
	}
	type plain Keyword // without this method
	return strictPart("keyword", data, (*plain)(k))
}

// UnmarshalJSON takes the full form, an expression, or a list of them.
func (r *Regex) UnmarshalJSON(data []byte) error {
	if many, err := stringOrList(data); err == nil {
		*r = Regex{Any: many}
		return nil
	} else if isList(data) {
		return fmt.Errorf("regex: %w", err)
	}
	type plain Regex
	return strictPart("regex", data, (*plain)(r))
}

// UnmarshalJSON takes a string, and true and false for on and off, as which
// YAML reads them.
func (r *Reasoning) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "null":
		return nil
	case "true":
		*r = ReasoningOn
		return nil
	case "false":
		*r = ReasoningOff
		return nil
	}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return errors.New("reasoning must be off, on, minimal, low, medium or high")
	}
	*r = Reasoning(text)
	return nil
}

// UnmarshalJSON takes the full form or the text alone.
func (p *SystemPrompt) UnmarshalJSON(data []byte) error {
	var text string
	if json.Unmarshal(data, &text) == nil {
		*p = SystemPrompt{Text: text}
		return nil
	}
	type plain SystemPrompt
	return strictPart("systemPrompt", data, (*plain)(p))
}

// UnmarshalJSON takes the full form, a string, or a list of them.
func (m *Match) UnmarshalJSON(data []byte) error {
	if many, err := stringOrList(data); err == nil {
		*m = Match{In: many}
		return nil
	} else if isList(data) {
		return fmt.Errorf("match: %w", err)
	}
	type plain Match
	return strictPart("match", data, (*plain)(m))
}

// strictPart decodes a part that has a short form beside its full one.
func strictPart(name string, data []byte, into any) error {
	if err := Strict(data, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// isNull says that a key stands there without a value.
func isNull(data []byte) bool { return string(data) == "null" }

// Duration is a time.Duration written as in Go: 100ms, 2s.
type Duration time.Duration

// UnmarshalJSON takes a duration string; null changes nothing.
func (d *Duration) UnmarshalJSON(data []byte) error {
	if isNull(data) {
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return errors.New(`must be a duration such as "100ms"`)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: use a number with a unit, such as 100ms", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes a duration string.
func (d Duration) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Duration(d).String())
}
