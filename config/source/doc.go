// Package source says where in a YAML file a fault is, and what was probably
// meant.
//
// A [Document] is the tree of a file with the line and column of every key. It
// finds by itself what the Go types of a configuration tell: unknown and
// repeated keys, and values of the wrong kind. Faults that others find, with
// the path of a key in their text, get their place from it. All faults come
// out together, in the order of the file:
//
//	config.yaml:17:9: rules[2].when.domian: unknown key; did you mean domain?
//
// The package knows YAML and reflection, and nothing about any configuration.
package source
