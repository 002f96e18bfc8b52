package payload

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// Usage says how many tokens a reply took.
type Usage struct {
	PromptTokens     int64 // with those that came from a cache
	CompletionTokens int64
	TotalTokens      int64 // as the reply says; if it does not, the sum of the two
	CachedTokens     int64 // the part of PromptTokens that came from a cache
}

// maxUsage bounds the usage object that is kept of a reply, in bytes.
const maxUsage = 16 << 10

// maxTokens is the largest count that is believed: the largest integer up to
// which a float64 holds every one.
const maxTokens = 1 << 53

// A UsageReader finds the token usage in a reply that passes by in parts, cut
// anywhere: in a JSON object, or in a stream of server-sent events. It never
// fails, since a reply must not suffer from its being read; what it cannot
// understand, it ignores. It is not safe for concurrent use.
//
// It knows OpenAI's names (prompt_tokens, completion_tokens, total_tokens,
// prompt_tokens_details.cached_tokens), those of Responses and Anthropic
// (input_tokens, output_tokens), input_tokens_details.cached_tokens of the
// former, and cache_read_input_tokens and cache_creation_input_tokens of the
// latter, whose input_tokens do not count cached ones
// (https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching).
// A count that is not a whole number from 0 to 2^53 is ignored, and the rest
// of its object counts.
type UsageReader struct {
	api    API
	format format
	events events
	finder finder
	found  counts
}

// A format is what a reply is written in.
type format uint8

const (
	unread format = iota // nothing that we read
	asJSON
	asEvents
)

// NewUsageReader returns a reader for the reply to a request of the given API,
// given the reply's content-type and content-encoding. A compressed reply, and
// one that is neither JSON nor an event stream, has no usage.
func NewUsageReader(api API, contentType, contentEncoding string) *UsageReader {
	u := &UsageReader{api: api, format: formatOf(contentType, contentEncoding), found: noCounts}
	u.finder.found = u.add
	u.finder.target = "usage"
	if u.format == asEvents {
		u.finder.wrapper = wrapperOf(api)
	}
	return u
}

func formatOf(contentType, contentEncoding string) format {
	if encoding := strings.TrimSpace(contentEncoding); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return unread
	}
	kind, _, _ := strings.Cut(contentType, ";")
	switch kind = strings.TrimSpace(kind); {
	case strings.EqualFold(kind, "text/event-stream"):
		return asEvents
	case strings.EqualFold(kind, "application/json"):
		return asJSON
	default:
		return unread
	}
}

// wrapperOf names the object in which an event of the API may hold its usage,
// besides the event itself: response.completed has response.usage, and
// message_start has message.usage.
func wrapperOf(api API) string {
	switch api {
	case Responses:
		return "response"
	case Messages:
		return "message"
	default:
		return ""
	}
}

// Write takes the next part of the reply, and does not keep it.
func (u *UsageReader) Write(part []byte) {
	switch u.format {
	case asJSON:
		u.finder.write(part)
	case asEvents:
		u.writeEvents(part)
	}
}

// usageMark is in the data of every event that has usage.
var usageMark = []byte(`usage"`)

func (u *UsageReader) writeEvents(part []byte) {
	for len(part) > 0 {
		n, what := u.events.next(part)
		piece := part[:n]
		part = part[n:]
		switch what {
		case firstData:
			// Most events of a stream are whole in one part and have no usage:
			// a search tells so faster than the finder.
			if !endsEvent(part) || bytes.Contains(piece, usageMark) {
				u.finder.write(piece)
			}
		case moreData:
			u.finder.write(piece)
		case eventEnd:
			u.finder.reset()
		}
	}
}

// Usage returns the usage seen so far, and whether there was any. Of a stream
// it is the last that was told.
func (u *UsageReader) Usage() (Usage, bool) {
	c := u.found
	if c == noCounts {
		return Usage{}, false
	}
	usage := Usage{
		PromptTokens:     max(c.prompt, 0),
		CompletionTokens: max(c.completion, 0),
		CachedTokens:     max(c.cached, 0),
	}
	if u.api == Messages {
		usage.CachedTokens = max(c.cacheRead, 0)
		usage.PromptTokens += max(c.cacheRead, 0) + max(c.cacheWritten, 0)
	}
	usage.TotalTokens = c.total
	if c.total < 0 {
		usage.TotalTokens = usage.PromptTokens + usage.CompletionTokens
	}
	return usage, true
}

// add takes a usage object that the finder found. Anthropic tells the counts
// in pieces, so they add up; elsewhere the last object counts alone.
func (u *UsageReader) add(object []byte) {
	c := countsOf(object)
	switch {
	case c == noCounts:
	case u.api == Messages:
		u.found.merge(c)
	default:
		u.found = c
	}
}

// counts are the numbers of one usage object, -1 where there is none.
type counts struct {
	prompt, completion, total, cached int64
	cacheRead, cacheWritten           int64 // Anthropic
}

var noCounts = counts{-1, -1, -1, -1, -1, -1}

// merge takes over what c has.
func (m *counts) merge(c counts) {
	take := func(to *int64, from int64) {
		if from >= 0 {
			*to = from
		}
	}
	take(&m.prompt, c.prompt)
	take(&m.completion, c.completion)
	take(&m.total, c.total)
	take(&m.cached, c.cached)
	take(&m.cacheRead, c.cacheRead)
	take(&m.cacheWritten, c.cacheWritten)
}

// countsOf reads a usage object. One that is not valid JSON has no counts.
func countsOf(object []byte) counts {
	s := scanner{data: object}
	c := noCounts
	for more := s.open('}'); more; more = s.next('}') {
		switch string(s.name()) {
		case "prompt_tokens", "input_tokens":
			s.count(&c.prompt)
		case "completion_tokens", "output_tokens":
			s.count(&c.completion)
		case "total_tokens":
			s.count(&c.total)
		case "cache_read_input_tokens":
			s.count(&c.cacheRead)
		case "cache_creation_input_tokens":
			s.count(&c.cacheWritten)
		case "prompt_tokens_details", "input_tokens_details":
			s.cachedCount(&c.cached)
		default:
			s.skip()
		}
	}
	if s.err != nil {
		return noCounts
	}
	return c
}

func (s *scanner) cachedCount(to *int64) {
	if s.peek() != '{' {
		s.skip()
		return
	}
	for more := s.open('}'); more; more = s.next('}') {
		if string(s.name()) == "cached_tokens" {
			s.count(to)
		} else {
			s.skip()
		}
	}
}

// count passes a value, and stores it if it is a whole number in range: 3, 3.0
// or 3e2, as some servers compute in floats.
func (s *scanner) count(to *int64) {
	at := s.value()
	f, err := strconv.ParseFloat(string(at.of(s.data)), 64)
	if err == nil && f == math.Trunc(f) && 0 <= f && f <= maxTokens {
		*to = int64(f)
	}
}
