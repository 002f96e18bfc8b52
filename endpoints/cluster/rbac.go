package cluster

import rbacv1 "k8s.io/api/rbac/v1"

// Rules are the permissions that a Source needs in the namespace that it
// follows, the least of them: a Role will do. Those for objectives, rewrites,
// routes and events may be left out, and so may what they serve.
func (c Config) Rules() []rbacv1.PolicyRule {
	follow := []string{"get", "list", "watch"}
	rules := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: follow}}
	if c.Selector == "" {
		group := c.PoolGroup
		if group == "" {
			group = Group
		}
		rules = append(rules,
			rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{"inferencepools"}, Verbs: follow},
			rbacv1.PolicyRule{APIGroups: []string{OldGroup}, Resources: []string{"inferenceobjectives", "inferencemodelrewrites"}, Verbs: follow},
			rbacv1.PolicyRule{APIGroups: []string{routeKind.Group}, Resources: []string{"httproutes"}, Verbs: follow},
		)
	}
	if c.Selector == "" || c.LeaderElection { // an election tells its outcome as an event too
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"", "events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}})
	}
	if c.LeaderElection {
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "update"}})
	}
	return rules
}
