package manifests

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestFaults makes one mistake at a time in an installation and wants it told.
func TestFaults(t *testing.T) {
	const (
		pools    = "guide GIE and Istio, simulated models"
		services = "guide Istio without pools, simulated models"
		tenants  = "guide GIE and Istio, two tenants"
		gpus     = "guide GIE and Istio, vLLM on GPUs"
	)
	tests := map[string]struct {
		in       string // the installation
		kind     string // of the object to spoil
		old, new string // within its YAML
		want     string // part of a problem
	}{
		"an unknown field of a core kind":                  {pools, "Deployment", "replicas:", "replica:", "unknown field"},
		"an unknown field of a custom resource":            {pools, "InferencePool", "targetPorts:", "targetPort:", "unknown field"},
		"a value that the schema refuses":                  {pools, "InferencePool", "FailClose", "FailSlow", "FailSlow"},
		"a kind that nobody serves":                        {pools, "InferencePool", "inference.networking.k8s.io/v1", "inference.networking.k8s.io/v9", "no CRD serves"},
		"a Gateway API rule in CEL":                        {pools, "HTTPRoute", "path:\n        type: PathPrefix\n        value: /", "path:\n        type: PathPrefix\n        value: x", "absolute path"},
		"a selector that misses its pods":                  {pools, "Deployment", "matchLabels:\n      app:", "matchLabels:\n      ap:", "does not find its own pods"},
		"a Service that selects nothing":                   {pools, "Service", "selector:\n    app.kubernetes.io/instance: semantic-epp", "selector:\n    app.kubernetes.io/instance: other", "finds no pods"},
		"a Service's port that no container opens":         {pools, "Service", "targetPort: grpc-secure", "targetPort: grpc", "do not open"},
		"a picker's Service that is not there":             {pools, "InferencePool", "name: semantic-epp", "name: semantic-router", "made nowhere"},
		"a picker's port that is not there":                {pools, "InferencePool", "number: 9002", "number: 9001", "has no port 9001"},
		"a pool of no pods":                                {pools, "InferencePool", "app: phi4-mini", "app: phi-4-mini", "selector finds no pods"},
		"a pool's port that no container opens":            {pools, "InferencePool", "number: 8000", "number: 8080", "do not open 8080"},
		"a route to no pool":                               {pools, "HTTPRoute", "name: phi4-mini", "name: phi4", "InferencePool semantic-epp/phi4 is made nowhere"},
		"a route to no Service":                            {services, "HTTPRoute", "name: phi4-mini\n      port: 80", "name: phi4-mini\n      port: 8000", "has no port 8000"},
		"a route without a catch-all":                      {pools, "HTTPRoute", "- path:\n        type: PathPrefix\n        value: /\n", "- path:\n        type: PathPrefix\n        value: /math\n", "never reach the picker"},
		"rules of one name":                                {tenants, "HTTPRoute", "  rules:\n  - backendRefs:", "  rules:\n  - name: default\n    backendRefs:", "is also one of"},
		"a gateway that is not there":                      {pools, "HTTPRoute", "- name: inference-gateway", "- name: gateway", "Gateway semantic-epp/gateway is made nowhere"},
		"a listener that takes no routes of the namespace": {tenants, "HTTPRoute", "sectionName: tenant-a", "sectionName: tenant-b", "takes routes of this namespace"},
		"a namespace that is made nowhere":                 {pools, "InferencePool", "namespace: semantic-epp", "namespace: default", `namespace "default" is made nowhere`},
		"a Secret of another name":                         {gpus, "Deployment", "name: hf-token-secret", "name: hf-token", "Secret hf-token is made nowhere"},
		"a ConfigMap of another name":                      {pools, "Deployment", "name: semantic-epp-config", "name: config", "ConfigMap config is made nowhere"},
		"a floating image tag":                             {pools, "Deployment", "llm-d-inference-sim:v0.8.2", "llm-d-inference-sim:latest", "no fixed tag"},
		"subPath":                                          {pools, "Deployment", "mountPath: /etc/semantic-epp/config\n", "mountPath: /etc/semantic-epp/config\n          subPath: config.yaml\n", "subPath"},
		"a probe of a port that is not open":               {pools, "Deployment", "port: 9003", "port: 9004", "a probe asks for port 9004"},
		"a grace period shorter than the drain":            {pools, "Deployment", "terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 30", "is over before the drain"},
		"a budget of nothing":                              {pools, "PodDisruptionBudget", "app.kubernetes.io/name: semantic-epp\n", "app.kubernetes.io/name: other\n", "finds no pods"},
		"a binding of another role":                        {pools, "RoleBinding", "kind: Role\n  name: semantic-epp", "kind: Role\n  name: other", "Role other is made nowhere"},
		"rights to everything":                             {pools, "Role", "- pods", "- '*'", "more than is needed"},
		"TLS for another port":                             {pools, "DestinationRule", "number: 9002", "number: 9001", "has no port 9001"},
		"a filter that Envoy does not know":                {services, "EnvoyFilter", "failure_mode_allow", "failure_mode_permit", "Envoy does not take"},
		"a filter's cluster that is not there":             {services, "EnvoyFilter", "semantic-epp.semantic-epp.svc", "semantic-router.semantic-epp.svc", "made nowhere"},
		"a filter for another gateway":                     {services, "EnvoyFilter", "gateway-name: inference-gateway", "gateway-name: other", "is not in this namespace"},
		"a fail-open filter in duplex mode":                {services, "EnvoyFilter", "failure_mode_allow: false", "failure_mode_allow: true", "promises"},
		"a rate limit that Envoy does not know":            {tenants, "EnvoyFilter", "fill_interval: 60s", "fill_interval: 60 s", "Envoy does not take"},
		"a certificate without a grant":                    {tenants, "ReferenceGrant", "name: gateway-tls", "name: other", "no ReferenceGrant"},
		"a peer that is not there":                         {tenants, "NetworkPolicy", "metadata.name: gateways", "metadata.name: gateway", "made nowhere"},
		"a policy for another gateway":                     {tenants, "AuthorizationPolicy", "name: inference-gateway", "name: other", "is not in this namespace"},
		"a configuration with a fault":                     {pools, "ConfigMap", "defaultModel: llama3-8b", "defaultModel: llama-3", "unknown model"},
		"a route for a model of another configuration":     {pools, "HTTPRoute", "value: phi4-mini", "value: math-expert", "waits for the model math-expert"},
		"a model without a route":                          {pools, "HTTPRoute", "value: phi4-mini", "value: llama3-8b", "no route leads to the model phi4-mini"},
		"a model that matches no pods":                     {pools, "ConfigMap", "match: {app: phi4-mini}", "match: {app: phi4}", "no pods match the model phi4-mini"},
		"a flag that the picker does not have":             {services, "Deployment", "--metrics-port=9090", "--metric-port=9090", "no flag --metric-port"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			objects, given := installations[tt.in].render(t)
			spoiled := 0
			for i, object := range objects {
				if object.GetKind() == tt.kind {
					objects[i] = spoil(t, object, tt.old, tt.new, &spoiled)
				}
			}
			if spoiled == 0 {
				t.Fatalf("no %s has %q", tt.kind, tt.old)
			}
			if got := problems(t, objects, given); !strings.Contains(got, tt.want) {
				t.Errorf("want a problem with %q, got:\n%s", tt.want, got)
			}
		})
	}
	t.Run("an object that is there twice", func(t *testing.T) {
		objects, given := installations[pools].render(t)
		if got := problems(t, append(objects, objects[0]), given); !strings.Contains(got, "is there twice") {
			t.Error(got)
		}
	})
}

