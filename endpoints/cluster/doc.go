// Package cluster fills a [semantic-epp/endpoints.Store] from Kubernetes.
//
// A [Source] follows one namespace: the pods of one InferencePool, of several,
// of all that name a picker's Service, or of a label selector without a pool.
// It knows which pool serves a model, follows InferenceObjective and
// InferenceModelRewrite where the API server has them, and compares the
// HTTPRoutes with what the pools serve: a gateway drops a pick that lies outside
// of the pool its route leads to without a word, so each such [Problem] is told
// before it costs a request.
//
// One reconciler reads everything from the cache and computes the whole picture
// anew at every change. Pods are told ready, and endpoints are named, as GIE's
// own reconcilers do (pkg/epp/controller, pkg/epp/datastore); why these are not
// used themselves stands in docs/decisions/0008-several-pools.md.
package cluster
