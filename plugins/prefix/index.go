package prefix

import (
	"math/bits"
	"sync/atomic"
)

const (
	ways       = 4
	words      = 4
	maxServers = words * 64
)

// An index remembers which servers were sent which blocks. It is a
// set-associative table: a block's hash names a set, and the oldest entry of a
// full set makes room. All access is atomic and takes no lock; a reader that
// meets a writer may see an entry with the servers of the block that it
// replaces, which can only make one guess of a heuristic wrong.
type index struct {
	sets  [][ways]entry
	mask  uint64
	clock atomic.Uint32 // one tick for each recorded prompt
	size  atomic.Int64  // entries in use
}

type entry struct {
	hash    atomic.Uint64 // 0: free
	servers [words]atomic.Uint64
	used    atomic.Uint32 // clock of the last use
}

// newIndex makes room for at least capacity blocks.
func newIndex(capacity int) *index {
	n := 1 << bits.Len(uint(max(capacity/ways, 1)-1))
	return &index{sets: make([][ways]entry, n), mask: uint64(n - 1)}
}

func (x *index) find(hash uint64) *entry {
	set := &x.sets[hash&x.mask]
	for i := range set {
		if set[i].hash.Load() == hash {
			return &set[i]
		}
	}
	return nil
}

// match sets lengths[slot] to the number of leading blocks that the server
// holds, for each server of among; other lengths stay as they are.
func (x *index) match(hashes []uint64, among serverSet, lengths *[maxServers]uint16) {
	for n, hash := range hashes {
		e := x.find(hash)
		left := uint64(0)
		for w := range among {
			held := uint64(0)
			if e != nil {
				held = e.servers[w].Load()
			}
			for gone := among[w] &^ held; gone != 0; gone &= gone - 1 {
				lengths[w*64+bits.TrailingZeros64(gone)] = uint16(n)
			}
			among[w] &= held
			left |= among[w]
		}
		if left == 0 {
			return
		}
	}
	for w := range among {
		for rest := among[w]; rest != 0; rest &= rest - 1 {
			lengths[w*64+bits.TrailingZeros64(rest)] = uint16(len(hashes))
		}
	}
}

// record notes that the server of a slot holds the blocks.
func (x *index) record(hashes []uint64, slot int) {
	now := x.clock.Add(1)
	for _, hash := range hashes {
		e := x.find(hash)
		if e == nil {
			e = x.claim(hash, now)
		}
		e.used.Store(now)
		e.servers[slot/64].Or(1 << (slot % 64))
	}
}

// claim takes a free entry of the hash's set, or the one not used for longest.
func (x *index) claim(hash uint64, now uint32) *entry {
	set := &x.sets[hash&x.mask]
	oldest := &set[0]
	for i := range set {
		if set[i].hash.Load() == 0 {
			oldest = &set[i]
			x.size.Add(1)
			break
		}
		if now-set[i].used.Load() > now-oldest.used.Load() {
			oldest = &set[i]
		}
	}
	for w := range oldest.servers {
		oldest.servers[w].Store(0)
	}
	oldest.hash.Store(hash)
	return oldest
}

// forget drops a server from all entries.
func (x *index) forget(slot int) {
	for s := range x.sets {
		for i := range x.sets[s] {
			x.sets[s][i].servers[slot/64].And(^(uint64(1) << (slot % 64)))
		}
	}
}

// A serverSet is a set of slots.
type serverSet [words]uint64

func (s *serverSet) add(slot int) { s[slot/64] |= 1 << (slot % 64) }
