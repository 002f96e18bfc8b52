package scheduling

import (
	"time"

	"semantic-epp/classifier"
)

// Signals are what rules look at. The functions are called at most once, and
// only when a rule needs them; Domain and Embed maybe at the same time. A
// function that is nil knows nothing.
type Signals struct {
	// Text is the prompt as far as rules read it: 16 KiB say.
	Text string
	// Domain classifies the prompt.
	Domain func() Domain
	// Embed returns the meaning of the prompt as a vector, nil where there is
	// none.
	Embed func() ([]float32, error)
	// Shape is what the request is made of.
	Shape Shape
	// Header is the first value of a request header field, in lower case, and
	// whether there is one; Metadata the same of the request's metadata.
	Header, Metadata func(name string) (string, bool)
	// Now is the time of the request.
	Now time.Time
	// Sticky is what a weighted choice depends on; "" draws each time anew.
	Sticky string
}

// Shape is what a request is made of.
type Shape struct {
	// Messages of all roles, and those of the user alone.
	Messages, Turns int
	// Tools are tool definitions, ToolResults messages with results of tools.
	Tools, ToolResults int
	// Images are parts of messages that are pictures.
	Images int
	// Stream is whether the reply is asked for as an event stream.
	Stream bool
	// TextBytes is the length of the text of all messages in UTF-8. 0 means
	// that Text is all there is.
	TextBytes int
}

// A Domain is what a classifier says of a prompt.
type Domain struct {
	// Category is the most likely one, "" when the classifier has no opinion.
	Category string
	// Confidence is its probability and Margin the distance to the second, both
	// in [0, 1].
	Confidence, Margin float64
	// Probabilities are those of all categories, the most likely first. Where
	// they are flat, a prompt may belong to several. May be nil.
	Probabilities []classifier.Probability
	// Problem is why there is no classification: Overloaded, Timeout or Failed.
	Problem Reason
}
