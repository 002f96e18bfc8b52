// Package cascade asks classifiers one after the other, the cheap ones first,
// and takes the first answer that is sure enough.
//
// Keywords before a linear model before a transformer is the usual order: most
// prompts then never reach the slow one.
package cascade
