package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

// apiServer keeps objects of one namespace and answers the little of the
// Kubernetes API that clients ask: discovery, lists, watches, single objects.
type apiServer struct {
	*httptest.Server
	forbidden []string // resources that may not be listed

	mu      sync.Mutex
	version int
	groups  map[string]map[string]string // group version → kind → resource
	objects map[string]map[string]any    // collection/name → object
	log     []change
	changed chan struct{} // closed and renewed at every change
}

type change struct {
	version    int
	collection string
	Type       string `json:"type"`
	Object     any    `json:"object"`
}

// The kinds that the API server has, as the guides install them.
var (
	coreKinds  = map[string]map[string]string{"v1": {"Pod": "pods", "Event": "events"}, "coordination.k8s.io/v1": {"Lease": "leases"}, "events.k8s.io/v1": {"Event": "events"}}
	poolKinds  = map[string]map[string]string{Group + "/v1": {"InferencePool": "inferencepools"}}
	routeKinds = map[string]map[string]string{"gateway.networking.k8s.io/v1": {"HTTPRoute": "httproutes"}}
	// InferencePool of v1 beside its forerunner, and no InferenceModelRewrite yet.
	v10Kinds = map[string]map[string]string{OldGroup + "/v1alpha2": {"InferenceObjective": "inferenceobjectives", "InferencePool": "inferencepools"}}
	v15Kinds = map[string]map[string]string{OldGroup + "/v1alpha2": {"InferenceObjective": "inferenceobjectives", "InferenceModelRewrite": "inferencemodelrewrites"}}
)

