package watch_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semantic-epp/config/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// never is longer than any test.
const never = time.Hour

// patience is how long a change may take to be noticed on a busy machine.
const patience = 20 * time.Second

// followed is a file under watch; its loads and outcomes come out of channels.
type followed struct {
	loads    chan string
	outcomes chan error
	stop     func()
}

// follow refuses contents that begin with "bad".
func follow(t *testing.T, path string, poll time.Duration) followed {
	t.Helper()
	f := followed{loads: make(chan string, 100), outcomes: make(chan error, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	wait, err := watch.File(ctx, watch.Config{
		Path:   path,
		Settle: 10 * time.Millisecond,
		Poll:   poll,
		Load: func(data []byte) error {
			f.loads <- string(data)
			if strings.HasPrefix(string(data), "bad") {
				return errors.New("refused")
			}
			return nil
		},
		Loaded: func(err error) { f.outcomes <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	f.stop = func() { cancel(); wait() }
	t.Cleanup(f.stop)
	return f
}

func next[T any](t *testing.T, from chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatal("nothing happened")
		panic("unreachable")
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestFileNotices(t *testing.T) {
	tests := map[string]struct {
		poll    time.Duration
		prepare func(t *testing.T, dir string) (path string)
		change  func(t *testing.T, dir string)
	}{
		"a file written in place": {
			poll:    never,
			prepare: func(t *testing.T, dir string) string { write(t, dir+"/f", "one"); return dir + "/f" },
			change:  func(t *testing.T, dir string) { write(t, dir+"/f", "two") },
		},
		"an editor that renames": {
			poll:    never,
			prepare: func(t *testing.T, dir string) string { write(t, dir+"/f", "one"); return dir + "/f" },
			change:  func(t *testing.T, dir string) { write(t, dir+"/f.new", "two"); rename(t, dir+"/f.new", dir+"/f") },
		},
		"an editor that moves the old file away first": {
			poll:    never,
			prepare: func(t *testing.T, dir string) string { write(t, dir+"/f", "one"); return dir + "/f" },
			change:  func(t *testing.T, dir string) { rename(t, dir+"/f", dir+"/f~"); write(t, dir+"/f", "two") },
		},
		"a ConfigMap mount, where a link to a folder is swapped": {
			poll: never,
			prepare: func(t *testing.T, dir string) string {
				mount(t, dir, "..1", "one")
				link(t, "..data/f", dir+"/f")
				return dir + "/f"
			},
			change: func(t *testing.T, dir string) { mount(t, dir, "..2", "two"); os.RemoveAll(dir + "/..1") },
		},
		"a link into another folder, which gives no notification": {
			poll: 20 * time.Millisecond,
			prepare: func(t *testing.T, dir string) string {
				if err := os.MkdirAll(dir+"/elsewhere", 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, dir+"/elsewhere/f", "one")
				link(t, "elsewhere/f", dir+"/f")
				return dir + "/f"
			},
			change: func(t *testing.T, dir string) { write(t, dir+"/elsewhere/f", "two") },
		},
		"a folder that is replaced": {
			poll: 20 * time.Millisecond,
			prepare: func(t *testing.T, dir string) string {
				if err := os.MkdirAll(dir+"/d", 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, dir+"/d/f", "one")
				return dir + "/d/f"
			},
			change: func(t *testing.T, dir string) {
				if err := os.MkdirAll(dir+"/new", 0o700); err != nil {
					t.Fatal(err)
				}
				write(t, dir+"/new/f", "two")
				rename(t, dir+"/d", dir+"/old")
				rename(t, dir+"/new", dir+"/d")
			},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f := follow(t, tc.prepare(t, dir), tc.poll)
			if got := next(t, f.loads); got != "one" {
				t.Fatalf("first read %q", got)
			}
			tc.change(t, dir)
			// A look in the middle of a change may find nothing, or half of it.
			for got := ""; got != "two"; {
				got = next(t, f.loads)
			}
		})
	}
}

// mount makes a version of a ConfigMap mount current as the kubelet does.
func mount(t *testing.T, dir, version, text string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, version, "f"), text)
	link(t, version, dir+"/..data_tmp")
	rename(t, dir+"/..data_tmp", dir+"/..data")
}

func TestFileTellsOutcomes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "one")
	f := follow(t, path, 5*time.Millisecond)
	if got := next(t, f.loads); got != "one" {
		t.Fatal(got)
	}
	set := func(text string) { write(t, path+".new", text); rename(t, path+".new", path) }
	set("bad one")
	if err := next(t, f.outcomes); err == nil || err.Error() != "refused" {
		t.Errorf("a bad version: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := next(t, f.outcomes); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is gone: %v", err)
	}
	time.Sleep(50 * time.Millisecond) // ten more looks, which find nothing new to tell
	set("two")
	if err := next(t, f.outcomes); err != nil {
		t.Errorf("a good version: %v", err)
	}
	f.stop()
	close(f.loads)
	close(f.outcomes)
	var rest []string
	for text := range f.loads {
		rest = append(rest, text)
	}
	if got := strings.Join(rest, ", "); got != "bad one, two" {
		t.Errorf("loaded %s", got)
	}
	for err := range f.outcomes {
		t.Errorf("told once more: %v", err)
	}
}

func TestFileNeedsAFirstVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	load := func(data []byte) error { return fmt.Errorf("refused %s", data) }
	if _, err := watch.File(t.Context(), watch.Config{Path: path, Load: load}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	write(t, path, "one")
	if _, err := watch.File(t.Context(), watch.Config{Path: path, Load: load}); err == nil || err.Error() != "refused one" {
		t.Errorf("a bad one: %v", err)
	}
}
