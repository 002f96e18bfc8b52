package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// A finder finds the first match in text at or after from. A match is not
// empty; from == to means that there is none.
type finder interface {
	find(text []byte, at int) (from, to int)
}

// split cuts text at the matches of a pattern.
type split struct {
	pattern  finder
	invert   bool // matches are what stands between matches
	behavior string
}

// A cut is a part of a text that is a match, or what stands between two.
type cut struct {
	from, to int
	match    bool
}

// patternFile is either a string that stands for itself or a regex.
type patternFile struct {
	String *string
	Regex  *string
}

func loadSplit(data json.RawMessage) (preTokenizer, error) {
	var f struct {
		Pattern  patternFile `json:"pattern"`
		Behavior string      `json:"behavior"`
		Invert   bool        `json:"invert"`
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	switch f.Behavior {
	case "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous":
	default:
		return nil, fmt.Errorf("behavior %q is not supported", f.Behavior)
	}
	pattern, err := loadFinder(f.Pattern)
	return split{pattern: pattern, invert: f.Invert, behavior: f.Behavior}, err
}

func loadFinder(f patternFile) (finder, error) {
	switch {
	case f.String != nil && *f.String != "":
		return literal(*f.String), nil
	case f.Regex == nil:
		return nil, errors.New("the pattern is empty")
	}
	if words, ok := knownPatterns[*f.Regex]; ok {
		return words, nil
	}
	re, err := compile(*f.Regex)
	return expression{re}, err
}

func (p split) split(s *scratch, text piece) {
	s.cuts = s.cuts[:0]
	for at := 0; at < len(text.text); {
		from, to := p.pattern.find(text.text, at)
		if from == to {
			from, to = len(text.text), len(text.text)
		}
		s.addCut(at, from, p.invert)
		s.addCut(from, to, !p.invert)
		at = to
	}
	switch p.behavior {
	case "MergedWithPrevious":
		mergeWithPrevious(s, text)
	case "MergedWithNext":
		mergeWithNext(s, text)
	case "Contiguous":
		mergeAlike(s, text)
	default:
		for _, c := range s.cuts {
			if !c.match || p.behavior == "Isolated" {
				s.add(text, c.from, c.to)
			}
		}
	}
}

func (s *scratch) addCut(from, to int, match bool) {
	if from < to {
		s.cuts = append(s.cuts, cut{from: from, to: to, match: match})
	}
}

// mergeWithPrevious joins a match to what stands before it, but not to another
// match.
func mergeWithPrevious(s *scratch, text piece) {
	for i := 0; i < len(s.cuts); {
		from, to := s.cuts[i].from, s.cuts[i].to
		if i+1 < len(s.cuts) && !s.cuts[i].match && s.cuts[i+1].match {
			i++
			to = s.cuts[i].to
		}
		s.add(text, from, to)
		i++
	}
}

// mergeWithNext joins a match to what stands after it, but not to another
// match.
func mergeWithNext(s *scratch, text piece) {
	for i := 0; i < len(s.cuts); {
		from, to := s.cuts[i].from, s.cuts[i].to
		if i+1 < len(s.cuts) && s.cuts[i].match && !s.cuts[i+1].match {
			i++
			to = s.cuts[i].to
		}
		s.add(text, from, to)
		i++
	}
}

// mergeAlike joins matches that stand side by side.
func mergeAlike(s *scratch, text piece) {
	for i := 0; i < len(s.cuts); {
		from, match := s.cuts[i].from, s.cuts[i].match
		for i < len(s.cuts) && s.cuts[i].match == match {
			i++
		}
		s.add(text, from, s.cuts[i-1].to)
	}
}

// literal stands for itself.
type literal string

func (l literal) find(text []byte, at int) (from, to int) {
	from = indexFrom(text, []byte(l), at)
	return from, min(len(text), from+len(l))
}

// expression is a regex.
type expression struct{ *regexp.Regexp }

func (e expression) find(text []byte, at int) (from, to int) {
	found := e.FindIndex(text[at:])
	if found == nil {
		return 0, 0
	}
	return at + found[0], at + found[1]
}
