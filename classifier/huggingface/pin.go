package huggingface

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// checkPins compares every pinned file with its digest.
func (d *Directory) checkPins(root *root) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(d.sha256)) {
		errs = append(errs, root.checkPin(name, d.sha256[name]))
	}
	return errors.Join(errs...)
}

func (r *root) checkPin(name, want string) error {
	if raw, err := hex.DecodeString(want); err != nil || len(raw) != sha256.Size {
		return fmt.Errorf("the SHA-256 pin of %s, %q, is not 64 hexadecimal digits", name, want)
	}
	f, _, err := r.open(name)
	if err != nil {
		return fmt.Errorf("check the SHA-256 pin: %w", err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return fmt.Errorf("check the SHA-256 pin of %s: %w", name, err)
	}
	return matches(name, want, h.Sum(nil))
}

// checkPin compares a file's content with its digest, where it is pinned.
func (d *Directory) checkPin(name string, data []byte) error {
	want, ok := d.sha256[name]
	if !ok {
		return nil
	}
	sum := sha256.Sum256(data)
	return matches(name, want, sum[:])
}

func matches(name, want string, sum []byte) error {
	if found := hex.EncodeToString(sum); !strings.EqualFold(found, want) {
		return fmt.Errorf("%s has the SHA-256 %s, but %s is pinned: it is another file, or changed", name, found, strings.ToLower(want))
	}
	return nil
}
