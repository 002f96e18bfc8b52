//go:build cgo

package onnx

import (
	"errors"
	"fmt"
	"strconv"

	ort "github.com/yalue/onnxruntime_go"
)

// A session runs a graph: an ort.DynamicAdvancedSession, or a test's.
type session interface {
	Run(inputs, outputs []ort.Value) error
	Destroy() error
}

func openSession(src source, sig *signature, on device) (session, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("make session options: %w", err)
	}
	defer options.Destroy()
	// One thread: callers are the parallelism. A thread that spins while it
	// waits takes the core from the next caller.
	if err := errors.Join(
		options.SetIntraOpNumThreads(1),
		options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	); err != nil {
		return nil, fmt.Errorf("set session options: %w", err)
	}
	if on.cuda {
		if err := addCUDA(options, on.id); err != nil {
			return nil, err
		}
	}
	inputs, outputs := sig.names()
	var s *ort.DynamicAdvancedSession
	if src.path == "" {
		s, err = ort.NewDynamicAdvancedSessionWithONNXData(src.data, inputs, outputs, options)
	} else {
		s, err = ort.NewDynamicAdvancedSession(src.path, inputs, outputs, options)
	}
	if err != nil {
		return nil, fmt.Errorf("open a session of %s: %w", src, err)
	}
	return s, nil
}

// probeCUDA says whether the library has been built with CUDA.
func probeCUDA() error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return fmt.Errorf("make CUDA options: %w", err)
	}
	return cuda.Destroy()
}

// addCUDA lets a session run on a GPU. Every step's error counts: after a
// failed one ONNX Runtime would open a session on the CPU without a word.
func addCUDA(options *ort.SessionOptions, id int) error {
	cuda, err := ort.NewCUDAProviderOptions()
	if err != nil {
		return fmt.Errorf("make CUDA options: %w", err)
	}
	defer cuda.Destroy()
	if err := cuda.Update(map[string]string{
		"device_id": strconv.Itoa(id),
		// Its 10 bits of fraction would let the answer depend on the batch.
		"use_tf32": "0",
		// Memory grows by what a run needs, not to the next power of two: model
		// servers may be on the same GPU.
		"arena_extend_strategy": "kSameAsRequested",
	}); err != nil {
		return fmt.Errorf("set CUDA options: %w", err)
	}
	if err := options.AppendExecutionProviderCUDA(cuda); err != nil {
		return fmt.Errorf("add the CUDA provider: %w", err)
	}
	return nil
}
