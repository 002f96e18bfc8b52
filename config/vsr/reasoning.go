package vsr

import (
	"maps"
	"slices"

	"semantic-epp/config"
)

// familyTypes are vSR's types of reasoning families as ours. vSR writes an
// effort where chat templates read it, beside the API's own field.
var familyTypes = map[string]config.ReasoningType{
	"chat_template_kwargs":       config.ChatTemplate,
	"reasoning_effort":           config.ChatTemplateEffort,
	"top_level_reasoning_effort": config.TopLevelEffort,
}

func (c *converter) readReasoning() {
	for _, n := range c.mapping(c.vsr.at(c.layout.families)) {
		c.readFamily(n)
	}
	if n := c.vsr.at(c.layout.effort); n != nil {
		effort, exact := c.effort(c.str(n))
		if effort == config.ReasoningOff || effort == config.ReasoningOn {
			effort, exact = config.ReasoningMedium, false
		}
		c.router.ReasoningEffort = effort
		if exact {
			c.say(n, Taken, "reasoningEffort")
		} else {
			c.say(n, Approximated, "reasoningEffort %s: efforts are minimal, low, medium and high", effort)
		}
		c.origin("reasoningEffort", "", n)
	}
	families := config.KnownReasoningFamilies()
	maps.Copy(families, c.router.ReasoningFamilies)
	for _, m := range c.models.list {
		if _, ok := families[m.ReasoningFamily]; m.ReasoningFamily != "" && !ok {
			c.warn(m.from.get("reasoning_family"), Ignored, "no family of that name: reasoning is left as the client sent it; known: %q",
				slices.Sorted(maps.Keys(families)))
			m.ReasoningFamily = ""
		}
	}
}

func (c *converter) readFamily(n *node) {
	kind, parameter := n.get("type"), n.get("parameter")
	family := config.ReasoningFamily{Type: familyTypes[c.str(kind)], Parameter: c.str(parameter)}
	builtin, known := config.KnownReasoningFamilies()[n.key]
	switch {
	case n.key == "" || family.Type == "" || family.Parameter == "":
		c.cover(n, remark{outcome: Ignored, warn: true,
			note: "a family needs a name, a parameter, and one of the types chat_template_kwargs, reasoning_effort, top_level_reasoning_effort"})
		return
	case known && builtin == family:
		c.say(kind, Taken, "the built-in family %s", n.key)
		c.say(parameter, Taken, "the built-in family %s", n.key)
		return
	case known && builtin.Parameter == family.Parameter && family.Type == config.ChatTemplateEffort && builtin.Type == config.TopLevelEffort:
		c.say(kind, Approximated, "the built-in family %s: vLLM reads the effort at the top of the body; vSR writes it into chat_template_kwargs", n.key)
		c.say(parameter, Taken, "the built-in family %s", n.key)
		return
	}
	if c.router.ReasoningFamilies == nil {
		c.router.ReasoningFamilies = map[string]config.ReasoningFamily{}
	}
	c.router.ReasoningFamilies[n.key] = family
	c.say(kind, Taken, "reasoningFamilies.%s.type", n.key)
	c.say(parameter, Taken, "reasoningFamilies.%s.parameter", n.key)
	c.origin("reasoningFamilies."+n.key, "", n)
}

// effort reads an effort and says whether it is one of ours.
func (c *converter) effort(text string) (config.Reasoning, bool) {
	switch text {
	case "xhigh", "max", "maximum":
		return config.ReasoningHigh, false
	case "none":
		return config.ReasoningOff, false
	}
	if r := config.Reasoning(text); r.Valid() {
		return r, true
	}
	return config.ReasoningOn, false
}

// reasoning reads what a model reference says of reasoning. Without a word vSR
// turns it off.
func (c *converter) reasoning(ref *node, model string) config.Reasoning {
	use, effort := ref.get("use_reasoning"), ref.get("reasoning_effort")
	if !c.bool(use, false) {
		c.say(use, Taken, "rules[].reasoning: off")
		c.say(effort, Ignored, "reasoning is off")
		if m := c.models.named(model); use == nil && (m == nil || m.ReasoningFamily == "") {
			return ""
		}
		return config.ReasoningOff
	}
	c.say(use, Taken, "rules[].reasoning")
	if effort == nil || c.str(effort) == "" {
		return config.ReasoningOn
	}
	asked, exact := c.effort(effort.text)
	if exact {
		c.say(effort, Taken, "rules[].reasoning")
	} else {
		c.say(effort, Approximated, "rules[].reasoning: %s", asked)
	}
	return asked
}
