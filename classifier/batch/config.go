package batch

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Defaults of Config.
const (
	DefaultMaxItems  = 64
	DefaultMaxTokens = 16 << 10
	DefaultMaxWait   = time.Millisecond
	DefaultQueue     = 1024
)

// maxWait is more than any caller with a deadline of 100 ms should lose here.
const maxWait = 20 * time.Millisecond

// smallest is the size that the shortest items are padded to.
const smallest = 16

// Config says how large a batch gets and how long it may gather. A token is
// the unit of an item's size.
type Config struct {
	MaxItems  int           // of a batch; 0 means DefaultMaxItems
	MaxTokens int           // of a batch, padding included; 0 means DefaultMaxTokens. A longer item runs alone
	MaxWait   time.Duration // that the oldest item waits for others once the device is free; 0 means DefaultMaxWait, below 0 none
	Queue     int           // items that may wait for the device; 0 means DefaultQueue
	MaxSize   int           // tokens of the longest item; never padded beyond

	// OnBatch, where it is set, is told of every batch before it runs: how
	// many items, and the size that each is padded to.
	OnBatch func(items, size int)
}

// check puts in the defaults and returns every fault.
func (c *Config) check() error {
	if c.MaxItems == 0 {
		c.MaxItems = DefaultMaxItems
	}
	if c.MaxTokens == 0 {
		c.MaxTokens = DefaultMaxTokens
	}
	if c.MaxWait == 0 {
		c.MaxWait = DefaultMaxWait
	}
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	var errs []error
	for _, setting := range []struct {
		name  string
		value int
	}{{"items of a batch", c.MaxItems}, {"tokens of a batch", c.MaxTokens}, {"the queue", c.Queue}, {"the longest item", c.MaxSize}} {
		if setting.value < 1 {
			errs = append(errs, fmt.Errorf("%s: %d is below 1", setting.name, setting.value))
		}
	}
	if c.MaxWait > maxWait {
		errs = append(errs, fmt.Errorf("the wait for others is %v, above %v", c.MaxWait, maxWait))
	}
	return errors.Join(errs...)
}

// Shapes yields every size that items are padded to, from the smallest on, and
// how many items a batch of that size has at most: what to warm a device up
// with. MaxSize must be set; the other settings get their defaults.
func (c Config) Shapes() iter.Seq2[int, int] {
	return func(yield func(size, items int) bool) {
		if c.check() != nil {
			return
		}
		for size := smallest; ; size *= 2 {
			size = c.bucket(size)
			if !yield(size, c.room(size)) || size == c.MaxSize {
				return
			}
		}
	}
}

// room is how many items a batch has at most.
func (c *Config) room(size int) int {
	return max(1, min(c.MaxItems, c.MaxTokens/size))
}

// bucket is what an item of size tokens is padded to: the next power of two,
// so that the device sees few shapes, but not beyond the longest item.
func (c *Config) bucket(size int) int {
	b := smallest
	for b < size {
		b *= 2
	}
	return min(b, c.MaxSize)
}