func newAPIServer(t testing.TB, kinds ...map[string]map[string]string) *apiServer {
	s := &apiServer{groups: map[string]map[string]string{}, objects: map[string]map[string]any{}, changed: make(chan struct{})}
	for _, groups := range kinds {
		for group, of := range groups {
			s.groups[group] = of
		}
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// config asks for JSON, since the server reads no protobuf.
func (s *apiServer) config() *rest.Config {
	return &rest.Config{Host: s.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// collectionOf finds where objects of a kind are kept.
func (s *apiServer) collectionOf(u *unstructured.Unstructured) string {
	resource := s.groups[u.GetAPIVersion()][u.GetKind()]
	if resource == "" {
		panic(fmt.Sprintf("no kind %s in %s", u.GetKind(), u.GetAPIVersion()))
	}
	return u.GetAPIVersion() + "/" + resource
}

// apply makes or replaces the objects of a YAML stream.
func (s *apiServer) apply(t testing.TB, text string) {
	t.Helper()
	for doc := range strings.SplitSeq(text, "\n---") {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(doc), &u.Object); err != nil {
			t.Fatal(err)
		}
		s.put(s.collectionOf(u), u)
	}
}

func (s *apiServer) put(collection string, u *unstructured.Unstructured) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := collection + "/" + u.GetName()
	kind := "ADDED"
	if _, ok := s.objects[key]; ok {
		kind = "MODIFIED"
	}
	s.version++
	u.SetNamespace("default")
	u.SetResourceVersion(fmt.Sprint(s.version))
	s.objects[key] = u.Object
	s.record(kind, collection, u.Object)
}

func (s *apiServer) remove(collection, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	object := s.objects[collection+"/"+name]
	delete(s.objects, collection+"/"+name)
	s.version++
	s.record("DELETED", collection, object)
}

func (s *apiServer) record(kind, collection string, object any) {
	s.log = append(s.log, change{s.version, collection, kind, object})
	close(s.changed)
	s.changed = make(chan struct{})
}

// all are the objects of a collection.
func (s *apiServer) all(collection string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []map[string]any
	for key, o := range s.objects {
		if strings.HasPrefix(key, collection+"/") {
			found = append(found, o)
		}
	}
	return found
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	path := strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(r.URL.Path, "/apis"), "/api"), "/")
	group, rest, namespaced := strings.Cut(path, "/namespaces/default/")
	if !namespaced {
		s.discovery(w, r, path)
		return
	}
	resource, name, _ := strings.Cut(rest, "/")
	collection := group + "/" + resource
	switch {
	case slices.Contains(s.forbidden, resource):
		fail(w, http.StatusForbidden, "Forbidden")
	case r.Method == http.MethodPost || r.Method == http.MethodPut:
		u := &unstructured.Unstructured{}
		if err := json.NewDecoder(r.Body).Decode(&u.Object); err != nil {
			fail(w, http.StatusBadRequest, "BadRequest")
			return
		}
		s.put(collection, u)
		_ = json.NewEncoder(w).Encode(u.Object)
	case r.Method != http.MethodGet:
		fail(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	case r.URL.Query().Get("watch") != "":
		s.watch(w, r, collection)
	case name != "":
		s.mu.Lock()
		object, ok := s.objects[collection+"/"+name]
		s.mu.Unlock()
		if !ok {
			fail(w, http.StatusNotFound, "NotFound")
			return
		}
		_ = json.NewEncoder(w).Encode(object)
	default:
		s.list(w, r, group, resource)
	}
}

func fail(w http.ResponseWriter, code int, reason string) {
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":%q,"message":"refused by the test"}`, code, reason)
}

func (s *apiServer) discovery(w http.ResponseWriter, r *http.Request, path string) {
	type resource struct {
		Name       string   `json:"name"`
		Kind       string   `json:"kind"`
		Namespaced bool     `json:"namespaced"`
		Verbs      []string `json:"verbs"`
	}
	if kinds, ok := s.groups[path]; ok {
		var all []resource
		for kind, name := range kinds {
			all = append(all, resource{name, kind, true, []string{"list", "watch"}})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIResourceList", "groupVersion": path, "resources": all})
		return
	}
	switch {
	case r.URL.Path == "/api":
		_, _ = w.Write([]byte(`{"kind":"APIVersions","versions":["v1"]}`))
	case r.URL.Path == "/apis":
		var groups []any
		for group := range s.groups {
			if g := groupOf(group); g != nil {
				groups = append(groups, g)
			}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"kind": "APIGroupList", "groups": groups})
	default:
		for group := range s.groups {
			if strings.HasPrefix(group, path+"/") {
				_ = json.NewEncoder(w).Encode(groupOf(group))
				return
			}
		}
		fail(w, http.StatusNotFound, "NotFound")
	}
}

func groupOf(groupVersion string) map[string]any {
	name, version, ok := strings.Cut(groupVersion, "/")
	if !ok {
		return nil
	}
	v := map[string]any{"groupVersion": groupVersion, "version": version}
	return map[string]any{"kind": "APIGroup", "name": name, "versions": []any{v}, "preferredVersion": v}
}

func selected(r *http.Request, object map[string]any) bool {
	u := &unstructured.Unstructured{Object: object}
	byLabel, err := labels.Parse(r.URL.Query().Get("labelSelector"))
	byField, err2 := fields.ParseSelector(r.URL.Query().Get("fieldSelector"))
	return err == nil && err2 == nil && byLabel.Matches(labels.Set(u.GetLabels())) &&
		byField.Matches(fields.Set{"metadata.name": u.GetName(), "metadata.namespace": u.GetNamespace()})
}

func (s *apiServer) list(w http.ResponseWriter, r *http.Request, group, resource string) {
	items := []any{}
	kind := ""
	for k, name := range s.groups[group] {
		if name == resource {
			kind = k
		}
	}
	for _, o := range s.all(group + "/" + resource) {
		if selected(r, o) {
			items = append(items, o)
		}
	}
	s.mu.Lock()
	version := fmt.Sprint(s.version)
	s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": group, "kind": kind + "List", "metadata": map[string]any{"resourceVersion": version}, "items": items})
}

func (s *apiServer) watch(w http.ResponseWriter, r *http.Request, collection string) {
	if r.URL.Query().Get("sendInitialEvents") != "" { // clients list instead then
		fail(w, http.StatusUnprocessableEntity, "Invalid")
		return
	}
	var from int
	_, _ = fmt.Sscan(r.URL.Query().Get("resourceVersion"), &from)
	w.WriteHeader(http.StatusOK)
	for {
		s.mu.Lock()
		log, changed := s.log, s.changed
		s.mu.Unlock()
		for _, c := range log {
			if c.version > from && c.collection == collection {
				if !selected(r, c.Object.(map[string]any)) {
					c.Type = "DELETED" // it left what is watched
				}
				_ = json.NewEncoder(w).Encode(c)
			}
			from = max(from, c.version)
		}
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
	}
}
