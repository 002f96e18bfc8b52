package scheduling

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"semantic-epp/config"
)

// bounds is a closed interval of counts.
type bounds struct{ min, max int }

func newBounds(r *config.Range) bounds {
	b := bounds{min: 0, max: math.MaxInt}
	if r.Min != nil {
		b.min = int(*r.Min)
	}
	if r.Max != nil {
		b.max = int(*r.Max)
	}
	return b
}

func (b bounds) hold(n int) bool { return b.min <= n && n <= b.max }

// enough is the count from which it is known whether the bounds hold.
func (b bounds) enough() int {
	if b.max == math.MaxInt {
		return max(b.min, 1)
	}
	return b.max + 1
}

func (b bounds) String() string {
	switch {
	case b.max == math.MaxInt:
		return fmt.Sprintf("%d or more", b.min)
	case b.min == b.max:
		return fmt.Sprint(b.min)
	}
	return fmt.Sprintf("%d to %d", b.min, b.max)
}

// tokensLeaf holds for requests of so many tokens.
type tokensLeaf struct{ bounds bounds }

func (l *tokensLeaf) needs() source { return 0 }
func (l *tokensLeaf) cost() int     { return search }

func (l *tokensLeaf) test(e *evaluation) result { return holdsIf(l.bounds.hold(e.tokens())) }

func (l *tokensLeaf) found(e *evaluation) string {
	return fmt.Sprintf("about %d tokens, needs %s", e.tokens(), l.bounds)
}

// tokens estimates the tokens of all messages: those of the text that is there,
// and as many for each byte of the rest.
func (e *evaluation) tokens() int {
	text, all := e.signals.Text, e.signals.Shape.TextBytes
	here := EstimateTokens(text)
	if all <= len(text) {
		return here
	}
	if text == "" {
		return all / 4
	}
	return int(float64(here) * float64(all) / float64(len(text)))
}

// conversationLeaf holds for the shape of a request.
type conversationLeaf struct {
	what   string
	number func(*Shape) int
	bounds bounds
}

func newConversation(what string, c *config.Conversation) *conversationLeaf {
	l := &conversationLeaf{what: what}
	switch what {
	case "messages":
		l.number, l.bounds = func(s *Shape) int { return s.Messages }, newBounds(c.Messages)
	case "turns":
		l.number, l.bounds = func(s *Shape) int { return s.Turns }, newBounds(c.Turns)
	case "tools":
		l.number, l.bounds = func(s *Shape) int { return s.Tools }, newBounds(c.Tools)
	case "toolResults":
		l.number, l.bounds = func(s *Shape) int { return s.ToolResults }, newBounds(c.ToolResults)
	case "images":
		l.number, l.bounds = func(s *Shape) int { return s.Images }, newBounds(c.Images)
	default: // stream, as a number
		l.number = func(s *Shape) int { return one(s.Stream) }
		l.bounds = bounds{min: one(*c.Stream), max: one(*c.Stream)}
	}
	return l
}

func one(v bool) int {
	if v {
		return 1
	}
	return 0
}

func (l *conversationLeaf) needs() source { return 0 }
func (l *conversationLeaf) cost() int     { return lookUp }

func (l *conversationLeaf) test(e *evaluation) result {
	return holdsIf(l.bounds.hold(l.number(&e.signals.Shape)))
}

func (l *conversationLeaf) found(e *evaluation) string {
	n := l.number(&e.signals.Shape)
	if l.what == "stream" {
		return fmt.Sprintf("%t, needs %t", n == 1, l.bounds.min == 1)
	}
	return fmt.Sprintf("%d, needs %s", n, l.bounds)
}

// fieldLeaf holds when a field of the request has a value.
type fieldLeaf struct {
	name    string
	of      func(*Signals) func(string) (string, bool)
	match   config.Match
	pattern *regexp.Regexp
}

func newField(kind, name string, part *config.When) (*fieldLeaf, error) {
	l := &fieldLeaf{name: name}
	if kind == "header" {
		l.match, l.of = part.Header[name], func(s *Signals) func(string) (string, bool) { return s.Header }
	} else {
		l.match, l.of = part.Metadata[name], func(s *Signals) func(string) (string, bool) { return s.Metadata }
	}
	if l.match.Regex == "" {
		return l, nil
	}
	var err error
	l.pattern, err = regexp.Compile(l.match.Regex)
	return l, err
}

func (l *fieldLeaf) needs() source { return 0 }
func (l *fieldLeaf) cost() int     { return lookUp }

func (l *fieldLeaf) value(e *evaluation) (string, bool) {
	if get := l.of(&e.signals); get != nil {
		return get(l.name)
	}
	return "", false
}

func (l *fieldLeaf) test(e *evaluation) result {
	value, present := l.value(e)
	if !present {
		return holdsIf(l.match.Present != nil && !*l.match.Present)
	}
	return holdsIf((l.match.Present == nil || *l.match.Present) &&
		(len(l.match.In) == 0 || slices.Contains(l.match.In, value)) &&
		strings.HasPrefix(value, l.match.Prefix) &&
		(l.pattern == nil || l.pattern.MatchString(value)))
}

func (l *fieldLeaf) found(e *evaluation) string {
	if _, present := l.value(e); !present {
		return "not present"
	}
	return "present" // its value may be a secret
}

// scheduleLeaf holds at some times.
type scheduleLeaf struct {
	days     [7]bool // on which it begins
	from, to int     // minutes since midnight; to is less where it is of the next day
	zone     *time.Location
}

func newSchedule(cfg *config.Schedule) (*scheduleLeaf, error) {
	zone, err := time.LoadLocation(cfg.Zone)
	if err != nil {
		return nil, err
	}
	l := &scheduleLeaf{to: 24 * 60, zone: zone}
	if cfg.From != "" {
		if l.from, err = config.TimeOfDay(cfg.From); err != nil {
			return nil, err
		}
	}
	if cfg.To != "" {
		if l.to, err = config.TimeOfDay(cfg.To); err != nil {
			return nil, err
		}
	}
	for i, day := range config.Weekdays() {
		l.days[i] = len(cfg.Days) == 0 || slices.Contains(cfg.Days, day)
	}
	return l, nil
}

func (l *scheduleLeaf) needs() source { return 0 }
func (l *scheduleLeaf) cost() int     { return lookUp }

// test takes a time after midnight for the day before where the schedule goes
// past midnight: a Friday night ends on Saturday.
func (l *scheduleLeaf) test(e *evaluation) result {
	now := e.signals.Now.In(l.zone)
	minute, day := now.Hour()*60+now.Minute(), now.Weekday()
	if l.from < l.to {
		return holdsIf(l.days[day] && l.from <= minute && minute < l.to)
	}
	return holdsIf(l.days[day] && minute >= l.from || l.days[(day+6)%7] && minute < l.to)
}

func (l *scheduleLeaf) found(e *evaluation) string {
	return strings.ToLower(e.signals.Now.In(l.zone).Format("Mon 15:04 MST"))
}
