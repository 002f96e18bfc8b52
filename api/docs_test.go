package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the replies into docs/api.md")

// TestTheGuideIsTrue runs the curl commands of docs/api.md and compares what
// they print with the JSON that stands behind each.
func TestTheGuideIsTrue(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed")
	}
	const file, published = "../docs/api.md", "127.0.0.1:8080"
	guide, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newTestServer(&double{})
	address, stop := serving(t, s)
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	example := regexp.MustCompile("(?s)```sh\n(curl .*?)```\n```json\n(.*?)```\n")
	got := example.ReplaceAllFunc(guide, func(block []byte) []byte {
		parts := example.FindSubmatch(block)
		command, want := string(parts[1]), parts[2]
		printed, err := exec.CommandContext(t.Context(), "sh", "-c", strings.ReplaceAll(command, published, address)).Output()
		if err != nil {
			t.Errorf("%s: %v", command, err)
			return block
		}
		if *update {
			return []byte("```sh\n" + command + "```\n```json\n" + indented(t, printed) + "\n```\n")
		}
		if diff := cmp.Diff(decode(t, string(want)), decode(t, string(printed))); diff != "" {
			t.Errorf("%s(-guide +reply):\n%s", command, diff)
		}
		return block
	})
	for path := range s.routes {
		if !bytes.Contains(guide, []byte(published+path)) && path != "/openapi.json" {
			t.Errorf("the guide has no example of %s", path)
		}
	}
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// indented breaks a reply into lines; what is small stays on one.
func indented(t *testing.T, reply []byte) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, reply, "", "  "); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for range 2 { // the innermost objects and lists, then those around them
		text = flat.ReplaceAllStringFunc(text, func(block string) string {
			if line := breaks.ReplaceAllString(block, " "); len(line) < 110 {
				return line[:1] + strings.TrimSpace(line[1:len(line)-1]) + line[len(line)-1:]
			}
			return block
		})
	}
	return strings.TrimSpace(text)
}

var (
	breaks = regexp.MustCompile(`\n\s*`)
	// flat is an object or a list with no others in it but such on one line.
	flat = regexp.MustCompile(`[\[{]\n(?:[^\[\]{}]|\{[^\[\]{}\n]*\}|\[[^\[\]{}\n]*\])*[\]}]`)
)