// spoil replaces text in an object's YAML, and counts where it was found.
func spoil(t *testing.T, object Object, old, new string, count *int) Object {
	t.Helper()
	text := toYAML(t, object)
	if !strings.Contains(text, old) {
		return object
	}
	*count++
	parsed, err := Parse(strings.ReplaceAll(text, old, new), object.GetNamespace())
	if err != nil {
		t.Fatal(err)
	}
	return parsed[0]
}

func problems(t *testing.T, objects []Object, given []string) string {
	t.Helper()
	var all []string
	for _, object := range objects {
		if err := schemas.Validate(object); err != nil {
			all = append(all, err.Error())
		}
	}
	all = append(all, Relations(objects, given...)...)
	for _, flag := range picker.UnknownFlags(objects) {
		all = append(all, "no flag "+flag)
	}
	if err := picker.Validate(objects, t.TempDir()); err != nil {
		all = append(all, err.Error())
	}
	return strings.Join(all, "\n")
}

// TestChartRefuses gives the chart values that cannot work.
func TestChartRefuses(t *testing.T) {
	tests := map[string]struct{ values, want string }{
		"a key that is no value":              {"replica: 3", "replica"},
		"a value of the wrong type":           {"replicas: many", "replicas"},
		"an unknown key in a pool":            {"inferencePools: [{name: a, matchLabels: {app: a}, targetPorts: [1], selector: {}}]", "selector"},
		"a source of endpoints that is none":  {"endpoints: {from: dns}", "from"},
		"a kill before the drain":             {"shutdown: {terminationGracePeriodSeconds: 20}", "raise it"},
		"no pools where pools are asked for":  {"endpoints: {from: pools}", "names none"},
		"a selector without ports":            {"endpoints: {from: selector, selector: app=a}", "targetPorts"},
		"a volume without a claim":            {"model: {from: pvc}", "claimName"},
		"an image volume without an image":    {"model: {from: image}", "reference"},
		"an init container without an image":  {"model: {from: init}", "init.image"},
		"an election without Kubernetes":      {"{endpoints: {from: file}, leaderElection: {enabled: true}}", "needs Kubernetes"},
		"a drop-in of the Service's own name": {"service: {dropInName: semantic-epp}", "as the Service itself"},
		"routes without a default":            {"httpRoute: {enabled: true}", "no picker"},
		"a default that is no pool":           {"{inferencePools: [{name: a, matchLabels: {app: a}, targetPorts: [1]}], httpRoute: {enabled: true, defaultPool: b}}", "none of inferencePools"},
		"a model's pool that is none":         {"{inferencePools: [{name: a, matchLabels: {app: a}, targetPorts: [1]}], httpRoute: {enabled: true, defaultPool: a, models: [{model: m, pool: b}]}}", "none of inferencePools"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(file, []byte(tt.values), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Template(chart, file); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("want an error with %q, got %v", tt.want, err)
			}
		})
	}
}

