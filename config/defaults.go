package config

import "time"

// setDefaults fills in what the operator left out. What depends on the rest,
// such as a keyword's threshold on its method, is set only where it has a
// meaning, so that a value without one is still seen as a fault.
func (r *Router) setDefaults() {
	if r.AutoModels == nil {
		r.AutoModels = []string{"auto", "MoM"}
	}
	or(&r.UnknownModel, Reject)
	or(&r.OtherPaths, r.DefaultModel)
	if r.ModelHeaders == nil {
		r.ModelHeaders = []string{"x-selected-model"}
	}
	or(&r.Strategy, ByPriority)
	or(&r.ReasoningEffort, ReasoningMedium)
	r.Classifier.setDefaults()
	for _, when := range r.Conditions() {
		when.setDefaults()
	}
	for i := range r.Rules {
		r.Rules[i].setDefaults()
	}
}

func (c *Classifier) setDefaults() {
	or(&c.Model, "builtin")
	or(&c.Device, "auto")
	or(&c.MaxTokens, 128)
	orNew(&c.MinConfidence, 0.5)
	or(&c.Timeout, Duration(100*time.Millisecond))
}

func (r *Rule) setDefaults() {
	if p := r.SystemPrompt; p != nil {
		or(&p.Mode, Replace)
	}
	if a := r.Respond; a != nil {
		or(&a.Status, 200)
		if a.Status < 400 {
			or(&a.FinishReason, "stop")
		}
	}
}

// setDefaults sets those of one condition, not of the conditions inside.
func (w *When) setDefaults() {
	if k := w.Keyword; k != nil {
		or(&k.Method, Exact)
		switch k.Method {
		case Fuzzy:
			or(&k.Distance, 2)
		case NGram:
			or(&k.Arity, 3)
			orNew(&k.Threshold, 0.4)
		case BM25:
			orNew(&k.Threshold, 0.1)
		}
	}
	if e := w.Embedding; e != nil {
		or(&e.Aggregate, Max)
		orNew(&e.Threshold, 0.75)
	}
	if c := w.Complexity; c != nil {
		or(&c.Level, Hard)
		orNew(&c.Threshold, 0.1)
	}
	if t := w.Time; t != nil {
		or(&t.Zone, "UTC")
	}
}

// or sets a value that is not set.
func or[T comparable](v *T, otherwise T) {
	var unset T
	if *v == unset {
		*v = otherwise
	}
}

// orNew is or for values of which zero is one that an operator may mean.
func orNew(v **float64, otherwise float64) {
	if *v == nil {
		*v = &otherwise
	}
}
