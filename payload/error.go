package payload

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// An Error is a refusal that the client is told about. It never holds text of
// the prompt, so it may be logged.
type Error struct {
	Status  int    // HTTP status
	Type    string // error type of the API; empty: the one that goes with the status
	Code    string // OpenAI's machine-readable code; may be empty
	Param   string // the part of the request at fault, such as "messages[2].role"; may be empty
	Message string // what is wrong and what to do about it
}

// Error returns the status, the parameter and the message.
func (e *Error) Error() string {
	if e.Param == "" {
		return fmt.Sprintf("%d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("%d: %s: %s", e.Status, e.Param, e.Message)
}

// Body returns the error as the JSON body that clients of the API expect:
// Anthropic's {"type":"error","error":{"type","message"}} for [Messages], and
// OpenAI's {"error":{"message","type","param","code"}} for all others, where
// an empty param or code is null.
func (e *Error) Body(api API) []byte {
	type anthropic struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	type openAI struct {
		Message string  `json:"message"`
		Type    string  `json:"type"`
		Param   *string `json:"param"`
		Code    *string `json:"code"`
	}
	var body any
	if api == Messages {
		body = struct {
			Type  string    `json:"type"`
			Error anthropic `json:"error"`
		}{"error", anthropic{Type: e.typeIn(api), Message: e.Message}}
	} else {
		body = struct {
			Error openAI `json:"error"`
		}{openAI{Message: e.Message, Type: e.typeIn(api), Param: orNull(e.Param), Code: orNull(e.Code)}}
	}
	b, _ := json.Marshal(body) // strings always marshal
	return b
}

// typeIn returns the error's type, or the API's name for its status. Anthropic
// documents its names (https://docs.anthropic.com/en/api/errors); OpenAI has
// no list, so ours are those that its servers and the servers like them send.
func (e *Error) typeIn(api API) string {
	switch {
	case e.Type != "":
		return e.Type
	case e.Status == http.StatusUnauthorized:
		return "authentication_error"
	case e.Status == http.StatusForbidden:
		return "permission_error"
	case e.Status == http.StatusNotFound:
		return "not_found_error"
	case e.Status == http.StatusTooManyRequests:
		return "rate_limit_error"
	case e.Status == http.StatusRequestEntityTooLarge && api == Messages:
		return "request_too_large"
	case e.Status == http.StatusServiceUnavailable && api == Messages:
		return "overloaded_error"
	case e.Status == http.StatusGatewayTimeout && api == Messages:
		return "timeout_error"
	case e.Status >= 500 && api == Messages:
		return "api_error"
	case e.Status >= 500:
		return "server_error"
	default:
		return "invalid_request_error"
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
