package extproc

import "sync/atomic"

// A budget bounds the request bytes that all streams hold together.
type budget struct {
	limit int64
	used  atomic.Int64
}

// reserve takes n bytes, or nothing and returns false when they are not there.
func (b *budget) reserve(n int64) bool {
	if b.used.Add(n) <= b.limit {
		return true
	}
	b.used.Add(-n)
	return false
}

func (b *budget) release(n int64) { b.used.Add(-n) }
