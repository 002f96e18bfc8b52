package endpoints

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"

	"semantic-epp/config"
)

// settle is how long a file must be quiet before it is read: editors and
// ConfigMap mounts write in several steps.
const settle = 50 * time.Millisecond

// Watch reads an endpoints file into the store and keeps it up to date until
// ctx ends. The first read must succeed; after that a bad version is logged and
// the last good one stays. It returns once the first version is in place.
func Watch(ctx context.Context, path string, store *Store, logger logr.Logger) (wait func(), err error) {
	if err := load(ctx, path, store, logger); err != nil {
		return nil, err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	// The folder, not the file: replacing a file, or the link that a ConfigMap
	// mount swaps, ends a watch on the file itself.
	if err := watcher.Add(filepath.Dir(path)); err != nil {
		watcher.Close()
		return nil, fmt.Errorf("watch %s: %w", path, err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer watcher.Close()
		follow(ctx, watcher, func() {
			if err := load(ctx, path, store, logger); err != nil {
				logger.Error(err, "endpoints file is not usable; keeping the last good version")
			}
		})
	}()
	return func() { <-done }, nil
}

// follow calls reload after each burst of changes in the watched folder.
func follow(ctx context.Context, watcher *fsnotify.Watcher, reload func()) {
	quiet := time.NewTimer(0)
	<-quiet.C
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-watcher.Events:
			if !ok {
				return
			}
			quiet.Reset(settle)
		case <-watcher.Errors: // events were lost: look for ourselves
			quiet.Reset(settle)
		case <-quiet.C:
			reload()
		}
	}
}

func load(ctx context.Context, path string, store *Store, logger logr.Logger) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read endpoints file: %w", err)
	}
	file, err := config.DecodeEndpoints(data)
	if err != nil {
		return fmt.Errorf("endpoints file %s: %w", path, err)
	}
	change, err := store.Apply(ctx, file)
	if err != nil {
		return fmt.Errorf("endpoints file %s: %w", path, err)
	}
	if change != (Change{}) {
		logger.Info("endpoints changed", "added", change.Added, "updated", change.Updated, "removed", change.Removed)
	}
	return nil
}
