package huggingface

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// A root opens regular files inside a directory, through links that stay
// inside it: those of a Kubernetes volume do.
type root struct{ *os.Root }

func openRoot(path string) (*root, error) {
	r, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &root{r}, nil
}

// open opens a file. It does not wait for the other end of a pipe.
func (r *root) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := r.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, r.explain(name, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no regular file", name)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// explain says what to do about a link that leads out of the directory.
func (r *root) explain(name string, err error) error {
	path := filepath.Join(r.Name(), filepath.FromSlash(name))
	real, evalErr := filepath.EvalSymlinks(path)
	dir, dirErr := filepath.EvalSymlinks(r.Name())
	if !filepath.IsLocal(filepath.FromSlash(name)) || evalErr != nil || dirErr != nil {
		return fmt.Errorf("open %s: %w", name, cause(err))
	}
	inside, relErr := filepath.Rel(dir, real)
	switch {
	case relErr == nil && filepath.IsLocal(inside) && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("open %s: %w", name, cause(err))
	case relErr == nil && filepath.IsLocal(inside):
		return fmt.Errorf("open %s: %w: let its symbolic links be relative", name, cause(err))
	case strings.Contains(filepath.ToSlash(real), "/blobs/"):
		return fmt.Errorf("%s is a link into a Hugging Face cache, outside the directory: download with `hf download MODEL --local-dir DIR`, or copy the directory with `cp -rL`", name)
	default:
		return fmt.Errorf("%s is a link that leaves the directory: copy the directory with `cp -rL`", name)
	}
}

// cause is what went wrong without the name, which the message has already.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// read returns a file of at most limit bytes.
func (r *root) read(name string, limit int64) ([]byte, error) {
	f, info, err := r.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than %d", name, info.Size(), limit)
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(f, limit+1)); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(b.Len()) > limit {
		return nil, fmt.Errorf("%s grew beyond %d bytes while it was read", name, limit)
	}
	return b.Bytes(), isPointer(name, b.Bytes())
}

// isPointer finds what a clone without Git LFS has in place of a large file.
func isPointer(name string, head []byte) error {
	if bytes.HasPrefix(head, []byte("version https://git-lfs.github.com/spec/")) {
		return fmt.Errorf("%s is a Git LFS pointer and not the file itself: run `git lfs pull`", name)
	}
	return nil
}
