package scheduling

import (
	"cmp"
	"slices"

	"semantic-epp/config"
)

// A Server is what a replica shows of itself: its labels, the model name that
// it reports ("" when unknown), and the LoRA adapters that it runs or queues;
// and the models that its pod or its pool is declared to serve.
type Server struct {
	Labels            map[string]string
	Served            string
	Declared          []string
	Adapters, Waiting map[string]int
}

// A Catalog knows which servers serve which model. It is safe for concurrent
// use.
type Catalog struct {
	models map[string]config.Model
	names  []string // in the order of the configuration
}

// NewCatalog returns the catalog of a configuration.
func NewCatalog(models []config.Model) *Catalog {
	c := &Catalog{models: make(map[string]config.Model, len(models))}
	for _, m := range models {
		c.models[m.Name] = m
		c.names = append(c.names, m.Name)
	}
	return c
}

// Names are the configured models, in the order of the configuration.
func (c *Catalog) Names() []string { return slices.Clone(c.names) }

// Known says whether the configuration names the model.
func (c *Catalog) Known(model string) bool {
	_, ok := c.models[model]
	return ok
}

// External says whether the model is served outside, behind the gateway.
func (c *Catalog) External(model string) bool { return c.models[model].External }

// ServedName is what a model server is asked for to serve the model.
func (c *Catalog) ServedName(model string) string { return cmp.Or(c.models[model].ServedName, model) }

// Family is the reasoning family of the model, "" when it has none.
func (c *Catalog) Family(model string) string { return c.models[model].ReasoningFamily }

// Base is the model whose adapter this one is, "" when it is none.
func (c *Catalog) Base(model string) string { return c.models[model].AdapterOf }

// Serves says whether a server serves a model: by the labels that the
// configuration asks for, as an adapter of a model that it serves, or, where
// the configuration names neither, because it is declared to or says so itself.
func (c *Catalog) Serves(model string, s Server) bool {
	m, known := c.models[model]
	switch {
	case m.External:
		return false
	case m.AdapterOf != "":
		return c.Serves(m.AdapterOf, s)
	case known && m.Match != nil:
		return matches(m.Match, s.Labels)
	}
	served := c.ServedName(model)
	if s.Served == served || slices.Contains(s.Declared, model) {
		return true
	}
	if _, runs := s.Adapters[served]; runs {
		return true
	}
	_, waits := s.Waiting[served]
	return waits
}

func matches(want, labels map[string]string) bool {
	for k, v := range want {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
