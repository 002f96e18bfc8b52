package manifests

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestServicesFilter puts the filter of the guide without pools into a real
// Envoy, with the guide's picker, configuration and route, and sends the guide's
// requests. Istio's part, to place the filter, is not in it.
func TestServicesFilter(t *testing.T) {
	objects, _ := installations["guide Istio without pools, simulated models"].render(t)
	filter := filterOf(t, objects, "semantic-epp")
	grpc := freePort(t)
	startPicker(t, objects, grpc)
	clusters := []any{cluster("picker", grpc, true)}
	for _, model := range []string{"llama3-8b", "phi4-mini"} {
		clusters = append(clusters, cluster(model, modelServer(t, model), false))
	}
	field[map[string]any](filter, "typed_config", "grpc_service", "envoy_grpc")["cluster_name"] = "picker"
	var routes []any
	for _, object := range objects {
		if object.GetKind() == "HTTPRoute" {
			routes = envoyRoutes(object)
		}
	}
	url := startEnvoy(t, []any{filter}, routes, clusters)
	for _, r := range readRequests(t) {
		if r.guide != "istio-services" {
			continue
		}
		body := fmt.Sprintf(`{"model": %q, "messages": [{"role": "user", "content": %q}]}`, r.model, r.prompt)
		resp, err := http.Post(url+"/v1/chat/completions", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || string(got) != r.want+" was asked for "+r.want {
			t.Errorf("%s, %q: %s %s", r.model, r.prompt, resp.Status, got)
		}
		if selected := resp.Header.Get("x-vsr-selected-model"); selected != r.want {
			t.Errorf("%s, %q: x-vsr-selected-model: %q", r.model, r.prompt, selected)
		}
	}
}

// TestTenants puts the tenants' rate limit and their tokens' claim into a real
// Envoy, with the JWT filter as Istio makes it of a RequestAuthentication.
func TestTenants(t *testing.T) {
	objects, _ := installations["guide GIE and Istio, two tenants"].render(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var rule map[string]any
	for _, object := range objects {
		if object.GetKind() == "RequestAuthentication" {
			rule = list(object.Object, "spec", "jwtRules")[0]
		}
	}
	claim := list(rule, "outputClaimToHeaders")[0]
	jwt := map[string]any{"name": "jwt", "typed_config": map[string]any{
		"@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
		"providers": map[string]any{"p": map[string]any{
			"issuer":           rule["issuer"],
			"local_jwks":       map[string]any{"inline_string": keySet(&key.PublicKey)},
			"claim_to_headers": []any{map[string]any{"header_name": claim["header"], "claim_name": claim["claim"]}},
		}},
		"rules": []any{map[string]any{"match": map[string]any{"prefix": "/"}, "requires": map[string]any{"requires_any": map[string]any{
			"requirements": []any{map[string]any{"provider_name": "p"}, map[string]any{"allow_missing": map[string]any{}}}}}}},
	}}
	server := modelServer(t, "any")
	url := startEnvoy(t, []any{jwt, filterOf(t, objects, "tenant-rate-limit")},
		[]any{map[string]any{"match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": "any"}}},
		[]any{cluster("any", server, false)})

	ask := func(tenant, claimed string) (status int, seen string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if tenant != "" {
			req.Header.Set("authorization", "Bearer "+token(t, key, map[string]any{
				"iss": rule["issuer"], "sub": "user", claim["claim"].(string): tenant, "exp": time.Now().Add(time.Hour).Unix()}))
		}
		if claimed != "" {
			req.Header.Set("x-tenant", claimed)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.StatusCode, resp.Header.Get("seen-tenant")
	}
	if status, seen := ask("tenant-b", "tenant-a"); status != http.StatusOK || seen != "tenant-b" {
		t.Errorf("tenant-b claims to be tenant-a: %d, seen as %q", status, seen)
	}
	if status, seen := ask("", "tenant-a"); status != http.StatusOK || seen != "" {
		t.Errorf("nobody claims to be tenant-a: %d, seen as %q", status, seen)
	}
	statuses := map[int]int{}
	for range 70 {
		status, _ := ask("tenant-b", "")
		statuses[status]++
	}
	if statuses[http.StatusOK] != 59 { // of 60 a minute one is spent
		t.Errorf("tenant-b's requests: %v", statuses)
	}
	if status, _ := ask("tenant-a", ""); status != http.StatusOK {
		t.Errorf("tenant-b's requests are counted for tenant-a: %d", status)
	}
}

// filterOf is the filter of this name in the EnvoyFilters.
func filterOf(t *testing.T, objects []Object, name string) map[string]any {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() != "EnvoyFilter" {
			continue
		}
		for _, patch := range list(object.Object, "spec", "configPatches") {
			if value := field[map[string]any](patch, "patch", "value"); value["name"] == name {
				return value
			}
		}
	}
	t.Fatalf("no EnvoyFilter has the filter %s", name)
	return nil
}

// envoyRoutes are the rules of an HTTPRoute to Services as Istio tells them to
// Envoy.
func envoyRoutes(route Object) []any {
	var routes []any
	for _, rule := range list(route.Object, "spec", "rules") {
		for _, match := range list(rule, "matches") {
			to := map[string]any{"prefix": "/"}
			for _, header := range list(match, "headers") {
				to["headers"] = []any{map[string]any{"name": header["name"], "string_match": map[string]any{"exact": header["value"]}}}
			}
			routes = append(routes, map[string]any{"match": to, "route": map[string]any{"cluster": list(rule, "backendRefs")[0]["name"], "timeout": "0s"}})
		}
	}
	return routes
}

func cluster(name string, port int, http2 bool) map[string]any {
	c := map[string]any{"name": name, "type": "STATIC", "load_assignment": map[string]any{"cluster_name": name, "endpoints": []any{
		map[string]any{"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{"address": address(port)}}}}}}}
	if http2 {
		c["typed_extension_protocol_options"] = map[string]any{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": map[string]any{
			"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
			"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}}}}
	}
	return c
}

func address(port int) map[string]any {
	return map[string]any{"socket_address": map[string]any{"address": "127.0.0.1", "port_value": port}}
}

// modelServer says who it is, for which model it was asked, and by which tenant.
func modelServer(t *testing.T, name string) (port int) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Model string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.Header().Set("seen-tenant", r.Header.Get("x-tenant"))
		fmt.Fprintf(w, "%s was asked for %s", name, body.Model)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// startPicker runs the picker with the configuration of the objects, without
// TLS on port.
func startPicker(t *testing.T, objects []Object, port int) {
	t.Helper()
	dir := t.TempDir()
	for _, object := range objects {
		for key, text := range field[map[string]any](object.Object, "data") {
			if err := os.WriteFile(filepath.Join(dir, key), []byte(text.(string)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	start(t, port, picker.binary, "serve", "--config-file="+dir+"/config.yaml", "--endpoints-file="+dir+"/endpoints.yaml",
		fmt.Sprintf("--grpc-port=%d", port), "--secure-serving=false", "--grpc-health-port=0", "--metrics-port=0")
}

// startEnvoy runs Envoy with filters before the router, and returns its address.
func startEnvoy(t *testing.T, filters, routes, clusters []any) string {
	t.Helper()
	envoy := findEnvoy(t)
	port := freePort(t)
	router := map[string]any{"name": "router", "typed_config": map[string]any{"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}
	manager := map[string]any{
		"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": "test",
		"route_config": map[string]any{"virtual_hosts": []any{map[string]any{"name": "all", "domains": []any{"*"}, "routes": routes}}},
		"http_filters": append(filters, router)}
	config, err := json.Marshal(map[string]any{"static_resources": map[string]any{"clusters": clusters, "listeners": []any{map[string]any{
		"name": "test", "address": address(port),
		"filter_chains": []any{map[string]any{"filters": []any{map[string]any{"name": "http", "typed_config": manager}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "envoy.json")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, port, envoy, "-c", file, "--disable-hot-restart", "--log-level", "error", "--concurrency", "1")
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// findEnvoy is $ENVOY_PATH, or what make deps fetched.
func findEnvoy(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("ENVOY_PATH"); path != "" {
		return path
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(cache, "semantic-epp/envoy-*/envoy"))
	if len(found) == 0 {
		t.Fatal("Envoy is missing: run make deps, or set ENVOY_PATH")
	}
	return found[len(found)-1]
}

// start runs a program until the test ends, and returns when it listens on port.
func start(t *testing.T, port int, name string, args ...string) {
	t.Helper()
	var output bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	deadline := time.After(time.Minute)
	for {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", filepath.Base(name), err, output.String())
		case <-deadline:
			t.Fatalf("%s does not listen after a minute", filepath.Base(name))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func encoded(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// keySet is the public key as a JSON Web Key Set.
func keySet(key *rsa.PublicKey) string {
	return fmt.Sprintf(`{"keys": [{"kty": "RSA", "kid": "k", "alg": "RS256", "use": "sig", "e": %q, "n": %q}]}`,
		encoded(big.NewInt(int64(key.E)).Bytes()), encoded(key.N.Bytes()))
}

// token is a signed JSON Web Token.
func token(t *testing.T, key *rsa.PrivateKey, claims map[string]any) string {
	t.Helper()
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	signed := encoded([]byte(`{"alg": "RS256", "kid": "k"}`)) + "." + encoded(payload)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + encoded(signature)
}
