//go:build cgo

package onnx

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// environment is ONNX Runtime in this process. It is loaded once, from one
// library, and stays until the process ends.
var environment struct {
	sync.Mutex
	library string // "" until it is loaded
}

func loadEnvironment(library string) error {
	environment.Lock()
	defer environment.Unlock()
	switch environment.library {
	case library:
		return nil
	case "":
		ort.SetSharedLibraryPath(library)
		// Whatever it would log as an error comes back as one.
		if err := ort.InitializeEnvironment(ort.WithLogLevelFatal()); err != nil {
			return fmt.Errorf("%w: load %s, which must be of version %s or newer: %w", ErrUnavailable, library, version, err)
		}
		environment.library = library
		return nil
	default:
		return fmt.Errorf("load ONNX Runtime from %s: this process has it from %s already", library, environment.library)
	}
}
