package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Bounds on what a classifier is opened with: start-up embeds each example.
const (
	maxCategories   = 256
	maxExamples     = 1024     // of one category or condition
	maxAllExamples  = 16 << 10 // together
	maxExample      = 4 << 10  // bytes
	maxClassify     = 8192     // tokens
	maxCacheEntries = 1 << 24
)

var knownModels = []string{"builtin", "small", "linear", "none"}

var (
	deviceName = regexp.MustCompile(`^(auto|cpu|cuda(:[0-9]{1,3})?)$`)
	digest     = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

func (c *Classifier) check(f *faults, r *Router) {
	if !slices.Contains(knownModels, c.Model) && !c.isPath() {
		f.add("classifier.model", "%q; use %s, or the path of a model directory, such as ./%s",
			c.Model, strings.Join(knownModels, ", "), c.Model)
	}
	if !deviceName.MatchString(c.Device) {
		f.add("classifier.device", "%q; use auto, cpu, cuda, or cuda:N with the number of a GPU", c.Device)
	}
	if c.MaxTokens < 8 || c.MaxTokens > maxClassify {
		f.add("classifier.maxTokens", "%d; use a number in [8, %d]", c.MaxTokens, maxClassify)
	}
	c.checkFiles(f)
	c.checkCategories(f)
	c.checkCascade(f)
	f.natural("classifier.cache.entries", c.Cache.Entries)
	f.most("classifier.cache.entries", "entries", c.Cache.Entries, maxCacheEntries)
	if c.Cache.TenantHeader != "" {
		if c.Cache.Entries == 0 {
			f.add("classifier.cache.tenantHeader", "only has a meaning beside entries")
		}
		r.checkTrusted(f, "classifier.cache.tenantHeader", c.Cache.TenantHeader)
	}
	f.number("classifier.minConfidence", c.MinConfidence, 0, 1)
	if c.Timeout < 0 {
		f.add("classifier.timeout", "negative")
	}
	f.natural("classifier.concurrency", c.Concurrency)
	f.natural("classifier.queue", c.Queue)
}

// isPath says whether classifier.model names a directory.
func (c *Classifier) isPath() bool { return strings.Contains(c.Model, "/") }

// checkFiles checks what only a model directory has.
func (c *Classifier) checkFiles(f *faults) {
	if c.File != "" {
		switch {
		case !c.isPath():
			f.add("classifier.file", "only has a meaning where classifier.model is a path")
		case strings.HasPrefix(c.File, "/") || slices.Contains(strings.Split(c.File, "/"), ".."):
			f.add("classifier.file", "%q is outside the model directory", c.File)
		}
	}
	if len(c.SHA256) > 0 && !c.isPath() {
		f.add("classifier.sha256", "only has a meaning where classifier.model is a path")
	}
	for _, name := range slices.Sorted(maps.Keys(c.SHA256)) {
		if !digest.MatchString(c.SHA256[name]) {
			f.add("classifier.sha256."+name, "%q is not a SHA-256 digest of 64 hexadecimal digits", c.SHA256[name])
		}
	}
}

func (c *Classifier) checkCategories(f *faults) {
	if c.Categories == nil {
		return
	}
	if c.Model == "none" || c.Model == "linear" {
		f.add("classifier.categories", "needs a model that embeds texts, but classifier.model is %s", c.Model)
	}
	if len(c.Categories) < 2 {
		f.add("classifier.categories", "%d; name at least two categories, so that there is a choice", len(c.Categories))
	}
	f.most("classifier.categories", "categories", len(c.Categories), maxCategories)
	for _, name := range slices.Sorted(maps.Keys(c.Categories)) {
		at := "classifier.categories." + name
		if strings.TrimSpace(name) == "" {
			f.add(at, "a category needs a name")
		}
		if len(c.Categories[name]) == 0 {
			f.add(at, "empty; give about ten example prompts")
		}
		f.texts(at, "examples", c.Categories[name], maxExamples, maxExample)
	}
}

func (c *Classifier) checkCascade(f *faults) {
	if c.Cascade.Linear == nil {
		return
	}
	f.positive("classifier.cascade.linear", c.Cascade.Linear, 1)
	switch {
	case c.Model == "none" || c.Model == "linear":
		f.add("classifier.cascade.linear", "needs another model after the pure-Go one, but classifier.model is %s", c.Model)
	case c.Categories != nil:
		f.add("classifier.cascade.linear", "the pure-Go model does not know your categories: leave one of the two out")
	}
}

// checkSize bounds what all conditions hold together.
func (r *Router) checkSize(f *faults) {
	conditions, words, examples := 0, 0, 0
	for _, w := range r.Conditions() {
		conditions++
		if w.Keyword != nil {
			words += len(w.Keyword.Any) + len(w.Keyword.All) + len(w.Keyword.None)
		}
		if w.Embedding != nil {
			examples += len(w.Embedding.Examples)
		}
		if w.Complexity != nil {
			examples += len(w.Complexity.Hard) + len(w.Complexity.Easy)
		}
	}
	f.most("rules", "conditions together", conditions, maxConditions)
	f.most("rules", "keywords together", words, maxAllWords)
	f.most("rules", "examples together", examples, maxAllExamples)
	for name := range r.Classifier.Categories {
		examples += len(r.Classifier.Categories[name])
	}
	f.most("classifier.categories", "examples together with those of rules", examples, maxAllExamples)
}
