package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var headerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// forbidden are request header fields that are never believed: those that the
// picker itself writes for the gateway, and those with credentials. Those that
// end in - stand for all that begin so.
var forbidden = []string{
	"x-gateway-destination-endpoint", "x-gateway-destination-endpoint-", "x-selected-model", "x-ai-eg-model",
	"x-gateway-model-name", "x-gateway-model-name-", "x-vsr-", "authorization", "proxy-authorization", "cookie",
}

func isForbidden(name string) bool {
	return slices.ContainsFunc(forbidden, func(f string) bool {
		return name == f || strings.HasSuffix(f, "-") && strings.HasPrefix(name, f)
	})
}

func (r *Router) checkHeaders(f *faults) {
	for i, name := range r.ModelHeaders {
		if !headerName.MatchString(name) {
			f.add(fmt.Sprintf("modelHeaders[%d]", i), "%q is not a header name in lower case", name)
		}
	}
	for i, name := range r.TrustedHeaders {
		at := fmt.Sprintf("trustedHeaders[%d]", i)
		switch {
		case !headerName.MatchString(name):
			f.add(at, "%q is not a header name in lower case", name)
		case isForbidden(name) || slices.Contains(r.ModelHeaders, name):
			f.add(at, "%q is written by the picker or carries credentials; it cannot be trusted from a request", name)
		case slices.Contains(r.TrustedHeaders[:i], name):
			f.add(at, "%q stands twice", name)
		}
	}
	if r.Sticky.Header != "" {
		r.checkTrusted(f, "sticky.header", r.Sticky.Header)
		if !r.weighted() {
			f.add("sticky.header", "only has a meaning where rules give models a weight")
		}
	}
}

// weighted says whether any rule splits requests.
func (r *Router) weighted() bool {
	return slices.ContainsFunc(r.Rules, func(rule Rule) bool {
		return slices.ContainsFunc(rule.Models, func(m ModelScore) bool { return m.Weight != nil })
	})
}

// checkTrusted complains of a header field that a client may have made up.
func (r *Router) checkTrusted(f *faults, at, name string) {
	if !slices.Contains(r.TrustedHeaders, name) {
		f.add(at, "%q is not among trustedHeaders; add it there if the gateway sets or strips it", name)
	}
}
