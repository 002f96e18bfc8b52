package watch

import "github.com/fsnotify/fsnotify"

// notifier tells of changes in a folder, where the kernel does.
//
// The folder, not the file: replacing a file, or the link that a ConfigMap
// mount swaps, ends a watch on the file itself.
type notifier struct {
	dir     string
	watcher *fsnotify.Watcher
	events  chan fsnotify.Event // nil where there are none
	errors  chan error
	err     error // why there are none
}

func newNotifier(dir string) *notifier {
	n := &notifier{dir: dir}
	if n.watcher, n.err = fsnotify.NewWatcher(); n.err != nil {
		return n
	}
	n.events, n.errors = n.watcher.Events, n.watcher.Errors
	n.err = n.watcher.Add(dir)
	return n
}

// renew watches again: the folder may have been replaced by another one.
func (n *notifier) renew() {
	if n.watcher != nil {
		_ = n.watcher.Add(n.dir) // it was told at the start; the look helps
	}
}

func (n *notifier) close() {
	if n.watcher != nil {
		_ = n.watcher.Close()
	}
}
