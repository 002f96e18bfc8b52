// Package watch calls a function with the contents of a file, at once and
// whenever they change.
//
// It is made for files that something else writes: an editor that renames, a
// tool that writes in several steps, a Kubernetes ConfigMap or Secret mount,
// where a link is swapped. Changes are noticed by the kernel's notification and,
// as a net below it, by a look every few seconds: network file systems, links
// to other folders and exhausted inotify limits give no notification.
//
// A ConfigMap key that is mounted with subPath never changes in the container;
// mount the folder.
package watch
