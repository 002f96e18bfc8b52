// Package manifests renders what lies under manifests/ as Helm and kustomize
// do, and checks it without a cluster: against the schemas of the real CRDs and
// the types of Kubernetes, object against object, and against the picker itself.
//
// It is a module of its own, so that the picker's does not carry Helm. CRDs are
// read from the Go modules that their projects publish, pinned with checksums.
package manifests
