package vsr

import (
	"semantic-epp/config"
)

// The steps of generation 0, which vSR takes one after the other until one
// finds a category, as priorities of our rules.
const (
	keywordStep   = 300
	embeddingStep = 200
	domainStep    = 100
)

// readCategories makes rules of the categories of generation 0 and of the
// keywords and embeddings that lead to them.
func (c *converter) readCategories() {
	used := map[string]bool{}
	c.readSteps(used, "keyword_rules", keywordStep, "keyword", (*converter).keyword)
	c.readSteps(used, "embedding_rules", embeddingStep, "embedding", (*converter).embedding)
	for _, n := range c.objects(c.vsr.get("categories")) {
		name := c.str(n.get("name"))
		r := c.categoryRule(n, name, domainStep)
		r.cond = c.domain(name)
		if r.cond.text == "" {
			r.cond.text = "domain " + name
		}
		if r.cond.op == never && used[name] {
			c.say(n.get("name"), Taken, "only keywords and embeddings lead here: %s", r.cond.why)
			continue
		}
		c.rules = append(c.rules, r)
	}
}

// readSteps makes rules of keyword_rules or embedding_rules.
func (c *converter) readSteps(used map[string]bool, path string, priority int, kind string, read reader) {
	for _, n := range c.objects(c.vsr.get(path)) {
		name := c.str(n.get("category"))
		made := read(c, n, "")
		made.text = kind + " of " + name
		category := c.findCategory(name)
		var r *rule
		if category == nil {
			r = &rule{Rule: config.Rule{Priority: priority}, from: []*node{n}}
			if n := c.vsr.at(c.layout.defaultModel); c.str(n) != "" {
				r.Models = []config.ModelScore{{Name: c.modelFor(n.text, "", n)}}
			}
		} else {
			r = c.categoryRule(category, name, priority)
			r.from = []*node{n, category}
		}
		r.Name = c.uniqueName(name + "-" + kind)
		r.cond = made
		if len(r.Models) == 0 {
			r.cond = cannot("its category has no models, and there is no default_model")
		}
		if r.cond.op == leaf {
			used[name] = true
			if category == nil {
				c.say(n.get("category"), Taken, "rules[].name; no category of that name has models: the default model serves it")
			} else {
				c.say(n.get("category"), Taken, "rules[].name, at priority %d, since vSR asks for keywords, embeddings and domains in this order", priority)
			}
		}
		c.rules = append(c.rules, r)
	}
}

func (c *converter) findCategory(name string) *node {
	for _, n := range c.objects(c.vsr.get("categories")) {
		if c.str(n.get("name")) == name {
			return n
		}
	}
	return nil
}

// categoryRule makes what a category does, without its condition.
func (c *converter) categoryRule(n *node, name string, priority int) *rule {
	r := &rule{Rule: config.Rule{Name: c.uniqueName(name), Priority: priority, Description: c.str(n.get("description"))}, from: []*node{n}}
	c.say(n.get("name"), Taken, "rules[].name and its domain")
	c.say(n.get("mmlu_categories"), Taken, "rules[].when.domain")
	c.say(n.get("description"), Taken, "rules[].description")
	r.rank(c.scores(n.get("model_scores")))
	if fallback := c.vsr.at(c.layout.defaultModel); len(r.Models) == 0 && c.str(fallback) != "" {
		r.Models = []config.ModelScore{{Name: c.modelFor(fallback.text, "", fallback)}}
		c.say(n.get("name"), Taken, "rules[].name; without model_scores the default model serves it")
	}
	c.categoryPrompt(r, n)
	return r
}

// scores reads model_scores. vSR takes the best; here the others follow it.
func (c *converter) scores(n *node) []scored {
	var found []scored
	refs := c.objects(n)
	for _, ref := range refs {
		base, lora := ref.get("model"), ref.get("lora_name")
		if c.str(base) == "" {
			c.fault(ref, "a score needs a model")
			continue
		}
		name := c.modelFor(base.text, c.str(lora), base)
		found = append(found, scored{name: name, score: c.num(ref.get("score"), 0), reasoning: c.reasoning(ref, name)})
		c.say(base, Taken, "rules[].models[].name")
		c.say(lora, Taken, "rules[].models[].name, an adapter of %s", base.text)
		c.say(ref.get("score"), Taken, "rules[].models[].score: the best comes first, the others follow it")
	}
	if scale(found) {
		for _, ref := range refs {
			c.say(ref.get("score"), Approximated, "rules[].models[].score, brought into (0, 1] with the others of the category")
		}
	}
	return found
}

func (c *converter) categoryPrompt(r *rule, n *node) {
	prompt, enabled, mode := n.get("system_prompt"), n.get("system_prompt_enabled"), n.get("system_prompt_mode")
	c.systemPrompt(r, prompt, enabled, mode)
}

// systemPrompt reads a system prompt of any generation.
func (c *converter) systemPrompt(r *rule, prompt, enabled, mode *node) {
	if text := c.str(prompt); text == "" || !c.bool(enabled, true) {
		c.say(enabled, Taken, "no system prompt is set")
		for _, n := range []*node{prompt, mode} {
			c.say(n, Ignored, "vSR does not use it either: it is not enabled, or empty")
		}
		return
	}
	r.SystemPrompt = &config.SystemPrompt{Text: prompt.text}
	c.say(enabled, Taken, "rules[].systemPrompt")
	c.say(prompt, Taken, "rules[].systemPrompt")
	c.say(mode, Taken, "rules[].systemPrompt.mode")
	switch c.str(mode) {
	case "insert":
		r.SystemPrompt.Mode = config.Prepend
		c.say(mode, Taken, "rules[].systemPrompt.mode: prepend")
	case "replace", "":
	default:
		c.warn(mode, Approximated, "rules[].systemPrompt.mode: replace; vSR knows replace and insert")
	}
}
