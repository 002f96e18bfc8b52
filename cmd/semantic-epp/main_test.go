package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"semantic-epp/config"
)

// run runs the command as main does.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	cmd := newCommand()
	var out, errOut bytes.Buffer
	cmd.SetIn(strings.NewReader(stdin))
	cmd.SetOut(&out)
	cmd.SetErr(&errOut)
	cmd.SetArgs(args)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err = cmd.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

// linear is the default configuration with the classifier that is the same on
// every machine.
func linear() string {
	return strings.Replace(string(config.Default), "model: builtin", "model: linear", 1)
}

func TestExplain(t *testing.T) {
	out, _, err := run(t, "", "explain", "--config-text", linear(), "Solve the equation x^2 - 5x + 6 = 0 for x")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"category    math", "model       phi4-mini", "rule math matches [rule]", "else        llama3-8b (0.40)"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestExplainJSON(t *testing.T) {
	out, _, err := run(t, "", "explain", "--json", "--config-text", linear(), "Solve the equation x^2 - 5x + 6 = 0 for x")
	if err != nil {
		t.Fatal(err)
	}
	var e explanation
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatal(err)
	}
	if e.Category != "math" || e.Model != "phi4-mini" || e.Rule != "math" || e.Reason != "rule" || len(e.Probabilities) != 14 {
		t.Errorf("got %+v", e)
	}
}

func TestExplainLines(t *testing.T) {
	in := "2+2 is\n" + `"Solve the equation\nx^2 - 5x + 6 = 0 for x"` + "\n\n" + `"a quote that does not end` + "\n"
	out, _, err := run(t, in, "explain", "-", "--config-text", linear())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d answers to 4 lines:\n%s", len(lines), out)
	}
	for i, line := range lines {
		var keys map[string]any
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatalf("line %d: %v", i+1, err)
		}
		for _, key := range []string{"category", "confidence", "model", "rule", "reason"} {
			if _, ok := keys[key]; !ok {
				t.Errorf("line %d has no %s: %s", i+1, key, line)
			}
		}
	}
	if !strings.Contains(lines[2], `"reason":"unsure"`) {
		t.Errorf("an empty prompt: %s", lines[2])
	}
}

func TestValidate(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	examples, err := filepath.Glob("../../config/examples/*.yaml")
	if err != nil || len(examples) == 0 {
		t.Fatalf("examples: %v, %v", examples, err)
	}
	tests := map[string]struct {
		files []string
		says  []string // of stderr; none: valid
		at    []string // texts of the last file whose places are told
	}{
		"the default":       {files: []string{file("default.yaml", string(config.Default))}},
		"the examples":      {files: examples},
		"an endpoints file": {files: []string{file("endpoints.yaml", "endpoints: [{name: a, address: 10.0.0.1, port: 8000}]")}},
		"a typing error in a rule": {
			files: []string{file("typo.yaml", strings.Replace(string(config.Default), "domain: math", "domian: math", 1))},
			says:  []string{"typo.yaml: not valid", ": rules[0].when.domian: unknown key; did you mean domain?"},
			at:    []string{"domian"}},
		"a category that the classifier does not know, and a model that nobody knows": {
			files: []string{file("domain.yaml", strings.Replace(string(config.Default), "domain: math", "domain: maths", 1))},
			says:  []string{": rules[0].when.domain: ", `knows no "maths"`, "computer science", "did you mean math?"},
			at:    []string{"maths"}},
		"several files, one bad": {
			files: []string{file("good.yaml", string(config.Default)), file("bad.yaml", "endpoints: [{name: a, address: here, port: 0}]")},
			says:  []string{`bad.yaml: not valid`, `bad.yaml:1:32: endpoints[0].address: "here" is not an IP address`, "bad.yaml:1:44: endpoints[0].port: 0; use 1 to 65535"}},
		"a plugin that does not exist": {
			files: []string{file("plugin.yaml", strings.Replace(string(config.Default), "type: queue-scorer", "type: queue-scorrer", 1))},
			says:  []string{`: plugins[5].type: unknown plugin "queue-scorrer"; did you mean queue-scorer?`},
			at:    []string{"queue-scorrer"}},
		"a reference to a plugin that is not there": {
			files: []string{file("reference.yaml", strings.Replace(string(config.Default), "- type: kv-cache-utilization-scorer\n", "", 1))},
			says:  []string{`: schedulingProfiles[0].plugins[3].pluginRef: unknown plugin "kv-cache-utilization-scorer"; there are semantic-router, `},
			at:    []string{"kv-cache-utilization-scorer, weight"}},
		"faults in several plugins, all at once": {
			files: []string{file("several.yaml", strings.NewReplacer(
				"minConfidence: 0.5", "minConfidence: high",
				"- type: semantic-prefix-producer", "- type: semantic-prefix-producer\n  parameters: {blockSizeToken: 1}",
				"pluginRef: semantic-model-filter", "pluginReff: semantic-model-filter",
			).Replace(string(config.Default)))},
			says: []string{
				": classifier.minConfidence: must be a number, not a string",
				": blockSizeToken: unknown key; did you mean blockSizeTokens?",
				": schedulingProfiles[0].plugins[0].pluginReff: unknown key; did you mean pluginRef?"},
			at: []string{"high}", "blockSizeToken", "pluginReff"}},
		"a plugin twice": {
			files: []string{file("twice.yaml", strings.Replace(string(config.Default), "- type: queue-scorer", "- type: queue-scorer\n- type: queue-scorer", 1))},
			says:  []string{`: plugins[6]: plugin "queue-scorer" stands twice`}},
		"something that is not YAML": {
			files: []string{file("not.yaml", "kind: [")},
			says:  []string{"not.yaml:1:1: not YAML: "}},
		"a feature that is not there": {
			files: []string{file("gate.yaml", string(config.Default)+"featureGates: [flowControl]\n")},
			says:  []string{": featureGates: flowControl is not supported"}, at: []string{"featureGates"}},
		"a kind that does not exist": {
			files: []string{file("kind.yaml", strings.Replace(string(config.Default), "kind: EndpointPickerConfig", "kind: EndpointPickerConfg", 1))},
			says:  []string{`kind.yaml:4:7: kind: "EndpointPickerConfg"; use EndpointPickerConfig; did you mean EndpointPickerConfig?`}},
		"no file": {files: []string{filepath.Join(dir, "none.yaml")}, says: []string{"none.yaml"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, err := run(t, "", append([]string{"validate"}, tc.files...)...)
			if (err != nil) != (len(tc.says) > 0) {
				t.Errorf("error %v\n%s%s", err, stdout, stderr)
			}
			for _, want := range tc.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in\n%s", want, stderr)
				}
			}
			last := tc.files[len(tc.files)-1]
			for _, text := range tc.at {
				if want := place(t, last, text); !strings.Contains(stderr, want) {
					t.Errorf("no fault at %s in\n%s", want, stderr)
				}
			}
		})
	}
}

