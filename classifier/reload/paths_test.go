package reload_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"semantic-epp/classifier/reload"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	os.Remove(path)
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func TestPathsSeesChanges(t *testing.T) {
	tests := map[string]struct {
		change func(t *testing.T, dir string)
		same   bool
	}{
		"nothing": {change: func(*testing.T, string) {}, same: true},
		"a file was read": {change: func(t *testing.T, dir string) {
			if _, err := os.ReadFile(dir + "/config.json"); err != nil {
				t.Fatal(err)
			}
		}, same: true},
		"a file grew":   {change: func(t *testing.T, dir string) { write(t, dir+"/config.json", "{ }") }},
		"a new file":    {change: func(t *testing.T, dir string) { write(t, dir+"/onnx/model_fp16.onnx", "") }},
		"a file went":   {change: func(t *testing.T, dir string) { os.Remove(dir + "/config.json") }},
		"a new name":    {change: func(t *testing.T, dir string) { os.Rename(dir+"/onnx/model.onnx", dir+"/onnx/other.onnx") }},
		"a file's time": {change: func(t *testing.T, dir string) { os.Chtimes(dir+"/config.json", time.Time{}, time.Unix(1, 1)) }},
		"a volume switched to the next version, all else equal": {change: func(t *testing.T, dir string) {
			link(t, "..v2", dir+"/..data")
		}},
		"a file behind a link outside changed": {change: func(t *testing.T, dir string) {
			write(t, dir+"/../outside/labels.json", "changed")
		}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "model")
			write(t, dir+"/config.json", "{}")
			write(t, dir+"/onnx/model.onnx", "graph")
			write(t, dir+"/../outside/labels.json", "{}")
			for _, version := range []string{"..v1", "..v2"} {
				path := filepath.Join(dir, version, "tokenizer.json")
				write(t, path, "{}")
				if err := os.Chtimes(path, time.Time{}, time.Unix(1, 0)); err != nil {
					t.Fatal(err)
				}
			}
			link(t, "..v1", dir+"/..data")
			link(t, "..data/tokenizer.json", dir+"/tokenizer.json")
			link(t, "../outside/labels.json", dir+"/labels.json")
			link(t, "gone.json", dir+"/dangling.json")
			link(t, "model", dir+"/../current")

			take := reload.Paths(filepath.Join(filepath.Dir(dir), "current"))
			before, err := take()
			if err != nil {
				t.Fatal(err)
			}
			tc.change(t, dir)
			after, err := take()
			if err != nil {
				t.Fatal(err)
			}
			if (before == after) != tc.same {
				t.Errorf("the same fingerprint: %v, want %v", before == after, tc.same)
			}
		})
	}
}

func TestPathsSeesThatALinkToTheModelMoved(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/v1/model.onnx", "graph")
	write(t, dir+"/v2/model.onnx", "graph")
	for _, version := range []string{"v1", "v2"} {
		os.Chtimes(filepath.Join(dir, version, "model.onnx"), time.Time{}, time.Unix(1, 0))
	}
	link(t, "v1", dir+"/current")
	take := reload.Paths(dir + "/current")
	before, err := take()
	if err != nil {
		t.Fatal(err)
	}
	link(t, "v2", dir+"/current")
	if after, err := take(); err != nil || after == before {
		t.Errorf("the fingerprint is the same, or %v", err)
	}
}

func TestPathsNeedsWhatItIsGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gone")
	if _, err := reload.Paths(path)(); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v, want an error that names %s", err, path)
	}
}
