// Package chain puts together the classifier that a configuration asks for:
// a built-in model or one from a directory that is watched, the operator's own
// categories over it, a bound on how much runs and waits, the linear model in
// front where it may answer, and a cache before all.
package chain
