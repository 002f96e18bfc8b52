// Package plugins makes GIE's plugin registry complete: our plugins, and for
// our own picker those of GIE.
//
// Registration is a list someone can read, called from main.
package plugins
