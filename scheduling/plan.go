package scheduling

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"semantic-epp/config"
)

// A plan is all conditions of a policy as one graph, in which equal conditions
// are one node: what two rules ask for is evaluated once a request. It is
// immutable.
type plan struct {
	nodes []node
	// thorough evaluates all alternatives for the surest one.
	thorough bool
	words    [2]*lexicon // of keywords: letters folded, and as they are
}

// index of the lexicon in plan.words.
const folded, verbatim = 0, 1

type node struct {
	op operator
	// of are the operands, cheapest first.
	of   []int
	leaf leaf
	// onError is what a condition counts for that cannot be evaluated.
	onError config.OnError
	cost    int
}

type operator uint8

const (
	isLeaf operator = iota
	isAnd
	isOr
	isNot
	isResolved // one operand, whose errors onError resolves
)

// A leaf is one part of a condition. It is immutable.
type leaf interface {
	// test says whether it holds: yes, no or unknown.
	test(e *evaluation) result
	// needs is the source that must be at hand for test.
	needs() source
	// cost orders parts, cheapest first.
	cost() int
	// found says in words what test went by, without a word of the prompt.
	found(e *evaluation) string
}

// Costs of leaves, in their order.
const (
	lookUp  = iota // of a field
	search         // of the prompt, together with other leaves
	scan           // of the prompt for this leaf alone
	compare        // of each word of the prompt
	infer          // by a model
)

// A builder makes a plan.
type builder struct {
	plan     plan
	cfg      *config.Router
	known    map[string]int // node by key
	signals  map[string]int // node by name
	examples examples
}

func newBuilder(cfg *config.Router, embed Embedder) *builder {
	return &builder{
		plan:     plan{thorough: cfg.Strategy == config.ByConfidence, words: [2]*lexicon{newLexicon(), newLexicon()}},
		cfg:      cfg,
		known:    map[string]int{},
		signals:  map[string]int{},
		examples: examples{embed: embed, known: map[string][]float32{}},
	}
}

// condition adds a condition with all that stands inside it.
func (b *builder) condition(w *config.When) (int, error) {
	var parts []int
	for _, part := range w.Parts() {
		id, err := b.leaf(part)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", part.Kind(), err)
		}
		parts = append(parts, id)
	}
	if len(w.Signal) > 0 {
		named, err := each(w.Signal, b.signal)
		if err != nil {
			return 0, err
		}
		parts = append(parts, b.join(isOr, named))
	}
	all, err := each(pointers(w.All), b.condition)
	if err != nil {
		return 0, err
	}
	parts = append(parts, all...)
	if len(w.Any) > 0 {
		any, err := each(pointers(w.Any), b.condition)
		if err != nil {
			return 0, err
		}
		parts = append(parts, b.join(isOr, any))
	}
	if w.Not != nil {
		inside, err := b.condition(w.Not)
		if err != nil {
			return 0, err
		}
		parts = append(parts, b.add(node{op: isNot, of: []int{inside}}))
	}
	whole := b.join(isAnd, parts)
	if w.OnError != "" {
		whole = b.add(node{op: isResolved, of: []int{whole}, onError: w.OnError})
	}
	return whole, nil
}

func each[T any](list []T, add func(T) (int, error)) ([]int, error) {
	ids := make([]int, len(list))
	for i, one := range list {
		id, err := add(one)
		if err != nil {
			return nil, err
		}
		ids[i] = id
	}
	return ids, nil
}

func pointers(list []config.When) []*config.When {
	of := make([]*config.When, len(list))
	for i := range list {
		of[i] = &list[i]
	}
	return of
}

func (b *builder) signal(name string) (int, error) {
	if id, ok := b.signals[name]; ok {
		return id, nil
	}
	when := b.cfg.Signals[name]
	id, err := b.condition(&when)
	if err != nil {
		return 0, fmt.Errorf("signal %s: %w", name, err)
	}
	b.signals[name] = id
	return id, nil
}

// join makes one node of several; one stands for itself.
func (b *builder) join(op operator, of []int) int {
	if len(of) == 1 {
		return of[0]
	}
	slices.SortStableFunc(of, func(x, y int) int { return cmp.Compare(b.plan.nodes[x].cost, b.plan.nodes[y].cost) })
	return b.add(node{op: op, of: of})
}

// add adds a node, or finds the one that is equal.
func (b *builder) add(n node) int {
	key := fmt.Sprint(n.op, n.onError, n.of)
	if id, ok := b.known[key]; ok {
		return id
	}
	for _, id := range n.of {
		n.cost = max(n.cost, b.plan.nodes[id].cost)
	}
	return b.append(key, n)
}

func (b *builder) append(key string, n node) int {
	id := len(b.plan.nodes)
	b.plan.nodes = append(b.plan.nodes, n)
	b.known[key] = id
	return id
}

// leaf adds one part of a condition.
func (b *builder) leaf(part *config.When) (int, error) {
	if len(part.Domain) > 0 && part.MinConfidence == nil {
		part.MinConfidence = b.cfg.Classifier.MinConfidence
	}
	key := part.Key()
	if id, ok := b.known[key]; ok {
		return id, nil
	}
	made, err := b.newLeaf(part)
	if err != nil {
		return 0, err
	}
	return b.append(key, node{leaf: made, cost: made.cost()}), nil
}

func (b *builder) newLeaf(part *config.When) (leaf, error) {
	kind, field, _ := strings.Cut(part.Kind(), ".")
	switch kind {
	case "domain":
		return &domainLeaf{categories: part.Domain, min: *part.MinConfidence}, nil
	case "keyword":
		return b.newKeyword(part.Keyword), nil
	case "regex":
		return newRegex(part.Regex)
	case "embedding":
		return b.examples.newEmbedding(part.Embedding)
	case "complexity":
		return b.examples.newComplexity(part.Complexity)
	case "contextTokens":
		return &tokensLeaf{bounds: newBounds(part.ContextTokens)}, nil
	case "language":
		return &languageLeaf{codes: part.Language}, nil
	case "conversation":
		return newConversation(field, part.Conversation), nil
	case "header", "metadata":
		return newField(kind, field, part)
	}
	return newSchedule(part.Time)
}
