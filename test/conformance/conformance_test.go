package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"semantic-epp/test/rig"
)

// TestMain lets the test binary be GIE's picker, as main does.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "gie" {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}

// buildPicker builds semantic-epp.
func buildPicker(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "semantic-epp")
	if out, err := exec.Command("go", "build", "-o", binary, "semantic-epp/cmd/semantic-epp").CombinedOutput(); err != nil {
		t.Fatalf("build the picker: %v\n%s", err, out)
	}
	return binary
}

// Ours has this limit on bodies here, so that one beyond it is quickly sent.
const ourLimit = 8 << 20

func TestOurPicker(t *testing.T) {
	binary := buildPicker(t)
	t.Run("over TLS, from the rig, it passes every check", func(t *testing.T) {
		for _, r := range runChecks(t.Context(), ourPicker(t, binary), checks()) {
			switch {
			case r.verdict == skip && r.check.needs&needFixtures != 0: // which it does not have
			case r.verdict != pass && !offered(r):
				t.Errorf("%s %s: %s\n%s", r.verdict, r.check.id, r.check.says, r.detail)
			}
		}
	})
	t.Run("started by a command, as in the docs", func(t *testing.T) {
		var out, log bytes.Buffer
		command := "semantic-epp=" + binary + " serve --config-file picker.yaml --endpoints-file {endpoints} --grpc-port {port}" +
			" --grpc-health-port {health} --metrics-port {metrics} --secure-serving=false --decision-timeout 10s"
		err := run(t.Context(), []string{"--patience", patient.String(), "--only", "destination,no-endpoint,saturated,unsaturated,health", "--start", command}, &out, &log)
		if err != nil || !strings.Contains(out.String(), " 0 fail") || !strings.Contains(out.String(), "pass    MUST    no-endpoint-bodyless") {
			t.Errorf("error %v, wrote\n%s%s", err, &out, &log)
		}
	})
}

// GIE's picker is known to break some checks; those that say so here are not
// about its time.
func TestGIEsPicker(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = run(t.Context(), []string{"--patience", patient.String(), "--only", "destination-h,no-endpoint,fixture", "--fixtures",
		"--start", "gie=" + self + " gie --fixtures --listen 127.0.0.1:{port} --endpoints-file {endpoints}"}, &out, t.Output())
	for _, line := range []string{"pass    MUST    destination-header ", "pass    SHOULD  fixture-selection", "pass    SHOULD  fixture-served",
		"pass    MUST    no-endpoint ", "fail    MUST    no-endpoint-bodyless"} {
		if !errors.Is(err, errBroken) || !strings.Contains(out.String(), line) {
			t.Errorf("error %v, and no %q in\n%s", err, line, &out)
		}
	}
}

// offered reports whether a check had nothing to see, since ours refuses plain
// STREAMED, as its documentation says.
func offered(r result) bool {
	return r.verdict == skip && slices.Contains([]string{"streamed-each-answered"}, r.check.id)
}

// ourPicker starts our picker, one without endpoints, and model servers.
func ourPicker(t *testing.T, binary string) *target {
	t.Helper()
	f, err := startFleet("conformance-model", "sheddable")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.close() })
	var targets [2]*target
	for i, name := range []string{"pool", "empty"} {
		file := filepath.Join(t.TempDir(), name+".yaml")
		if err := f.write(file, name == "empty"); err != nil {
			t.Fatal(err)
		}
		picker, err := rig.StartPicker(t.Context(), rig.PickerConfig{Binary: binary, ConfigFile: "picker.yaml", EndpointsFile: file,
			Args: []string{"--decision-timeout", "10s", "--max-request-bytes", fmt.Sprint(ourLimit)}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("the picker said:\n%s", picker.Process().Output().Tail(15))
			}
			_ = picker.Stop(context.Background())
		})
		o := &options{secure: true, model: "conformance-model", endpoints: f.addresses(), limit: ourLimit, patience: patient}
		target, done, err := o.dial(picker.Addr(), picker.HealthAddr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(done)
		targets[i] = target
	}
	targets[0].bystander, targets[0].saturate, targets[0].objective = targets[1], f.saturate, "sheddable"
	return targets[0]
}

