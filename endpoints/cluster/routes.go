package cluster

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// httpRoute is what we read of a Gateway API HTTPRoute. Fields that are absent
// there have their default once read by listRoutes.
type httpRoute struct {
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		ParentRefs []parentRef `json:"parentRefs"`
		Hostnames  []string    `json:"hostnames"`
		Rules      []routeRule `json:"rules"`
	} `json:"spec"`
}

type parentRef struct {
	Namespace   string `json:"namespace"`
	Name        string `json:"name"`
	SectionName string `json:"sectionName"`
}

type routeRule struct {
	Name        string       `json:"name"`
	Matches     []routeMatch `json:"matches"`
	BackendRefs []backendRef `json:"backendRefs"`
}

type routeMatch struct {
	Path        valueMatch   `json:"path"`
	Headers     []valueMatch `json:"headers"`
	QueryParams []valueMatch `json:"queryParams"`
	Method      string       `json:"method"`
}

type valueMatch struct {
	Type  string `json:"type"` // Exact, RegularExpression; of paths PathPrefix too
	Name  string `json:"name"`
	Value string `json:"value"`
}

type backendRef struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Weight    *int32 `json:"weight"`
}

func listRoutes(ctx context.Context, reader client.Reader, kind schema.GroupVersionKind, namespace string) ([]httpRoute, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err := reader.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list HTTPRoutes: %w", err)
	}
	routes := make([]httpRoute, len(list.Items))
	for i := range list.Items {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &routes[i]); err != nil {
			return nil, fmt.Errorf("read HTTPRoute %s: %w", list.Items[i].GetName(), err)
		}
		routes[i].complete()
	}
	return routes, nil
}

// complete fills in the defaults of the API.
func (r *httpRoute) complete() {
	for i := range r.Spec.ParentRefs {
		p := &r.Spec.ParentRefs[i]
		p.Namespace = cmp.Or(p.Namespace, r.Namespace)
	}
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		if len(rule.Matches) == 0 {
			rule.Matches = make([]routeMatch, 1)
		}
		for j := range rule.Matches {
			m := &rule.Matches[j]
			m.Path.Type = cmp.Or(m.Path.Type, pathPrefix)
			m.Path.Value = cmp.Or(m.Path.Value, "/")
			for k := range m.Headers {
				m.Headers[k].Type = cmp.Or(m.Headers[k].Type, exact)
			}
		}
		for j := range rule.BackendRefs {
			b := &rule.BackendRefs[j]
			b.Kind = cmp.Or(b.Kind, "Service")
			b.Namespace = cmp.Or(b.Namespace, r.Namespace)
		}
	}
}

const (
	exact      = "Exact"
	pathPrefix = "PathPrefix"
	regex      = "RegularExpression"
)

// A listener is where requests come in: one host of one gateway. Rules of
// different listeners never meet.
type listener struct{ gateway, host string }

func (l listener) String() string { return "gateway " + l.gateway + ", host " + l.host }

// An option is one match of one rule at one listener: what a gateway chooses
// among.
type option struct {
	match   *routeMatch
	pools   []string // ours that the rule leads to
	others  []string // what else it leads to
	name    string   // of the rule
	route   string
	created time.Time
	order   int // within the route
}

// listeners are the options of each listener at which a rule leads to one of our
// pools. leads says whether a backend is one.
func listeners(routes []httpRoute, leads func(backendRef) bool) map[listener][]option {
	all := map[listener][]option{}
	relevant := map[listener]bool{}
	for i := range routes {
		r := &routes[i]
		if !r.DeletionTimestamp.IsZero() {
			continue
		}
		options := r.options(leads)
		toUs := slices.ContainsFunc(options, func(o option) bool { return len(o.pools) > 0 })
		hosts := r.Spec.Hostnames
		if len(hosts) == 0 {
			hosts = []string{"*"}
		}
		for _, p := range r.Spec.ParentRefs {
			gateway := p.Namespace + "/" + p.Name
			if p.SectionName != "" {
				gateway += "/" + p.SectionName
			}
			for _, host := range hosts {
				at := listener{gateway, host}
				all[at] = append(all[at], options...)
				relevant[at] = relevant[at] || toUs
			}
		}
	}
	for at := range all {
		if !relevant[at] {
			delete(all, at)
		}
	}
	return all
}

