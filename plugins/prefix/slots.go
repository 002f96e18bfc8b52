package prefix

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"
)

// slots numbers servers from 0 to maxServers-1. Looking up takes no lock.
type slots struct {
	numbers atomic.Pointer[map[types.NamespacedName]int]
	mu      sync.Mutex
	live    func() []types.NamespacedName
	release func(slot int)
}

// newSlots asks live for the servers there are when the slots run out, and calls
// release for each slot that it takes back.
func newSlots(live func() []types.NamespacedName, release func(slot int)) *slots {
	s := &slots{live: live, release: release}
	s.numbers.Store(&map[types.NamespacedName]int{})
	return s
}

// of returns the slot of a server, -1 when there are more servers than slots.
func (s *slots) of(server types.NamespacedName) int {
	if n, ok := (*s.numbers.Load())[server]; ok {
		return n
	}
	return s.assign(server)
}

func (s *slots) assign(server types.NamespacedName) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	numbers := maps.Clone(*s.numbers.Load())
	if n, ok := numbers[server]; ok {
		return n
	}
	if len(numbers) == maxServers {
		s.reclaim(numbers)
	}
	n := free(numbers)
	if n >= 0 {
		numbers[server] = n
		s.numbers.Store(&numbers)
	}
	return n
}

// free is the lowest slot that nobody has, -1 when all are taken.
func free(numbers map[types.NamespacedName]int) int {
	var taken [maxServers]bool
	for _, n := range numbers {
		taken[n] = true
	}
	return slices.Index(taken[:], false)
}

// reclaim frees the slots of servers that are gone.
func (s *slots) reclaim(numbers map[types.NamespacedName]int) {
	alive := map[types.NamespacedName]bool{}
	for _, name := range s.live() {
		alive[name] = true
	}
	for name, n := range numbers {
		if !alive[name] {
			delete(numbers, name)
			s.release(n)
		}
	}
}
