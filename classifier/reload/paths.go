package reload

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// maxEntries bounds a look: a model has a dozen files, a wrong path may have
// millions.
const maxEntries = 10_000

// Paths returns a fingerprint of files and of folders with all that is in
// them: names, sizes, times of change, and where symbolic links lead, so that
// a Kubernetes volume's switch to a new version counts. It does not read the
// files.
func Paths(paths ...string) func() (string, error) {
	return func() (string, error) {
		h := sha256.New()
		entries := 0
		for _, path := range paths {
			real, err := filepath.EvalSymlinks(path) // WalkDir goes into no link
			if err != nil {
				return "", fmt.Errorf("take a fingerprint: %w", err)
			}
			err = filepath.WalkDir(real, func(path string, _ fs.DirEntry, err error) error {
				if err != nil {
					return err
				}
				if entries++; entries > maxEntries {
					return fmt.Errorf("%s: there are more than %d files; name the model's own folder", path, maxEntries)
				}
				line, err := describe(path)
				h.Write([]byte(line))
				return err
			})
			if err != nil {
				return "", fmt.Errorf("take a fingerprint: %w", err)
			}
		}
		return hex.EncodeToString(h.Sum(nil)), nil
	}
}

// describe is a line about one file, and about what it leads to where it is a
// link. A folder's own size and time say nothing that its files do not.
func describe(path string) (string, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return "", err
	}
	if info.IsDir() {
		return fmt.Sprintf("%q folder\n", path), nil
	}
	link := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		if link, err = filepath.EvalSymlinks(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil {
			if info, err = os.Stat(path); err != nil {
				return "", err
			}
		}
	}
	return fmt.Sprintf("%q %q %v %d %d\n", path, link, info.Mode(), info.Size(), info.ModTime().UnixNano()), nil
}
