package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const equation = "Solve the equation x^2 - 5x + 6 = 0 for x"

// cases writes a file of cases and returns its path.
func cases(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cases.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTestCommand(t *testing.T) {
	path := cases(t, `
- prompt: `+equation+`
  expect: {model: phi4-mini, rule: math, reason: rule, category: math, reasoning: ""}
- name: "a wrong # guess"
  prompt: `+equation+`
  expect: {model: llama3-8b, rule: "", category: math}
- name: a chat is judged by its last question
  messages:
  - {role: user, content: Hello}
  - {role: user, content: `+equation+`}
  expect: {category: math}
- name: a whole body
  messages: {model: auto, prompt: "`+equation+`"}
  expect: {rule: math}
`)
	want := `TAP version 14
1..4
ok 1 - Solve the equation x^2 - 5x + 6 = 0 for x
not ok 2 - a wrong \# guess
  ---
  model: {got: "phi4-mini", want: "llama3-8b"}
  rule: {got: "math", want: ""}
  ...
ok 3 - a chat is judged by its last question
ok 4 - a whole body
`
	out, _, err := run(t, "", "test", path, "--config-text", linear())
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	if err == nil || err.Error() != "1 of 4 cases failed" {
		t.Errorf("error %v", err)
	}
	out, _, err = run(t, "", "test", path, "--json", "--config-text", linear())
	var outcomes []outcome
	if json.Unmarshal([]byte(out), &outcomes) != nil || len(outcomes) != 4 || outcomes[1].Passed || len(outcomes[1].Mismatches) != 2 || !outcomes[3].Passed || err == nil {
		t.Errorf("--json: %s, %v", out, err)
	}
	path = cases(t, "- prompt: "+equation+"\n  expect: {rule: math}")
	if _, _, err := run(t, "", "test", path, "--config-text", linear()); err != nil {
		t.Errorf("all as expected, and yet: %v", err)
	}
}

func TestTestCommandFaults(t *testing.T) {
	tests := map[string]struct{ text, says string }{
		"a case without a prompt":     {"- expect: {model: a}", "cases.yaml:1:3: [0].prompt: missing"},
		"a case without expectations": {"- prompt: x", "cases.yaml:1:3: [0].expect: empty"},
		"a prompt beside messages":    {"- {prompt: x, messages: [], expect: {model: a}}", "cases.yaml:1:15: [0].messages: stands beside prompt"},
		"a misspelt expectation":      {"- prompt: x\n  expect: {modle: a}", "cases.yaml:2:12: [0].expect.modle: unknown key; did you mean model?"},
		"messages that are none":      {"- messages: {role: user}\n  expect: {model: a}", "cases.yaml:1:3: [0].messages: read messages: the body has none of messages, prompt and input"},
		"several":                     {"- prompt: x\n- expect: {model: a}", "[1].prompt: missing"},
		"nothing":                     {"", "cases.yaml: no cases"},
		"not a list":                  {"prompt: x", "must be a list, not a mapping of keys"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := run(t, "", "test", cases(t, tc.text), "--config-text", linear())
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
		})
	}
}

func TestExplainMessages(t *testing.T) {
	tests := map[string]struct{ text, category, says string }{
		"a list of messages":      {text: `[{"role": "user", "content": "` + equation + `"}]`, category: "math"},
		"a body for another name": {text: `{"model": "phi4-mini", "messages": [{"role": "user", "content": [{"type": "text", "text": "` + equation + `"}]}]}`, category: "math"},
		"a body without model":    {text: `{"messages": [{"role": "user", "content": "` + equation + `"}]}`, category: "math"},
		"a completion":            {text: `{"prompt": "` + equation + `"}`, category: "math"},
		"a response":              {text: `{"input": "` + equation + `"}`, category: "math"},
		"not JSON":                {text: `role: user`, says: "neither a request body nor a list of messages"},
		"another body":            {text: `{"model": "auto"}`, says: "none of messages, prompt and input"},
		"a message of bad shape":  {text: `[5]`, says: "read messages: "},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, _, err := run(t, tc.text, "explain", "--json", "--messages", "-", "--config-text", linear())
			if tc.says != "" {
				if err == nil || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("error %v does not say %q", err, tc.says)
				}
				return
			}
			var e explanation
			if err != nil || json.Unmarshal([]byte(out), &e) != nil || e.Category != tc.category {
				t.Errorf("got %s, %v", out, err)
			}
		})
	}
	if _, _, err := run(t, "", "explain", "--messages", "-", "and a prompt"); err == nil {
		t.Error("--messages beside a prompt is taken")
	}
}

