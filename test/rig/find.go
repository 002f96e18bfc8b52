package rig

import (
	"fmt"
	"os"
	"path/filepath"
)

// envoyVersion is the version that deps/envoy.txt pins; a test compares them.
const envoyVersion = "1.40.0"

// FindEnvoy returns the path of the Envoy binary: ENVOY_PATH where it is set,
// else the one that `make deps` puts into the cache folder.
func FindEnvoy() (string, error) {
	path := os.Getenv("ENVOY_PATH")
	if path == "" {
		cache := os.Getenv("XDG_CACHE_HOME")
		if cache == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("find Envoy: %w; set ENVOY_PATH", err)
			}
			cache = filepath.Join(home, ".cache")
		}
		path = filepath.Join(cache, "semantic-epp", "envoy-"+envoyVersion, "envoy")
	}
	if info, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("find Envoy: %w; run `make deps`, or set ENVOY_PATH to an Envoy binary", err)
	} else if info.IsDir() || info.Mode()&0o111 == 0 {
		return "", fmt.Errorf("find Envoy: %s is not an executable file; set ENVOY_PATH to an Envoy binary", path)
	}
	return path, nil
}
