package manifests

import (
	"encoding/csv"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const (
	root  = "../.."
	chart = root + "/manifests/chart"
)

var (
	update = flag.Bool("update", false, "write manifests/kustomize/base/picker.yaml anew from the chart")
	binary = flag.String("picker", "", "path of semantic-epp (default: build it)")
)

// What all tests share: a cluster's schemas, the picker, and its metrics.
var (
	schemas     Schemas
	poolSchemas = map[string]Schemas{} // by version of the Inference Extension
	picker      *Picker
	metrics     []string
)

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := prepare(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepare(m *testing.M) (code int, err error) {
	if schemas, err = LoadSchemas(GatewayAPI, Istio, Prometheus, GIE15); err != nil {
		return 1, err
	}
	for _, source := range []CRDSource{GIE10, GIE11, GIE15} {
		if poolSchemas[source.Version], err = LoadSchemas(source); err != nil {
			return 1, err
		}
	}
	gie, err := GIE15.Dir()
	if err != nil {
		return 1, err
	}
	if metrics, err = MetricNames(root, gie); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "semantic-epp")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if *binary == "" {
		picker, err = BuildPicker(root, dir)
	} else {
		picker, err = NewPicker(*binary)
	}
	if err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// An installation is what a page tells users to put into one cluster.
type installation struct {
	chart     string            // values file
	kustomize []string          // folders under manifests, with namespace/ before those applied by -n
	given     []string          // what the page has the user make by a command
	models    map[string]string // folder under manifests/models by namespace
}

// made are objects by commands, or of others.
const gatewayOfTheUser = "Gateway/semantic-epp/inference-gateway"

var installations = map[string]installation{
	"guide GIE and Istio, simulated models": {kustomize: []string{"kustomize/gie-istio"}, models: map[string]string{"semantic-epp": "sim"}},
	"guide GIE and Istio, vLLM on GPUs": {kustomize: []string{"kustomize/gie-istio"}, models: map[string]string{"semantic-epp": "vllm-gpu"},
		given: []string{"Secret/semantic-epp/hf-token-secret"}},
	"guide GIE and Istio, vLLM on CPUs": {kustomize: []string{"kustomize/gie-istio"}, models: map[string]string{"semantic-epp": "vllm-cpu"}},
	"guide GIE and Istio, two tenants": {kustomize: []string{"kustomize/two-tenants"}, models: map[string]string{"tenant-a": "sim", "tenant-b": "sim"},
		given: []string{"Secret/tenant-a/gateway-tls", "Secret/tenant-b/gateway-tls"}},
	"guide Istio without pools, simulated models": {kustomize: []string{"kustomize/istio-services"}, models: map[string]string{"semantic-epp": "sim"}},
	"guide Istio without pools, vLLM on GPUs": {kustomize: []string{"kustomize/istio-services"}, models: map[string]string{"semantic-epp": "vllm-gpu"},
		given: []string{"Secret/semantic-epp/hf-token-secret"}},
	"base-model with adapters": {chart: "drop-in.yaml", models: map[string]string{"semantic-epp": "lora-sim"}},

	"chart, gie-istio.yaml":       {chart: "gie-istio.yaml", models: map[string]string{"semantic-epp": "sim"}, given: []string{gatewayOfTheUser}},
	"chart, istio-services.yaml":  {chart: "istio-services.yaml"},
	"chart, drop-in.yaml":         {chart: "drop-in.yaml"},
	"chart, umbrella-pool.yaml":   {chart: "umbrella-pool.yaml", given: []string{"models"}},
	"chart, own-model-pvc.yaml":   {chart: "own-model-pvc.yaml", given: []string{"PersistentVolumeClaim/semantic-epp/classifiers"}},
	"chart, own-model-image.yaml": {chart: "own-model-image.yaml"},
	"chart, own-model-init.yaml":  {chart: "own-model-init.yaml", given: []string{"Secret/semantic-epp/fetch-token"}},
	"chart, gpu.yaml":             {chart: "gpu.yaml"},
	"chart, production.yaml":      {chart: "production.yaml", given: []string{"Secret/semantic-epp/semantic-epp-tls", "Namespace//monitoring"}},
	"chart, leader.yaml":          {chart: "leader.yaml"},
	"chart, base.yaml":            {chart: "base.yaml", given: []string{"ConfigMap/semantic-epp/semantic-epp-config"}},
}

// render is the installation's objects, with the namespace that a `helm install
// --create-namespace` makes among given.
func (i installation) render(t *testing.T) (objects []Object, given []string) {
	t.Helper()
	given = slices.Clone(i.given)
	add := func(stream string, err error, namespace string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := Parse(stream, namespace)
		if err != nil {
			t.Fatal(err)
		}
		objects = append(objects, parsed...)
	}
	if i.chart != "" {
		stream, err := Template(chart, filepath.Join(chart, "ci", i.chart))
		add(stream, err, Release)
		given = append(given, "Namespace//"+Release)
	}
	for _, dir := range i.kustomize {
		stream, err := Build(filepath.Join(root, "manifests", dir))
		add(stream, err, "")
	}
	for namespace, dir := range i.models {
		stream, err := Build(filepath.Join(root, "manifests/models", dir))
		add(stream, err, namespace)
	}
	return objects, given
}

func TestInstallations(t *testing.T) {
	for name, i := range installations {
		t.Run(name, func(t *testing.T) {
			objects, given := i.render(t)
			for _, object := range objects {
				if err := schemas.Validate(object); err != nil {
					t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
				}
				if object.GetKind() == "InferencePool" {
					for version, s := range poolSchemas {
						if err := s.Validate(object); err != nil {
							t.Errorf("with the CRDs of %s, %s: %v", version, object.GetName(), err)
						}
					}
				}
			}
			for _, problem := range Relations(objects, given...) {
				t.Error(problem)
			}
			for _, problem := range Alerts(objects, metrics) {
				t.Error(problem)
			}
			if err := picker.Validate(objects, t.TempDir()); err != nil {
				t.Error(err)
			}
			for _, flag := range picker.UnknownFlags(objects) {
				t.Errorf("the picker has no flag %s", flag)
			}
		})
	}
}

// TestEveryFolderIsTested finds values files, overlays and models that no
// installation names.
func TestEveryFolderIsTested(t *testing.T) {
	named := map[string]bool{}
	for _, i := range installations {
		named["chart/ci/"+i.chart] = true
		for _, dir := range i.kustomize {
			named[dir] = true
		}
		for _, dir := range i.models {
			named["models/"+dir] = true
		}
	}
	// What overlays are made of.
	named["kustomize/base"], named["kustomize/pools"] = true, true
	for _, pattern := range []string{"chart/ci/*", "kustomize/*", "models/*"} {
		files, err := filepath.Glob(filepath.Join(root, "manifests", pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			name, _ := filepath.Rel(filepath.Join(root, "manifests"), file)
			if !named[name] {
				t.Errorf("no installation has %s", name)
			}
		}
	}
}

// TestBase keeps the kustomize base in step with the chart.
func TestBase(t *testing.T) {
	const file = root + "/manifests/kustomize/base/picker.yaml"
	stream, err := Template(chart, filepath.Join(chart, "ci/base.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := "# Made from manifests/chart by `go test -update` in test/manifests. Change the chart instead.\n" +
		regexp.MustCompile(`(?m)^ +(namespace: semantic-epp|helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: .*)\n`).ReplaceAllString(
			strings.ReplaceAll(stream, ", namespace: semantic-epp}", ", namespace: default}"), "")
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != want {
		t.Errorf("%s is not what the chart says (%v); run go test -update", file, err)
	}
}

// TestChartConfiguration keeps the chart's copy of the default configuration.
func TestChartConfiguration(t *testing.T) {
	want, err := os.ReadFile(root + "/config/default.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(chart + "/files/config.yaml"); err != nil || string(got) != string(want) {
		t.Errorf("manifests/chart/files/config.yaml differs from config/default.yaml (%v): copy it", err)
	}
}

func TestNotes(t *testing.T) {
	for _, file := range []string{"gie-istio.yaml", "istio-services.yaml", "drop-in.yaml"} {
		notes, err := Notes(chart, filepath.Join(chart, "ci", file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(notes, "rollout status deployment/semantic-epp") {
			t.Errorf("%s: the notes do not say how to wait:\n%s", file, notes)
		}
		if pools := strings.Contains(notes, "get inferencepools"); pools != (file == "gie-istio.yaml") {
			t.Errorf("%s: the notes speak of InferencePools: %v", file, pools)
		}
	}
}

// TestValuesTable compares the table of the chart's README with values.yaml.
func TestValuesTable(t *testing.T) {
	readme, err := os.ReadFile(chart + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	inTable := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([\\w.]+)` \\| `(.*?)` \\| .+ \\|$").FindAllStringSubmatch(string(readme), -1) {
		inTable[row[1]] = row[2]
	}
	text, err := os.ReadFile(chart + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.Unmarshal(text, &values); err != nil {
		t.Fatal(err)
	}
	for key, value := range leaves("", values) {
		var got any
		if row, ok := inTable[key]; !ok {
			t.Errorf("the table lacks %s", key)
		} else if err := yaml.Unmarshal([]byte(row), &got); err != nil || fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("%s: the table says %s, values.yaml %v (%v)", key, row, value, err)
		}
		delete(inTable, key)
	}
	for key := range inTable {
		t.Errorf("the table has %s, values.yaml has not", key)
	}
}

// leaves are the values by path; resources is one value.
func leaves(path string, values map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range values {
		at := strings.TrimPrefix(path+"."+key, ".")
		if nested, ok := value.(map[string]any); ok && len(nested) > 0 && at != "resources" {
			for k, v := range leaves(at, nested) {
				out[k] = v
			}
			continue
		}
		out[at] = value
	}
	return out
}

func TestPages(t *testing.T) {
	pages := []string{"manifests/README.md", "manifests/chart/README.md", "docs/install/gie-istio.md", "docs/install/istio.md", "test/kind/README.md"}
	for _, page := range pages {
		for _, problem := range Page(root, page) {
			t.Error(problem)
		}
	}
}

// A request is a row of test/kind/requests.tsv.
type request struct{ guide, model, prompt, want, pods, reason string }

func readRequests(t *testing.T) []request {
	t.Helper()
	file, err := os.Open(root + "/test/kind/requests.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comma, reader.Comment, reader.FieldsPerRecord = '\t', '#', 6
	rows, err := reader.ReadAll()
	if err != nil || len(rows) < 6 {
		t.Fatalf("%d requests, %v", len(rows), err)
	}
	var requests []request
	for _, row := range rows {
		requests = append(requests, request{row[0], row[1], row[2], row[3], row[4], row[5]})
	}
	return requests
}

// TestRequests has the picker decide the requests that test/kind sends, with
// the guides' configurations.
func TestRequests(t *testing.T) {
	configs := map[string]string{"gie-istio": "pools", "istio-services": "istio-services"}
	for _, r := range readRequests(t) {
		if !strings.HasPrefix(r.pods, r.want+"-") {
			t.Errorf("%q: pods %s do not belong to %s", r.prompt, r.pods, r.want)
		}
		if strings.ContainsAny(r.prompt, "\"\\") {
			t.Errorf("%q: run.sh writes prompts into JSON as they are", r.prompt)
		}
		if r.model != "auto" {
			if r.model != r.want || r.reason != "explicit" {
				t.Errorf("%q: the explicit model %s, yet %s by %s", r.prompt, r.model, r.want, r.reason)
			}
			continue
		}
		config := filepath.Join(root, "manifests/kustomize", configs[r.guide], "config.yaml")
		out, err := exec.Command(picker.binary, "explain", "--config-file", config, r.prompt).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		decided := regexp.MustCompile(`(?m)^model +(\S+)`).FindSubmatch(out)
		because := regexp.MustCompile(`\[(\w+)\]`).FindSubmatch(out)
		if decided == nil || because == nil || string(decided[1]) != r.want || !regexp.MustCompile("^("+r.reason+")$").Match(because[1]) {
			t.Errorf("%s, %q: want %s by %s:\n%s", r.guide, r.prompt, r.want, r.reason, out)
		}
	}
}
