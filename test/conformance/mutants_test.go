package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// patient is for checks that must pass on a slow machine.
const patient = 20 * time.Second

func TestAPickerThatIsRightPasses(t *testing.T) {
	for _, r := range runChecks(t.Context(), startToy(t, "", patient), checks()) {
		if r.verdict != pass {
			t.Errorf("%s %s: %s", r.verdict, r.check.id, r.detail)
		}
	}
}

// mutants are pickers that are wrong in one thing, with the checks that must
// see it.
var mutants = map[string]string{
	"no destination header":                           "destination-header buffered-destination",
	"no metadata":                                     "destination-metadata buffered-destination",
	"metadata says another":                           "destination-agrees buffered-destination",
	"picks a name":                                    "destination-format",
	"picks a list":                                    "destination-single",
	"picks a stranger":                                "destination-in-pool",
	"no destination without a body":                   "destination-bodyless buffered-bodyless",
	"obeys the client":                                "destination-not-the-clients",
	"adds the header if absent":                       "destination-not-the-clients",
	"sets the header twice":                           "destination-header-once",
	"sets both values":                                "header-one-value",
	"reads raw_value alone":                           "headers-in-value",
	"ignores the selection":                           "fixture-selection",
	"no destination in BUFFERED":                      "buffered-destination",
	"insists on protocol_config":                      "undeclared-bodyless",
	"lets requests of NONE pass":                      "none-destination",
	"tells endpoints apart by IP alone":               "subset-ports",
	"ignores the hint":                                "subset-honoured subset-mixed subset-unknown",
	"ignores the hint without a body":                 "subset-bodyless subset-empty-bodyless",
	"believes the hint":                               "subset-mixed subset-unknown",
	"takes an empty hint for none":                    "subset-empty subset-empty-bodyless refusal-comes-first",
	"reads the hint in the last message alone":        "subset-with-headers-only",
	"takes any subset metadata for an empty hint":     "subset-unset",
	"body before headers":                             "duplex-order",
	"replaces a duplex body":                          "duplex-streamed-response",
	"an end in every part":                            "duplex-one-end",
	"no end":                                          "duplex-one-end duplex-body-whole",
	"cuts the body":                                   "duplex-body-whole duplex-empty-end duplex-many-parts duplex-large-body",
	"marshals the body anew":                          "duplex-body-exact",
	"edits headers with the body":                     "duplex-edits-with-headers",
	"a body for a request without one":                "duplex-bodyless",
	"misses an empty end":                             "duplex-empty-end",
	"ends the body before trailers":                   "duplex-trailers",
	"leaves request trailers unanswered":              "duplex-trailers duplex-trailers-alone buffered-trailers",
	"500 for an empty body":                           "duplex-empty-body",
	"gets lost in many parts":                         "duplex-many-parts duplex-one-byte-parts",
	"keeps the last part alone":                       "duplex-one-byte-parts duplex-large-body concurrent",
	"reads one part alone":                            "duplex-large-body",
	"answers nothing":                                 "destination-header duplex-bodyless",
	"takes 4 MiB messages":                            "duplex-large-message",
	"sends large parts":                               "duplex-small-messages",
	"answers a second end":                            "duplex-late-end",
	"holds the headers back in BUFFERED":              "buffered-answers-headers buffered-one-answer",
	"holds the headers back in STREAMED":              "streamed-answers-headers",
	"holds the headers back in BUFFERED_PARTIAL":      "partial-answers-headers",
	"holds the headers back in NONE":                  "none-answers-headers",
	"answers a buffered body twice":                   "buffered-one-answer",
	"streams a buffered body":                         "buffered-no-streamed-response",
	"leaves content-length":                           "buffered-content-length",
	"cuts a buffered body":                            "buffered-body-whole",
	"waits for the end mark in BUFFERED":              "buffered-trailers",
	"ends at once in BUFFERED, and again":             "buffered-empty-end",
	"answers streamed bodies twice":                   "streamed-each-answered",
	"leaves eager streamed bodies unanswered":         "streamed-eager",
	"leaves reply headers unanswered":                 "reply-headers reply-bodyless reply-served",
	"a body for a reply without one":                  "reply-bodyless",
	"loses a part of the reply":                       "reply-duplex-whole reply-duplex-events",
	"loses a reply's end":                             "reply-duplex-whole reply-alone reply-error",
	"holds events back":                               "reply-events-at-once",
	"leaves reply trailers unanswered":                "reply-trailers",
	"ends a reply before its trailers":                "reply-trailers",
	"streams every reply":                             "reply-buffered reply-streamed",
	"leaves reply headers of NONE unanswered":         "reply-none",
	"echoes reply headers":                            "reply-no-hop-headers",
	"breaks on error replies":                         "reply-error",
	"breaks on served metadata":                       "reply-served fixture-served",
	"does not tell who served":                        "fixture-served",
	"waits for the request though the reply is there": "reply-before-request-ends",
	"breaks on a reply alone":                         "reply-alone",
	"dies of usage":                                   "reply-wrong-usage",
	"breaks the stream on bad JSON":                   "malformed-refused duplex-empty-body",
	"breaks without a model":                          "no-model-refused",
	"breaks on unknown models":                        "unknown-model",
	"breaks on unknown paths":                         "unknown-path",
	"answers the headers before it refuses":           "refusal-comes-first",
	"has no limit":                                    "over-limit over-limit-unannounced",
	"believes content-length":                         "over-limit-unannounced",
	"500 without endpoints":                           "no-endpoint no-endpoint-bodyless",
	"500 without endpoints and body":                  "no-endpoint-bodyless",
	"never saturated":                                 "saturated",
	"stays saturated":                                 "unsaturated",
	"not serving":                                     "health health-of-service",
	"health of the server alone":                      "health-of-service",
	"mixes bodies up":                                 "concurrent",
	"breaks at a half-close":                          "half-close-after-request",
	"hangs after a half-close":                        "close-at-once half-close-mid-body",
	"hangs after a half-close in a body":              "half-close-mid-body",
	"OK after a half-close in a body":                 "half-close-not-ok",
	"forgets streams that were cancelled":             "cancel-mid-body cancel-mid-reply",
	"hangs on a body without headers":                 "body-without-headers",
}

func TestEveryCheckCanFail(t *testing.T) {
	list := checks()
	var seen []string
	for bug, ids := range mutants {
		seen = append(seen, strings.Fields(ids)...)
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			wanted := strings.Fields(ids)
			var chosen []check
			for _, c := range list {
				// The check that the load goes away means something only after the
				// one that it comes.
				if slices.Contains(wanted, c.id) || (c.id == "saturated" && slices.Contains(wanted, "unsaturated")) {
					chosen = append(chosen, c)
				}
			}
			for _, r := range runChecks(t.Context(), startToy(t, bug, time.Second), chosen) {
				if slices.Contains(wanted, r.check.id) && r.verdict != fail {
					t.Errorf("%s: %s %s", r.check.id, r.verdict, r.detail)
				}
			}
		})
	}
	for _, c := range list {
		if !slices.Contains(seen, c.id) {
			t.Errorf("no mutant fails check %s", c.id)
		}
	}
	for _, id := range seen {
		if !slices.ContainsFunc(list, func(c check) bool { return c.id == id }) {
			t.Errorf("there is no check %s", id)
		}
	}
}
