package onnx_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semantic-epp/classifier/onnx"
)

func TestFindLibrary(t *testing.T) {
	home := t.TempDir()
	touch := func(path string) string {
		path = filepath.Join(home, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const inCache = "semantic-epp/onnxruntime-1.24.4/libonnxruntime.so"
	asked, fromEnv := touch("asked.so"), touch("env.so")
	xdg, dot := touch("xdg/"+inCache), touch(".cache/"+inCache)
	tests := map[string]struct {
		explicit, env, xdg string
		want               string
		errs               []string
	}{
		"what was asked for comes first":       {explicit: asked, env: fromEnv, want: asked},
		"then the environment":                 {env: fromEnv, xdg: filepath.Join(home, "xdg"), want: fromEnv},
		"then the cache folder":                {xdg: filepath.Join(home, "xdg"), want: xdg},
		"which is ~/.cache by default":         {want: dot},
		"what was asked for must be there":     {explicit: "/no/such.so", env: fromEnv, errs: []string{"/no/such.so", "make deps"}},
		"what the environment names must, too": {env: "/no/such.so", errs: []string{onnx.LibraryEnv, "/no/such.so"}},
		"a folder is no library":               {explicit: home, errs: []string{home, "not a file"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", home)
			t.Setenv("XDG_CACHE_HOME", tc.xdg)
			t.Setenv(onnx.LibraryEnv, tc.env)
			got, err := onnx.FindLibrary(tc.explicit)
			if got != tc.want || (err != nil) != (tc.errs != nil) {
				t.Errorf("got %q, %v; want %q", got, err, tc.want)
			}
			for _, want := range tc.errs {
				if !errors.Is(err, onnx.ErrUnavailable) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want ErrUnavailable with %q", err, want)
				}
			}
		})
	}
}

func TestFindLibraryNamesEveryPlace(t *testing.T) {
	for _, path := range []string{"/usr/local/lib/libonnxruntime.so", "/usr/lib/libonnxruntime.so"} {
		if _, err := os.Stat(path); err == nil {
			t.Skip("this machine has " + path)
		}
	}
	t.Setenv("XDG_CACHE_HOME", "/nowhere")
	t.Setenv(onnx.LibraryEnv, "")
	path, err := onnx.FindLibrary("")
	for _, want := range []string{"/nowhere/semantic-epp/onnxruntime-1.24.4", "/usr/local/lib", "/usr/lib/", "make deps", onnx.LibraryEnv} {
		if !errors.Is(err, onnx.ErrUnavailable) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, %v; want ErrUnavailable with %q", path, err, want)
		}
	}
}