func TestAgainstAnAddress(t *testing.T) {
	right := serveToy(t, &toy{endpoints: []string{"127.0.0.1:7001", "127.0.0.1:7002"}})
	wrong := serveToy(t, &toy{endpoints: []string{"127.0.0.1:7001", "127.0.0.1:7002"}, bug: "no metadata"})
	common := []string{"--model", "toy", "--endpoints", "127.0.0.1:7001, 127.0.0.1:7002", "--only", "destination"}
	tests := map[string]struct {
		args []string
		says string
		err  error
	}{
		"all MUSTs kept":        {[]string{"--address", right, "--health", right}, "9 pass, 0 fail (0 of them MUST), 0 skipped", nil},
		"a MUST broken":         {[]string{"--address", wrong}, "fail destination-metadata: dynamic_metadata has no", errBroken},
		"one check only":        {[]string{"--address", wrong, "--only", "health"}, "2 skipped", nil},
		"nothing listens there": {[]string{"--address", "127.0.0.1:1", "--only", "destination-header"}, "fail destination-header: ", errBroken},
		"as JSON":               {[]string{"--address", wrong, "--format", "json"}, `"detail": "dynamic_metadata has no`, errBroken},
		"as JUnit":              {[]string{"--address", wrong, "--format", "junit"}, `<failure message=`, errBroken},
		"as a table of columns": {[]string{"--address", wrong, "--format", "markdown"}, "| destination-metadata | MUST | GIE proposal 004 |", errBroken},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			err := run(t.Context(), append(slices.Clone(common), tc.args...), &out, t.Output())
			if !errors.Is(err, tc.err) || !strings.Contains(out.String(), tc.says) {
				t.Errorf("error %v, want %v, and %q in\n%s", err, tc.err, tc.says, &out)
			}
		})
	}
}

func TestFaultyFlags(t *testing.T) {
	tests := map[string]struct{ args, says string }{
		"neither address nor command": {"", "give either --address or --start"},
		"both":                        {"--address a:1 --start x=y", "give either --address or --start"},
		"an address without a port":   {"--address here", "--address: address here: missing port"},
		"a command without a name":    {"--start here", "want NAME=COMMAND"},
		"a limit too small to see":    {"--address a:1 --body-limit 9", "--body-limit 9: want 0, or 1 MiB"},
		"no patience":                 {"--address a:1 --patience 0s", "--patience 0s: want a positive time"},
		"an unknown form":             {"--address a:1 --format yaml", `--format "yaml": want table`},
		"a form for one picker":       {"--format json --start a=b --start c=d", "holds one picker"},
		"an unknown argument":         {"--address a:1 now", `unknown argument "now"`},
		"no such check":               {"--address a:1 --only nothing", "matches no check"},
		"a command that is not there": {"--start x=/nowhere/picker", "start the picker"},
		"a picker that ends at once":  {"--start x=false", "the picker ended at its start, exit status 1"},
		"no endpoints file for GIE":   {"gie", "read the endpoints file"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := run(t.Context(), strings.Fields(tc.args), t.Output(), t.Output())
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %q", err, tc.says)
			}
		})
	}
}

func TestReports(t *testing.T) {
	results := []result{
		{check: check{id: "a", level: must, source: api, says: "A."}, verdict: pass},
		{check: check{id: "b", level: must, source: proposal, says: "B."}, verdict: fail, detail: "<why>"},
		{check: check{id: "c", level: should, source: envoy, says: "C."}, verdict: fail},
		{check: check{id: "d", level: should, source: envoy, says: "D."}, verdict: skip, detail: "no"},
	}
	var text bytes.Buffer
	if err := writeJUnit(&text, results); err != nil {
		t.Fatal(err)
	}
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
	}
	if err := xml.Unmarshal(text.Bytes(), &suite); err != nil || suite.Tests != 4 || suite.Failures != 1 || suite.Skipped != 2 {
		t.Errorf("JUnit: %+v, error %v, of\n%s", suite, err, &text)
	}
	text.Reset()
	if err := writeJSON(&text, results); err != nil {
		t.Fatal(err)
	}
	var lines []map[string]any
	if err := json.Unmarshal(text.Bytes(), &lines); err != nil || len(lines) != 4 || lines[1]["detail"] != "<why>" {
		t.Errorf("JSON: %v, error %v", lines, err)
	}
}

// The table in the documentation names every check, in order, as it is here.
func TestTheDocumentationIsUpToDate(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "conformance.md"))
	if err != nil {
		t.Fatal(err)
	}
	rest := string(page)
	for _, c := range checks() {
		row := fmt.Sprintf("| %s | %s | %s | %s |", c.id, c.level, c.source, c.says)
		_, after, found := strings.Cut(rest, row)
		if !found {
			t.Errorf("docs/conformance.md lacks, or has elsewhere, the row\n%s", row)
			continue
		}
		rest = after
	}
}
