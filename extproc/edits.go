package extproc

import (
	"fmt"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
)

// What headerMutation does with content-length, where it is not the new length.
const (
	keepLength = -1 - iota // the body stays as it is
	dropLength             // the gateway frames the body anew
)

// headerMutation is the edits as a gateway wants them, with content-length
// true to the body; nil when there is nothing to change. It returns an error
// for names and values that could break a message apart.
func headerMutation(edits HeaderEdits, length int64) (*extprocv3.HeaderMutation, error) {
	if len(edits.Set) == 0 && len(edits.Remove) == 0 && length == keepLength {
		return nil, nil
	}
	mutation := &extprocv3.HeaderMutation{}
	for _, name := range edits.Remove {
		if err := checkName(name); err != nil {
			return nil, err
		}
		if name != "content-length" {
			mutation.RemoveHeaders = append(mutation.RemoveHeaders, name)
		}
	}
	if length == dropLength {
		mutation.RemoveHeaders = append(mutation.RemoveHeaders, "content-length")
	}
	mutation.SetHeaders = make([]*corev3.HeaderValueOption, 0, len(edits.Set)+1)
	for _, h := range edits.Set {
		if err := checkHeader(h); err != nil {
			return nil, err
		}
		if h.Name != "content-length" {
			mutation.SetHeaders = append(mutation.SetHeaders, setHeader(h.Name, h.Value))
		}
	}
	if length >= 0 {
		mutation.SetHeaders = append(mutation.SetHeaders, setHeader("content-length", strconv.FormatInt(length, 10)))
	}
	return mutation, nil
}

// A headerOption is a HeaderValueOption with its HeaderValue, in one
// allocation.
type headerOption struct {
	option corev3.HeaderValueOption
	header corev3.HeaderValue
}

func setHeader(name, value string) *corev3.HeaderValueOption {
	h := new(headerOption)
	h.header.Key, h.header.RawValue = name, []byte(value)
	h.option.Header = &h.header
	h.option.AppendAction = corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD
	return &h.option
}

func checkHeader(h Header) error {
	if err := checkName(h.Name); err != nil {
		return err
	}
	for i := range len(h.Value) {
		if c := h.Value[i]; (c < ' ' && c != '\t') || c == 0x7f {
			return fmt.Errorf("value of header %q holds control character %#02x", h.Name, c)
		}
	}
	return nil
}

// checkName wants a token of RFC 9110, section 5.6.2, in lower case; a colon
// may lead it, as in pseudo header fields.
func checkName(name string) error {
	token := strings.TrimPrefix(name, ":")
	if token == "" {
		return fmt.Errorf("header name %q is empty", name)
	}
	for i := range len(token) {
		c := token[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return fmt.Errorf("header name %q holds character %#02x", name, c)
		}
	}
	return nil
}
