package vsr

import (
	"math"
	"strings"

	"semantic-epp/config"
)

// readDecisions makes rules of the decisions of generations 1 and 2.
func (c *converter) readDecisions() {
	decisions := c.objects(c.vsr.at(c.layout.decisions))
	places := map[[2]float64]int{}
	for _, n := range decisions {
		places[[2]float64{c.num(n.get("tier"), 0), c.num(n.get("priority"), 0)}]++
	}
	for _, n := range decisions {
		tier, priority := n.get("tier"), n.get("priority")
		r := &rule{Rule: config.Rule{
			Name: c.uniqueName(c.str(n.get("name"))), Description: c.str(n.get("description")),
			Tier: c.whole(tier), Priority: c.whole(priority),
		}, from: []*node{n}}
		c.say(n.get("name"), Taken, "rules[].name")
		c.say(n.get("description"), Taken, "rules[].description")
		c.say(tier, Taken, "rules[].tier")
		c.say(priority, Taken, "rules[].priority")
		if equal := places[[2]float64{c.num(tier, 0), c.num(priority, 0)}]; equal > 1 && c.router.Strategy != config.ByConfidence {
			c.say(priority, Approximated, "rules[].priority; of the %d rules with this one, the first that holds decides, where vSR takes the most confident", equal)
		}
		r.cond = c.condition(n.get("rules"))
		refs := c.references(n.get("modelRefs"))
		r.rank(refs)
		c.weights(r, refs)
		c.readAlgorithm(n.get("algorithm"))
		c.readPlugins(r, n.get("plugins"))
		if len(r.Models) == 0 && r.Respond == nil {
			c.decideDefault(r, n)
		}
		c.rules = append(c.rules, r)
	}
}

// decideDefault gives a decision without models the default model.
func (c *converter) decideDefault(r *rule, n *node) {
	fallback := c.vsr.at(c.layout.defaultModel)
	if c.str(fallback) == "" {
		r.cond = cannot("it names no model, and there is no default model")
		return
	}
	r.Models = []config.ModelScore{{Name: c.modelFor(fallback.text, "", fallback)}}
	c.say(n.get("name"), Approximated, "rules[].name; it names no model: the default model serves it")
}

// whole reads a whole number.
func (c *converter) whole(n *node) int {
	v := c.num(n, 0)
	if v != math.Trunc(v) || math.Abs(v) > math.MaxInt32 {
		c.fault(n, "must be a whole number")
		return 0
	}
	return int(v)
}

// references reads modelRefs: vSR takes the first unless an algorithm or
// weights choose; here each has a lower score than the one before.
func (c *converter) references(n *node) []scored {
	var found []scored
	for i, ref := range c.objects(n) {
		base, lora := ref.get("model"), ref.get("lora_name")
		if c.str(base) == "" {
			c.fault(ref, "a reference needs a model")
			continue
		}
		name := c.modelFor(base.text, c.str(lora), base)
		score := math.Round(100/float64(i+1)) / 100
		found = append(found, scored{name: name, score: max(score, 0.001), weight: ref.get("weight"), reasoning: c.reasoning(ref, name)})
		c.say(base, Taken, "rules[].models[].name")
		if lora != nil {
			c.say(lora, Taken, "rules[].models[].name, an adapter of %s", base.text)
			if lora.text == "" {
				c.say(lora, Taken, "no adapter")
			}
		}
	}
	return found
}

// weights splits requests between the models of a rule, as vSR's weights do.
func (c *converter) weights(r *rule, found []scored) {
	total, times := 0.0, 1.0
	for _, m := range found {
		v := max(c.num(m.weight, 0), 0)
		total += v
		if v != math.Trunc(v) {
			times = 100
		}
	}
	for _, m := range found {
		switch {
		case m.weight == nil:
			continue
		case len(r.Models) < 2:
			c.say(m.weight, Taken, "the rule has one model: there is nothing to split")
			continue
		case total == 0:
			c.say(m.weight, Ignored, "all weights are 0: the first model comes first")
			continue
		}
		for i := range r.Models {
			if r.Models[i].Name == m.name && r.Models[i].Weight == nil {
				share := int(math.Round(min(max(c.num(m.weight, 0), 0)*times, 1e6)))
				r.Models[i].Weight = &share
			}
		}
		if times == 1 {
			c.say(m.weight, Taken, "rules[].models[].weight")
		} else {
			c.say(m.weight, Approximated, "rules[].models[].weight, in hundredths")
		}
	}
}

