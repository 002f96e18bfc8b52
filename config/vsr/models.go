package vsr

import (
	"fmt"
	"slices"

	"semantic-epp/config"
)

// A model is one of ours with where it comes from.
type model struct {
	config.Model
	from     *node
	lora     string   // the adapter's name in vSR
	backends []string // the names of its endpoints
}

// models are those found so far, in the order of the input.
type models struct{ list []*model }

func (m *models) named(name string) *model {
	i := slices.IndexFunc(m.list, func(one *model) bool { return one.Name == name })
	if i < 0 {
		return nil
	}
	return m.list[i]
}

func (m *models) adapter(base, lora string) *model {
	i := slices.IndexFunc(m.list, func(one *model) bool { return one.AdapterOf == base && one.lora == lora })
	if i < 0 {
		return nil
	}
	return m.list[i]
}

// add returns the model of that name, making it.
func (m *models) add(name string, from *node) *model {
	if known := m.named(name); known != nil {
		return known
	}
	added := &model{Model: config.Model{Name: name}, from: from}
	m.list = append(m.list, added)
	return added
}

// addAdapter returns a LoRA adapter of a base model, making it. Two adapters of
// one name are told apart by the name of their base.
func (m *models) addAdapter(base *model, lora string, from *node) *model {
	if known := m.adapter(base.Name, lora); known != nil {
		return known
	}
	added := &model{Model: config.Model{Name: lora, AdapterOf: base.Name}, from: from, lora: lora}
	if m.named(lora) != nil {
		added.Name, added.ServedName = lora+"@"+base.Name, lora
	}
	m.list = append(m.list, added)
	return added
}

func (c *converter) readModels() {
	if c.format.Generation == 2 {
		c.readProviders()
		c.readCards()
		return
	}
	for _, n := range c.mapping(c.vsr.at(c.layout.models)) {
		if n.key == "" {
			c.fault(n, "a model needs a name")
			continue
		}
		m := c.models.add(n.key, n)
		c.family(m, n.get("reasoning_family"))
		m.backends = c.strs(n.get("preferred_endpoints"))
		if n.kind != object || len(n.items) == 0 {
			c.say(n, Taken, "models[].name")
		}
	}
	for _, n := range c.mapping(c.vsr.at(c.layout.models)) {
		c.adapters(n.key, n.get("loras"))
	}
}

func (c *converter) readProviders() {
	for _, n := range c.objects(c.vsr.at(c.layout.models)) {
		name := c.str(n.get("name"))
		if name == "" {
			c.fault(n, "a model needs a name")
			continue
		}
		if c.models.named(name) != nil {
			c.fault(n, "model %q stands twice", name)
			continue
		}
		m := c.models.add(name, n)
		c.say(n.get("name"), Taken, "models[].name")
		c.family(m, n.get("reasoning_family"))
		c.servedName(m, n)
		if format := n.get("api_format"); format != nil {
			if c.str(format) == "openai" {
				c.say(format, Taken, "requests go on in the API in which they came")
			} else {
				c.warn(format, Ignored, "requests go on in the API in which they came; the gateway may translate them")
			}
		}
	}
}

// servedName reads what the model server calls the model.
func (c *converter) servedName(m *model, n *node) {
	id := n.get("provider_model_id")
	if name := c.str(id); name != "" && name != m.Name {
		m.ServedName = name
	}
	c.say(id, Taken, "models[].servedName")
	ids := c.mapping(n.get("external_model_ids"))
	for _, other := range ids {
		if m.ServedName == "" && id == nil && len(ids) == 1 && c.str(other) != "" {
			m.ServedName = other.text
			c.say(other, Taken, "models[].servedName")
			continue
		}
		c.say(other, Ignored, "a model has one name at its servers: provider_model_id, or else its own")
	}
}

// readCards reads what gen 2 says of models apart from where they are served.
// Adapters come first, since a card may stand for one.
func (c *converter) readCards() {
	cards := c.objects(c.vsr.at("routing.modelCards"))
	for _, card := range cards {
		if loras := card.get("loras"); loras != nil {
			c.models.add(c.str(card.get("name")), card)
			c.adapters(c.str(card.get("name")), loras)
		}
	}
	for _, card := range cards {
		name := card.get("name")
		switch known := c.models.named(c.str(name)); {
		case name == nil || name.text == "":
			c.fault(card, "a model needs a name")
		case known != nil && known.AdapterOf != "":
			c.say(name, Taken, "models[].name: an adapter of %s", known.AdapterOf)
		default:
			c.models.add(name.text, card)
			c.say(name, Taken, "models[].name")
		}
	}
}

func (c *converter) adapters(base string, loras *node) {
	for _, lora := range c.objects(loras) {
		name := lora.get("name")
		if c.str(name) == "" {
			c.fault(lora, "an adapter needs a name")
			continue
		}
		m := c.models.addAdapter(c.models.named(base), name.text, lora)
		if m.Name == name.text {
			c.say(name, Taken, "models[].adapterOf %s", base)
		} else {
			c.say(name, Approximated, "the name is taken; models match routes as %s", m.Name)
		}
	}
}

func (c *converter) family(m *model, n *node) {
	if m.ReasoningFamily = c.str(n); n != nil {
		c.say(n, Taken, "models[].reasoningFamily")
		if n.text == "" {
			c.say(n, Taken, "no family: reasoning is left as the client sent it")
		}
	}
}

// modelFor returns our name of a model, or of an adapter, that vSR's
// configuration refers to at n, making it where nothing else says that it exists.
func (c *converter) modelFor(base, lora string, n *node) string {
	m := c.models.named(base)
	if m == nil {
		m = c.models.add(base, n)
	}
	if lora == "" || lora == m.lora {
		return m.Name
	}
	if m.AdapterOf != "" {
		m = c.models.named(m.AdapterOf)
	}
	return c.models.addAdapter(m, lora, n).Name
}

// finishModels writes the models, when all references to them are known.
func (c *converter) finishModels() {
	for i, m := range c.models.list {
		if base := c.models.named(m.AdapterOf); base != nil {
			if base.External {
				m.AdapterOf, m.External = "", true
			}
			if m.ReasoningFamily == "" {
				m.ReasoningFamily = base.ReasoningFamily
			}
		}
		c.router.Models = append(c.router.Models, m.Model)
		c.origin(fmt.Sprintf("models[%d]", i), "", m.from)
	}
}
