package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var signalName = regexp.MustCompile(`^[\pL\pN_][\pL\pN_ :/-]*$`)

// checkSignals finds signals that do not exist, that nobody needs, and that
// need themselves.
func (r *Router) checkSignals(f *faults) {
	names := slices.Sorted(maps.Keys(r.Signals))
	used := map[string]bool{}
	needs := map[string][]string{} // by signal
	for at, when := range r.Conditions() {
		for _, name := range when.Signal {
			if _, ok := r.Signals[name]; !ok {
				f.add(at+".signal", "unknown signal %q%s", name, list("signals", names))
				continue
			}
			used[name] = true
			if of, ok := strings.CutPrefix(at, "signals."); ok {
				of, _, _ = strings.Cut(of, ".")
				needs[of] = append(needs[of], name)
			}
		}
	}
	for _, name := range names {
		if !signalName.MatchString(name) {
			f.add("signals."+name, "not a name: use letters, digits, spaces, and any of _ - : /")
		}
		if circle := findCircle(name, needs); circle != nil {
			f.add("signals."+name, "needs itself: %s", strings.Join(circle, " → "))
		} else if !used[name] {
			f.add("signals."+name, "no rule needs it; leave it out")
		}
	}
}

// findCircle returns the way from a signal back to itself, nil when there is
// none.
func findCircle(name string, needs map[string][]string) []string {
	seen := map[string]bool{}
	var visit func(at string, path []string) []string
	visit = func(at string, path []string) []string {
		path = append(path, at)
		for _, next := range needs[at] {
			if next == name {
				return append(path, name)
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			if circle := visit(next, path); circle != nil {
				return circle
			}
		}
		return nil
	}
	return visit(name, nil)
}