// readAlgorithm says what becomes of a way to choose between models.
func (c *converter) readAlgorithm(n *node) {
	if n == nil {
		return
	}
	kind := n.get("type")
	c.say(n.get("on_error"), Ignored, "the ranking of a rule cannot fail")
	switch name := c.str(kind); name {
	case "static", "":
		c.say(kind, Taken, "models are ranked in the order in which they stand")
	case "multi_factor", "latency_aware":
		c.warn(kind, Approximated, "models are ranked in the order in which they stand; the load of replicas enters by the scorers and by spillOver")
	case "confidence", "ratings", "remom", "fusion", "workflows":
		c.warn(kind, Approximated, "one request asks one model: the first answers alone")
	default:
		c.warn(kind, Approximated, "models are ranked in the order in which they stand, not by %.40q", name)
	}
}

// readPlugins reads what a decision does beside choosing a model.
func (c *converter) readPlugins(r *rule, plugins *node) {
	for _, p := range c.objects(plugins) {
		kind, settings := c.str(p.get("type")), p.get("configuration")
		place := known().plugins.keys[kind]
		switch {
		case place == nil:
			c.cover(p, remark{outcome: Unknown, warn: true, note: "vSR knows no plugin of that type"})
			continue
		case place.free != nil:
			on := place.free.verdict == "guard" && c.bool(settings.get("enabled"), true)
			c.keys[p.get("type")] = remark{outcome: Ignored, warn: on, note: place.free.note}
			continue
		}
		switch kind {
		case "system_prompt":
			c.say(p.get("type"), Taken, "rules[].systemPrompt")
			c.systemPrompt(r, settings.get("system_prompt"), settings.get("enabled"), settings.get("mode"))
			continue
		}
		if !c.bool(settings.get("enabled"), true) {
			c.cover(p, remark{outcome: Ignored, note: "it is not enabled in vSR either"})
			continue
		}
		c.say(settings.get("enabled"), Taken, "enabled")
		switch kind {
		case "header_mutation":
			c.say(p.get("type"), Taken, "rules[].headers")
			c.headers(r, settings)
		case "request_params":
			c.say(p.get("type"), Taken, "rules[].parameters")
			c.parameters(r, settings)
		case "fast_response":
			c.say(p.get("type"), Taken, "rules[].respond")
			c.respond(r, settings)
		}
	}
	if r.Respond != nil { // no model is asked
		r.Models, r.Reasoning, r.SystemPrompt, r.Parameters = nil, "", nil, nil
	}
}

func (c *converter) headers(r *rule, settings *node) {
	h := &config.Headers{}
	for _, field := range c.objects(settings.get("add")) {
		c.setHeader(h, field, Approximated, "rules[].headers.set: it replaces a field of that name")
	}
	for _, field := range c.objects(settings.get("update")) {
		c.setHeader(h, field, Taken, "rules[].headers.set")
	}
	for _, name := range c.strs(settings.get("delete")) {
		if name = strings.ToLower(name); h.Set[name] == "" {
			h.Remove = append(h.Remove, name)
		}
	}
	c.say(settings.get("delete"), Taken, "rules[].headers.remove")
	if h.Set != nil || h.Remove != nil {
		r.Headers = h
	}
}

func (c *converter) setHeader(h *config.Headers, field *node, outcome Outcome, note string) {
	if h.Set == nil {
		h.Set = map[string]string{}
	}
	h.Set[strings.ToLower(c.str(field.get("name")))] = c.str(field.get("value"))
	c.say(field.get("name"), outcome, "%s", note)
	c.say(field.get("value"), outcome, "%s", note)
}

func (c *converter) parameters(r *rule, settings *node) {
	block, tokens, n := settings.get("blocked_params"), settings.get("max_tokens_limit"), settings.get("max_n")
	p := &config.Parameters{Block: c.strs(block), MaxTokens: max(c.whole(tokens), 0), MaxN: max(c.whole(n), 0)}
	c.say(block, Taken, "rules[].parameters.block")
	c.say(tokens, Approximated, "rules[].parameters.maxTokens, which is also set where the client set none")
	c.say(n, Taken, "rules[].parameters.maxN")
	c.say(settings.get("strip_unknown"), Ignored, "fields that are not named go on to the model server")
	if p.Block != nil || p.MaxTokens > 0 || p.MaxN > 0 {
		r.Parameters = p
	}
}

func (c *converter) respond(r *rule, settings *node) {
	text := settings.get("message")
	if c.str(text) == "" {
		c.say(text, Ignored, "there is nothing to answer")
		return
	}
	r.Respond = &config.Respond{Text: text.text}
	c.say(text, Taken, "rules[].respond.text")
}
