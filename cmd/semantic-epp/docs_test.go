package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestConfigurationPage runs the commands of docs/configuration.md with the
// files that it shows.
func TestConfigurationPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	files := map[string]string{
		"endpoints.yaml": "endpoints: [{name: a, address: 10.0.0.1, port: 8000, labels: {app: phi4-mini}}]",
		"request.json":   `{"model": "auto", "messages": [{"role": "user", "content": "What is the derivative of f(x) = x^3?"}]}`,
	}
	files["vsr.yaml"] = ofVSR
	for _, block := range regexp.MustCompile("(?s)```yaml\n# ([a-z]+\\.yaml)\n.*?```").FindAllStringSubmatch(string(page), -1) {
		text := strings.TrimSuffix(strings.TrimPrefix(block[0], "```yaml\n"), "```")
		files[block[1]] = text
	}
	// The classifier that is the same on every machine.
	files["config.yaml"] = strings.Replace(files["config.yaml"], "    rules:", "    classifier: {model: linear}\n    rules:", 1)
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	commands := regexp.MustCompile(`(?m)^semantic-epp (.*)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 5 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	for _, command := range commands {
		line, _, _ := strings.Cut(command[1], " > ")
		var args []string
		for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1) {
			args = append(args, strings.Trim(word, `"`))
		}
		if out, stderr, err := run(t, "", args...); err != nil {
			t.Errorf("%s: %v\n%s%s", line, err, out, stderr)
		}
	}
}

// TestConfigurationPageFaults makes the mistakes whose report the page shows.
func TestConfigurationPageFaults(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(# config.yaml\n.*?)```").FindStringSubmatch(string(page))
	shown := regexp.MustCompile("(?s)```text\n(.*?)```").FindStringSubmatch(string(page))
	if block == nil || shown == nil {
		t.Fatal("the page shows no configuration, or no faults")
	}
	t.Chdir(t.TempDir())
	broken := strings.NewReplacer("defaultModel: llama3-8b", "defaultModel: llama3-8", "domain: math", "domian: math",
		"pluginRef: queue-scorer", "pluginRef: queue-scorrer").Replace(block[1])
	if err := os.WriteFile("config.yaml", []byte(broken), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, err := run(t, "", "validate", "config.yaml")
	if want := "config.yaml: not valid\n" + shown[1]; err == nil || stderr != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, stderr, want)
	}
}
