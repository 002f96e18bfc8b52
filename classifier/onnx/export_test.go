//go:build cgo

package onnx

import (
	"sync/atomic"

	ort "github.com/yalue/onnxruntime_go"
)

// NewBatched is New, with the CPU in place of a GPU: the same batches, padding
// and fall-back.
func NewBatched(cfg Config) (*Model, error) {
	cfg.Device, cfg.batchOnCPU = "cpu", true
	return New(cfg)
}

// Break lets runs of the model's batches fail with err after so many good
// ones, and counts the failed.
func (m *Model) Break(after int64, err error) (failed *atomic.Int64) {
	b := &breaking{session: m.gpu.session, err: err}
	b.good.Store(after)
	m.gpu.session = b
	return &b.failed
}

// OnGPU reports whether runs still go to the GPU's place.
func (m *Model) OnGPU() bool { return m.current.Load() == m.gpu }

type breaking struct {
	session
	good, failed atomic.Int64
	err          error
}

func (b *breaking) Run(inputs, outputs []ort.Value) error {
	if b.good.Add(-1) >= 0 {
		return b.session.Run(inputs, outputs)
	}
	b.failed.Add(1)
	return b.err
}
