package cache

import (
	"slices"
	"sync"
	"unsafe"

	"semantic-epp/classifier"
)

// A generation holds the answers of one model. A shard is a part of it with a
// lock of its own: callers seldom meet.
type generation struct {
	revision string
	shards   []shard // a power of two
}

const (
	maxShards      = 64
	minShardSize   = 32        // entries: with fewer, what is forgotten is too much a matter of chance
	minShardMemory = 8 << 10   // bytes
	entryOverhead  = 2*32 + 64 // bytes: key and pointer in a table that is half full
)

func newGeneration(revision string, entries, bytes int) *generation {
	n := 1
	for n < maxShards && entries/(2*n) >= minShardSize && bytes/(2*n) >= minShardMemory {
		n *= 2
	}
	g := &generation{revision: revision, shards: make([]shard, n)}
	for i := range g.shards {
		s := &g.shards[i]
		s.maxEntries, s.maxBytes = entries/n, bytes/n
		s.entries, s.flights = make(map[key]*entry), make(map[key]*flight)
		s.newest.older, s.newest.newer = &s.newest, &s.newest
	}
	return g
}

func (g *generation) shard(k key) *shard {
	return &g.shards[int(k.text[0]^k.tenant[0])&(len(g.shards)-1)]
}

// A shard is a map and a ring of its entries, in order of use.
type shard struct {
	mu         sync.Mutex
	entries    map[key]*entry
	flights    map[key]*flight
	newest     entry // no entry, but where the ring begins: newest.older is the newest
	bytes      int
	maxEntries int
	maxBytes   int
}

// An entry is one remembered answer.
type entry struct {
	key          key
	older, newer *entry
	result       classifier.Result
	noMatch      bool
}

func (e *entry) answer() (classifier.Result, error) {
	if e.noMatch {
		return classifier.Result{}, classifier.ErrNoMatch
	}
	return clone(e.result), nil
}

// clone gives a caller probabilities of its own.
func clone(r classifier.Result) classifier.Result {
	r.Probabilities = slices.Clone(r.Probabilities)
	return r
}

func (e *entry) size() int {
	return entryOverhead + int(unsafe.Sizeof(*e)) + len(e.result.Probabilities)*int(unsafe.Sizeof(classifier.Probability{}))
}

// get finds an entry and makes it the newest.
func (s *shard) get(k key) *entry {
	e := s.entries[k]
	if e != nil {
		s.unlink(e)
		s.link(e)
	}
	return e
}

// put adds an entry and forgets the oldest ones beyond the bounds, itself
// where it is too large.
func (s *shard) put(k key, r classifier.Result, noMatch bool) {
	e := &entry{key: k, result: clone(r), noMatch: noMatch}
	s.entries[k] = e
	s.link(e)
	s.bytes += e.size()
	for len(s.entries) > s.maxEntries || s.bytes > s.maxBytes {
		oldest := s.newest.newer
		s.unlink(oldest)
		delete(s.entries, oldest.key)
		s.bytes -= oldest.size()
	}
}

func (s *shard) link(e *entry) {
	e.newer, e.older = &s.newest, s.newest.older
	e.newer.older, e.older.newer = e, e
}

func (s *shard) unlink(e *entry) {
	e.newer.older, e.older.newer = e.older, e.newer
}