func (r *httpRoute) options(leads func(backendRef) bool) []option {
	var options []option
	for i := range r.Spec.Rules {
		rule := &r.Spec.Rules[i]
		o := option{name: rule.Name, route: r.Name, created: r.CreationTimestamp.Time, order: i}
		for _, b := range rule.BackendRefs {
			switch {
			case b.Weight != nil && *b.Weight == 0:
			case leads(b):
				o.pools = append(o.pools, b.Name)
			default:
				o.others = append(o.others, b.Kind+" "+b.Name)
			}
		}
		o.pools = sorted(o.pools)
		for j := range rule.Matches {
			o.match = &rule.Matches[j]
			options = append(options, o)
		}
	}
	return options
}

// A request is what of a request routes are tried with: a POST, since that is
// what asks a model.
type request struct{ path, header, model string }

type verdict int

const (
	no    verdict = iota
	maybe         // it depends on what a request may have or not
	yes
)

// try says whether a match takes a request.
func (m *routeMatch) try(r request) verdict {
	if m.Method != "" && m.Method != "POST" || !m.Path.takesPath(r.path) {
		return no
	}
	answer := yes
	for i := range m.Headers {
		h := &m.Headers[i]
		switch {
		case !strings.EqualFold(h.Name, r.header):
			answer = maybe
		case !h.takes(r.model):
			return no
		}
	}
	if len(m.QueryParams) > 0 {
		answer = maybe
	}
	return answer
}

func (v *valueMatch) takes(value string) bool {
	if v.Type == regex {
		return matchesRegex(v.Value, value)
	}
	return v.Value == value
}

// takesPath compares prefixes by whole elements, as the API asks.
func (v *valueMatch) takesPath(path string) bool {
	switch v.Type {
	case pathPrefix:
		prefix := strings.TrimSuffix(v.Value, "/")
		return path == prefix || strings.HasPrefix(path, prefix+"/")
	case regex:
		return matchesRegex(v.Value, path)
	}
	return v.Value == path
}

// matchesRegex matches the whole value, as Envoy does.
func matchesRegex(pattern, value string) bool {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	return err == nil && re.MatchString(value)
}

// rank orders the options that take a request: the smallest wins (Gateway API,
// HTTPRouteRule.matches). Regular expressions are left to implementations there;
// we put them after prefixes.
func rank(a, b *option) int {
	kind := map[string]int{exact: 0, pathPrefix: 1, regex: 2}
	method := func(o *option) int { return min(len(o.match.Method), 1) }
	return cmp.Or(
		cmp.Compare(kind[a.match.Path.Type], kind[b.match.Path.Type]),
		cmp.Compare(len(b.match.Path.Value), len(a.match.Path.Value)),
		cmp.Compare(method(b), method(a)),
		cmp.Compare(len(b.match.Headers), len(a.match.Headers)),
		cmp.Compare(len(b.match.QueryParams), len(a.match.QueryParams)),
	)
}

// age decides between options of equal rank.
func age(a, b *option) int {
	return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.route, b.route), cmp.Compare(a.order, b.order))
}

// A way is what a listener does with a request.
type way struct {
	winner   *option   // nil: no rule takes it
	equals   []*option // other rules of the same rank that lead elsewhere
	possible []*option // take it where it has more headers or parameters
}

func follow(options []option, r request) way {
	var w way
	var takers []*option
	for i := range options {
		switch o := &options[i]; o.match.try(r) {
		case yes:
			takers = append(takers, o)
		case maybe:
			w.possible = append(w.possible, o)
		}
	}
	if len(takers) == 0 {
		return w
	}
	slices.SortStableFunc(takers, func(a, b *option) int { return cmp.Or(rank(a, b), age(a, b)) })
	w.winner = takers[0]
	for _, o := range takers[1:] {
		if rank(w.winner, o) == 0 && !slices.Equal(w.winner.pools, o.pools) {
			w.equals = append(w.equals, o)
		}
	}
	return w
}

// paths are those that a listener is tried with: chat completions below every
// prefix that leads to our pools, since gateways may take prefixes off.
func paths(options []option) []string {
	const chat = "/v1/chat/completions"
	tried := []string{}
	for i := range options {
		o := &options[i]
		if len(o.pools) == 0 {
			continue
		}
		switch path := o.match.Path; path.Type {
		case exact:
			tried = append(tried, path.Value)
		case pathPrefix:
			prefix := strings.TrimSuffix(path.Value, "/")
			if strings.HasPrefix(chat, prefix+"/") || chat == prefix {
				prefix = ""
			}
			tried = append(tried, prefix+chat)
		default:
			tried = append(tried, chat)
		}
	}
	return sorted(tried)
}