// place is where a text stands in a file, as a fault tells it.
func place(t *testing.T, path, text string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, _, ok := strings.Cut(string(data), text)
	if !ok {
		t.Fatalf("%s has no %q", path, text)
	}
	return fmt.Sprintf("%s:%d:%d: ", path, strings.Count(before, "\n")+1, len(before)-strings.LastIndex(before, "\n"))
}

func TestServeRefusesToStart(t *testing.T) {
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)
	endpoints := filepath.Join(t.TempDir(), "endpoints.yaml")
	if err := os.WriteFile(endpoints, []byte("endpoints: []"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args []string
		says string
	}{
		"without endpoints":             {[]string{}, "give --endpoints-file"},
		"with Kubernetes' metrics auth": {[]string{"--endpoints-file", endpoints, "--metrics-endpoint-auth"}, "not supported"},
		"with a port that is no port":   {[]string{"--endpoints-file", endpoints, "--grpc-port", "70000"}, "use 0 to 65535"},
		"with a file that is not there": {[]string{"--endpoints-file", "/none/endpoints.yaml", "--config-text", linear()}, "/none/endpoints.yaml"},
		"with a library that is not there": {[]string{"--endpoints-file", endpoints, "--onnxruntime", "/none/lib.so"},
			"/none/lib.so"},
		"with two configurations":       {[]string{"--endpoints-file", endpoints, "--config-text", "x", "--config-file", "y"}, "exclude each other"},
		"with a port that is taken":     {[]string{"--endpoints-file", endpoints, "--config-text", linear(), "--grpc-port", port}, "--grpc-port"},
		"with an argument it knows not": {[]string{"sevre"}, "sevre"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, _, err := run(t, "", tc.args...); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v does not say %q", err, tc.says)
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	out, _, err := run(t, "", "--help")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"explain", "validate", "serve", "version", "--endpoints-file", "--config-file", "--grpc-port", "--grpc-health-port", "--metrics-port", "--secure-serving"} {
		if !strings.Contains(out, want) {
			t.Errorf("help does not name %s", want)
		}
	}
	if out, _, err = run(t, "", "version"); err != nil || !strings.Contains(out, "semantic-epp dev") {
		t.Errorf("version says %q, %v", out, err)
	}
	if out, _, err = run(t, "", "config", "default"); err != nil || out != string(config.Default) {
		t.Errorf("config default is not the default: %v", err)
	}
}
