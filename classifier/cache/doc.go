// Package cache remembers what a classifier said about a text, for prompts
// that come again word for word.
//
// It keeps a digest of the text and never the text. It is bounded in entries
// and in bytes, and forgets the answer that was asked for the longest time
// ago. Tenants do not see each other's entries; see [WithTenant]. Of the same
// text asked for many times at once, one run is made.
package cache
