// Package linear classifies text with a softmax over hashed n-grams: in pure
// Go, in microseconds, and with less accuracy than a neural network.
//
// The features of a text are its words, its pairs of neighbouring words and
// the 3 to 5 byte long parts of its words, each hashed into one of a fixed
// number of buckets. A bucket counts once, however often it is hit. The logit
// of a label is its bias and the sum of its weights in those buckets, divided
// by the square root of their number.
//
// The command in ../train makes the file that [Load] reads.
package linear
