package watch

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// Defaults of Config.
const (
	// DefaultSettle is long enough for editors and mounts, which write in steps.
	DefaultSettle = 50 * time.Millisecond
	DefaultPoll   = 10 * time.Second
)

// Config says what to watch and what to do with it.
type Config struct {
	Path string
	// Load takes over the contents; an error keeps what was there. It is called
	// with contents that differ from those of the last call, whether that went
	// well or not, and never twice at once. It may keep data.
	Load func(data []byte) error
	// Loaded is told the outcome of each call of Load but the first: nil means
	// that the contents were taken over. It is also told, once each, that the
	// file cannot be read and that there will be no notifications. It may be nil.
	Loaded func(err error)
	// Settle is how long a file must be quiet before it is read; Poll is the
	// time between two looks without a notification.
	Settle, Poll time.Duration
}

// File loads a file and follows its changes until ctx ends. The first load must
// succeed. It returns once the first version is in place; wait returns when
// nothing is running any more.
func File(ctx context.Context, cfg Config) (wait func(), err error) {
	f := &file{Config: cfg}
	f.Settle = cmp.Or(f.Settle, DefaultSettle)
	f.Poll = cmp.Or(f.Poll, DefaultPoll)
	if f.Loaded == nil {
		f.Loaded = func(error) {}
	}
	// Watch first, so that no change falls between reading and watching.
	changes := newNotifier(filepath.Dir(f.Path))
	if _, err := f.look(); err != nil {
		changes.close()
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer changes.close()
		if changes.err != nil {
			f.Loaded(fmt.Errorf("watch %s: %w; looking every %v instead", f.Path, changes.err, f.Poll))
		}
		f.follow(ctx, changes)
	}()
	return func() { <-done }, nil
}

// file is a file that is being followed.
type file struct {
	Config
	last   []byte // what Load was called with
	unread string // why the file could not be read the last time
}

// look reads the file and loads it unless that was done with the same contents.
// It says whether there is an outcome to tell.
func (f *file) look() (news bool, err error) {
	data, err := os.ReadFile(f.Path)
	if err != nil {
		news = f.unread != err.Error()
		f.unread = err.Error()
		return news, err
	}
	f.unread = ""
	if f.last != nil && bytes.Equal(data, f.last) {
		return false, nil
	}
	f.last = append([]byte{}, data...) // never nil
	return true, f.Load(data)
}

// follow looks after each burst of changes in the watched folder, and now and
// then without one.
func (f *file) follow(ctx context.Context, n *notifier) {
	settle := time.NewTimer(f.Settle)
	defer settle.Stop()
	poll := time.NewTicker(f.Poll)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.events:
			settle.Reset(f.Settle)
			continue
		case <-n.errors: // events were lost: look for ourselves
			settle.Reset(f.Settle)
			continue
		case <-settle.C:
		case <-poll.C:
			n.renew()
		}
		if news, err := f.look(); news {
			f.Loaded(err)
		}
	}
}
