package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"semantic-epp/classifier"
	"semantic-epp/payload"
)

// A failure is an error that the client is told about, in the shape of vLLM
// Semantic Router. Its message never quotes what the client sent.
type failure struct {
	status  int
	code    string
	message string
}

// Error returns the code and the message.
func (f *failure) Error() string { return f.code + ": " + f.message }

// invalid is a failure that the client can mend.
func invalid(format string, args ...any) *failure {
	return &failure{http.StatusBadRequest, "INVALID_INPUT", fmt.Sprintf(format, args...)}
}

// failureOf says what to tell the client about an error. Of errors that are not
// known here only the kind is told, as they may quote the prompt.
func failureOf(err error) *failure {
	var own *failure
	var refused *payload.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &refused):
		if refused.Param == "" {
			return &failure{refused.Status, "INVALID_INPUT", refused.Message}
		}
		return &failure{refused.Status, "INVALID_INPUT", refused.Param + ": " + refused.Message}
	case errors.Is(err, classifier.ErrOverloaded):
		return problems[Overloaded]
	case errors.Is(err, context.DeadlineExceeded):
		return problems[Timeout]
	case errors.Is(err, context.Canceled):
		return &failure{http.StatusServiceUnavailable, "CANCELED", "the request was given up before it was answered"}
	}
	return problems[Failed]
}

// problems are the failures for the problems of a [Classification].
var problems = map[string]*failure{
	Overloaded: {http.StatusServiceUnavailable, "OVERLOADED", "too many texts are waiting for the classifier: try again later"},
	Timeout:    {http.StatusGatewayTimeout, "TIMEOUT", "the classifier did not answer in time: try again later, or send fewer or shorter texts"},
	Failed:     {http.StatusInternalServerError, "CLASSIFICATION_ERROR", "the classifier could not answer: the picker's log has the cause"},
}
