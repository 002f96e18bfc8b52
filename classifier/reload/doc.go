// Package reload replaces a model while it serves.
//
// It looks at the model's files from time to time. When they have changed and
// then stood still for one period, it opens the new model beside the old one,
// lets new texts go to the new one, and closes the old one when its last run
// has ended. A model that cannot be opened, or whose labels differ, changes
// nothing but is told about.
package reload
