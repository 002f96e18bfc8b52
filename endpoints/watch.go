package endpoints

import (
	"context"
	"fmt"

	"github.com/go-logr/logr"

	"semantic-epp/config"
	"semantic-epp/config/source"
	"semantic-epp/config/watch"
)

// Watch reads an endpoints file into the store and keeps it up to date until
// ctx ends. The first read must succeed; after that a bad version is logged and
// the last good one stays. It returns once the first version is in place.
func Watch(ctx context.Context, path string, store *Store, logger logr.Logger) (wait func(), err error) {
	wait, err = watch.File(ctx, watch.Config{
		Path: path,
		Load: func(data []byte) error { return load(ctx, path, data, store, logger) },
		Loaded: func(err error) {
			if err != nil {
				logger.Error(err, "endpoints file is not usable; keeping the last good version")
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("read endpoints: %w", err)
	}
	return wait, nil
}

func load(ctx context.Context, path string, data []byte, store *Store, logger logr.Logger) error {
	file, err := source.Read(path, data, config.DecodeEndpoints)
	if err != nil {
		return err
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
