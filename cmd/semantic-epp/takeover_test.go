package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ofVSR is a small configuration of vLLM Semantic Router, generation 0.
const ofVSR = `
default_model: llama
default_reasoning_effort: high
vllm_endpoints:
- {name: one, address: 10.0.0.1, port: 8000, weight: 1}
- {name: two, address: 10.0.0.2, port: 8000, weight: 1}
model_config:
  llama: {preferred_endpoints: [one]}
  phi: {preferred_endpoints: [two], reasoning_family: qwen3}
reasoning_families: {qwen3: {type: chat_template_kwargs, parameter: enable_thinking}}
classifier: {category_model: {model_id: models/category_classifier, threshold: 0.6}}
keyword_rules:
- {category: urgent, operator: OR, keywords: [right now], case_sensitive: false}
categories:
- name: math
  system_prompt: You are a mathematician.
  jailbreak_enabled: true
  model_scores: [{model: phi, score: 0.9, use_reasoning: true}]
- name: urgent
  model_scores: [{model: phi, score: 1, use_reasoning: false}]
semantic_cache: {enabled: true}
`

func TestConvert(t *testing.T) {
	const golden = "../../config/vsr/testdata/"
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, name := range []string{"generation1"} {
		t.Run(name, func(t *testing.T) {
			out, stderr, err := run(t, "", "convert", golden+name+".in.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if want := read(golden + name + ".out.yaml"); out != want {
				t.Errorf("standard output is not %s.out.yaml:\n%.500s", name, out)
			}
			if want := read(golden + name + ".report.txt"); stderr != want {
				t.Errorf("standard error is not %s.report.txt:\n%.500s", name, stderr)
			}
		})
	}
	t.Run("to files, which are never overwritten", func(t *testing.T) {
		t.Chdir(t.TempDir())
		if err := os.WriteFile("vsr.yaml", []byte(ofVSR), 0o600); err != nil {
			t.Fatal(err)
		}
		args := []string{"convert", "vsr.yaml", "--out", "config.yaml", "--endpoints-out", "endpoints.yaml"}
		out, stderr, err := run(t, "", args...)
		if err != nil || out != "" {
			t.Fatalf("got %v\n%s", err, out)
		}
		if !strings.Contains(stderr, "! ignored") || !strings.Contains(stderr, "categories[0].jailbreak_enabled") {
			t.Errorf("the report does not warn:\n%s", stderr)
		}
		if out, stderr, err := run(t, "", "validate", "config.yaml", "endpoints.yaml"); err != nil || !strings.Contains(out, "2 endpoints") {
			t.Errorf("the files are not valid: %v\n%s%s", err, out, stderr)
		}
		before := read("config.yaml") + read("endpoints.yaml")
		if _, _, err := run(t, "", args...); err == nil || !strings.Contains(err.Error(), "config.yaml: file exists") || !strings.Contains(err.Error(), "endpoints.yaml: file exists") {
			t.Errorf("files that stand there: %v", err)
		}
		if read("config.yaml")+read("endpoints.yaml") != before {
			t.Error("a file was overwritten")
		}
	})
	for name, tc := range map[string]struct{ text, says string }{
		"ours":             {linear(), "config.yaml: "},
		"no configuration": {"- a list", "config.yaml: "},
		"no YAML":          {"kind: [", "config.yaml: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, _, err := run(t, "", "convert", path); err == nil || out != "" || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
}

func TestCommandsReadVSRsFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"vsr.yaml":    strings.Replace(ofVSR, "categories:", "categories:\n- {name: law, model_scores: []}", 1),
		"broken.yaml": strings.Replace(ofVSR, "port: 8000", "port: many", 1),
		"cases.yaml": `
- prompt: I need it right now
  expect: {model: phi, rule: urgent-keyword, reasoning: "off"}
- prompt: hello
  expect: {model: llama, rule: ""}
`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		args []string
		says string // on standard output, or in the error
		bad  bool
	}{
		"validate":              {[]string{"validate", "vsr.yaml"}, "vsr.yaml: valid, 2 models", false},
		"explain":               {[]string{"explain", "--config-file", "vsr.yaml", "I need it right now"}, "rule urgent-keyword matches", false},
		"test":                  {[]string{"test", "cases.yaml", "--config-file", "vsr.yaml"}, "ok 2 - hello", false},
		"explain a broken one":  {[]string{"explain", "--config-file", "broken.yaml", "hello"}, "port", true},
		"validate a broken one": {[]string{"validate", "broken.yaml"}, "not valid", true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			out, stderr, err := run(t, "", tc.args...)
			if (err != nil) != tc.bad {
				t.Fatalf("error %v\n%s%s", err, out, stderr)
			}
			if tc.bad {
				out = err.Error()
			}
			if !strings.Contains(out, tc.says) {
				t.Errorf("no %q in\n%s%s", tc.says, out, stderr)
			}
		})
	}
}