// TestMonitoringFaults spoils what only the production values have.
func TestMonitoringFaults(t *testing.T) {
	tests := map[string]struct{ kind, old, new, want string }{
		"a metric that is not there":         {"PrometheusRule", "semantic_epp_endpoints_down", "semantic_epp_endpoints_lost", "no metric is called semantic_epp_endpoints_lost"},
		"an expression that is not PromQL":   {"PrometheusRule", "max(semantic_epp", "max(by semantic_epp", "parse error"},
		"another installation's metrics":     {"PrometheusRule", `namespace="semantic-epp",`, "", "is not limited to this installation"},
		"a monitor of no Service":            {"ServiceMonitor", "app.kubernetes.io/instance: semantic-epp\n      app", "app.kubernetes.io/instance: other\n      app", "finds 0 Services"},
		"a monitor of no port":               {"ServiceMonitor", "port: http-metrics", "port: metrics", "has no port metrics"},
		"a scaler of another Deployment":     {"HorizontalPodAutoscaler", "kind: Deployment\n    name: semantic-epp", "kind: Deployment\n    name: other", "Deployment other is made nowhere"},
		"a policy for other pods":            {"NetworkPolicy", "app.kubernetes.io/name: semantic-epp\n  policyTypes", "app.kubernetes.io/name: other\n  policyTypes", "finds no pods"},
		"a policy for a port that is closed": {"NetworkPolicy", "port: grpc-plain", "port: grpc-open", "do not open"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			objects, given := installations["chart, production.yaml"].render(t)
			spoiled := 0
			for i, object := range objects {
				if object.GetKind() == tt.kind {
					objects[i] = spoil(t, object, tt.old, tt.new, &spoiled)
				}
			}
			if spoiled == 0 {
				t.Fatalf("no %s has %q", tt.kind, tt.old)
			}
			got := strings.Join(append(Relations(objects, given...), Alerts(objects, metrics)...), "\n")
			if !strings.Contains(got, tt.want) {
				t.Errorf("want a problem with %q, got:\n%s", tt.want, got)
			}
		})
	}
}

func TestPageFaults(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "manifests"), 0o755); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct{ page, want string }{
		"a link to nothing":            {"[x](nothing.md)", "no such file"},
		"a link to no heading":         {"# Here\n[x](#there)", "no such heading"},
		"a command with no such file":  {"```sh\nkubectl apply -f manifests/x.yaml\n```", "names manifests/x.yaml"},
		"a folder that is no overlay":  {"```sh\nkubectl apply -k manifests\n```", "is no kustomization"},
		"a right page":                 {"# Here now\n[x](#here-now) [y](page.md) [z](https://example.com/none)", ""},
		"a link in a block is no link": {"```text\n[x](nothing.md)\n```", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(dir, "page.md"), []byte(tt.page), 0o600); err != nil {
				t.Fatal(err)
			}
			got := strings.Join(Page(dir, "page.md"), "\n")
			if !strings.Contains(got, tt.want) || tt.want == "" && got != "" {
				t.Errorf("want %q, got %q", tt.want, got)
			}
		})
	}
}

func TestCRDSourceRefusesOtherContents(t *testing.T) {
	source := GIE15
	source.Sum = "h1:other="
	if _, err := source.Dir(); err == nil || !strings.Contains(err.Error(), "has the checksum") {
		t.Errorf("got %v", err)
	}
}

func toYAML(t *testing.T, object Object) string {
	t.Helper()
	text, err := yaml.Marshal(object.Object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
