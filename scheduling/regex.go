package scheduling

import (
	"fmt"
	"regexp"

	"semantic-epp/config"
)

// regexLeaf holds when expressions match a prompt, in all as often as is said.
type regexLeaf struct {
	expressions []*regexp.Regexp
	count       *bounds // nil for once or more
}

func newRegex(cfg *config.Regex) (*regexLeaf, error) {
	l := &regexLeaf{}
	for _, expr := range cfg.Any {
		re, err := regexp.Compile(expr)
		if err != nil {
			return nil, err
		}
		l.expressions = append(l.expressions, re)
	}
	if cfg.Count != nil {
		count := newBounds(cfg.Count)
		l.count = &count
	}
	return l, nil
}

func (l *regexLeaf) needs() source { return 0 }
func (l *regexLeaf) cost() int     { return scan }

func (l *regexLeaf) test(e *evaluation) result {
	if l.count != nil {
		return holdsIf(l.count.hold(l.matches(e.signals.Text, l.count.enough())))
	}
	for _, re := range l.expressions {
		if re.MatchString(e.signals.Text) {
			return holds(1)
		}
	}
	return isNo
}

// matches counts matches of all expressions, up to what is enough to know.
func (l *regexLeaf) matches(text string, enough int) int {
	n := 0
	for _, re := range l.expressions {
		if n >= enough {
			break
		}
		n += len(re.FindAllStringIndex(text, enough-n))
	}
	return n
}

func (l *regexLeaf) found(e *evaluation) string {
	if l.count == nil {
		return fmt.Sprintf("%d expressions", len(l.expressions))
	}
	return fmt.Sprintf("%d matches, needs %s", l.matches(e.signals.Text, l.count.enough()), l.count)
}
