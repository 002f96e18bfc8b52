package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ErrUnavailable means that this machine or this program cannot run ONNX
// models at all.
var ErrUnavailable = errors.New("ONNX Runtime is not available")

// LibraryEnv is the environment variable that names the shared library.
const LibraryEnv = "ONNXRUNTIME_SHARED_LIBRARY_PATH"

const (
	version     = "1.24.4" // what `make deps` fetches
	libraryName = "libonnxruntime.so"
	remedy      = "run `make deps`, or set " + LibraryEnv
)

// FindLibrary returns the path of ONNX Runtime's shared library: explicit
// where it is not empty, else what LibraryEnv names, else the first that is
// there of the cache folder that `make deps` fills and the system's folders.
// Its error wraps ErrUnavailable and names every place and the remedy.
func FindLibrary(explicit string) (path string, err error) {
	if explicit != "" {
		return named("the library that was asked for", explicit)
	}
	if path := os.Getenv(LibraryEnv); path != "" {
		return named(LibraryEnv, path)
	}
	places := libraryPlaces()
	for _, place := range places {
		if isFile(place) == nil {
			return place, nil
		}
	}
	return "", fmt.Errorf("%w: %s is in none of %s: %s", ErrUnavailable, libraryName, strings.Join(places, ", "), remedy)
}

// named checks a path that somebody chose: another one must not stand in for
// it.
func named(by, path string) (string, error) {
	if err := isFile(path); err != nil {
		return "", fmt.Errorf("%w: %s: %w: correct the path, or %s", ErrUnavailable, by, err, remedy)
	}
	return path, nil
}

func isFile(path string) error {
	switch info, err := os.Stat(path); {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a file", path)
	}
	return nil
}

func libraryPlaces() (places []string) {
	if cache, err := os.UserCacheDir(); err == nil { // $XDG_CACHE_HOME or ~/.cache
		places = append(places, filepath.Join(cache, "semantic-epp", "onnxruntime-"+version, libraryName))
	}
	return append(places,
		filepath.Join("/usr/local/lib", libraryName),
		filepath.Join("/usr/lib", libraryName),
		filepath.Join("/usr/lib/x86_64-linux-gnu", libraryName),
		filepath.Join("/usr/lib/aarch64-linux-gnu", libraryName),
	)
}
