package scheduling

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
	"slices"

	"github.com/cespare/xxhash/v2"

	"semantic-epp/config"
)

// A ranking is the models of a rule, in every order that it may give them.
type ranking struct {
	// models are in order of score; of equal ones, in the order of the rule.
	models []Ranked
	// shares are the models that requests are split between.
	shares []share
	total  uint64
}

// A share is the part of a rule's requests that one model gets first.
type share struct {
	below  uint64   // sum of the weights up to and with this one
	models []Ranked // this one, then the others in order of score
}

func rank(r *config.Rule) ranking {
	byScore := make([]Ranked, len(r.Models))
	for i, m := range r.Models {
		byScore[i] = Ranked{Model: m.Name, Score: 1, Reasoning: cmp.Or(m.Reasoning, r.Reasoning)}
		if m.Score != nil {
			byScore[i].Score = *m.Score
		}
	}
	slices.SortStableFunc(byScore, func(a, b Ranked) int { return cmp.Compare(b.Score, a.Score) })
	of := ranking{models: byScore}
	for _, m := range r.Models {
		if m.Weight == nil || *m.Weight <= 0 {
			continue
		}
		of.total += uint64(*m.Weight)
		of.shares = append(of.shares, share{below: of.total, models: firstOf(byScore, m.Name)})
	}
	return of
}

// firstOf moves one model to the front.
func firstOf(models []Ranked, name string) []Ranked {
	moved := make([]Ranked, 0, len(models))
	at := slices.IndexFunc(models, func(m Ranked) bool { return m.Model == name })
	moved = append(moved, models[at])
	moved = append(moved, models[:at]...)
	return append(moved, models[at+1:]...)
}

// draw orders the models for a request. Where weights split requests, equal
// sticky values get equal models, on every replica of the picker.
func (r *ranking) draw(rule, sticky string) []Ranked {
	if len(r.shares) == 0 {
		return r.models
	}
	number := rand.Uint64()
	if sticky != "" {
		var h xxhash.Digest
		h.Reset()
		_, _ = h.WriteString(rule)
		_, _ = h.WriteString("\x00")
		_, _ = h.WriteString(sticky)
		number = h.Sum64()
	}
	point, _ := bits.Mul64(number, r.total) // number / 2⁶⁴ of the total
	for _, s := range r.shares {
		if point < s.below {
			return s.models
		}
	}
	return r.models
}