func TestExplainReasoning(t *testing.T) {
	text := strings.Replace(linear(), "when: {domain: math}", "when: {domain: math}\n      reasoning: high", 1)
	out, _, err := run(t, "", "explain", equation, "--config-text", text)
	if err != nil || !strings.Contains(out, "reasoning   high") {
		t.Errorf("got %s, %v", out, err)
	}
}

func TestSchemaCommand(t *testing.T) {
	for _, args := range [][]string{{"schema"}, {"schema", "router"}, {"schema", "endpoints"}} {
		out, _, err := run(t, "", args...)
		if err != nil || !json.Valid([]byte(out)) || !strings.Contains(out, "draft/2020-12") {
			t.Errorf("%v: %v\n%.200s", args, err, out)
		}
	}
	if _, _, err := run(t, "", "schema", "rules"); err == nil || !strings.Contains(err.Error(), "rules") {
		t.Errorf("an unknown kind: %v", err)
	}
}

func TestCompletion(t *testing.T) {
	tests := map[string]struct {
		words []string
		want  string
	}{
		"commands":               {[]string{"te"}, "test"},
		"kinds of schema":        {[]string{"schema", "r"}, "router"},
		"flags":                  {[]string{"test", "--config-f"}, "--config-file"},
		"files of cases":         {[]string{"test", ""}, "yaml\nyml\njson\n:8"},
		"files of configuration": {[]string{"explain", "--config-file", ""}, "yaml\nyml\njson\n:8"},
		"files to validate":      {[]string{"validate", ""}, "yaml\nyml\njson\n:8"},
		"files of messages":      {[]string{"explain", "--messages", ""}, "json\n:8"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, _, err := run(t, "", append([]string{"__complete"}, tc.words...)...)
			if err != nil || !strings.Contains(out, tc.want) {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}

// Whatever is in a file of messages, there is a text or an error, and no error
// quotes the file.
func FuzzPromptOf(f *testing.F) {
	f.Add([]byte(`[{"role": "user", "content": "canary"}]`))
	f.Add([]byte(`{"prompt": ["canary", "canary"]}`))
	f.Add([]byte(`{"input": [{"role": "canary"}], "model": 5}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		request, err := requestOf(data)
		if (err == nil) != (request != nil) || err != nil && (strings.Contains(err.Error(), "canary")) {
			t.Errorf("got %v and %v", request, err)
		}
	})
}

func TestTestCommandHeaders(t *testing.T) {
	text := strings.Replace(linear(), "    rules:", "    trustedHeaders: [x-tier]\n    rules:\n    - {name: gold, priority: 1, when: {header: {x-tier: gold}}, models: [{name: base-model}]}", 1)
	path := cases(t, `
- name: a customer who pays
  prompt: `+equation+`
  headers: {x-tier: gold}
  expect: {model: base-model, rule: gold}
- name: the same in messages
  messages: [{role: user, content: `+equation+`}]
  headers: {x-tier: gold}
  expect: {rule: gold}
- name: one who does not
  prompt: `+equation+`
  headers: {x-tier: silver}
  expect: {rule: math}
- name: nobody
  prompt: `+equation+`
  expect: {rule: math}
`)
	if out, _, err := run(t, "", "test", path, "--config-text", text); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	path = cases(t, "- prompt: x\n  headers: {X-Tier: gold}\n  expect: {rule: gold}")
	if _, _, err := run(t, "", "test", path, "--config-text", text); err == nil || !strings.Contains(err.Error(), `cases.yaml:2:3: [0].headers: "X-Tier" is not in lower case`) {
		t.Errorf("a name in upper case: %v", err)
	}
}
