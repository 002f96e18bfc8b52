package manifests

import (
	"os"
	"strings"
	"testing"
)

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + page)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// guidePages are the pages by the prefix of their installations' names.
var guidePages = map[string]string{
	"guide GIE and Istio":       "docs/install/gie-istio.md",
	"guide Istio without pools": "docs/install/istio.md",
}

// TestGuidesMakeSecrets wants the command for each Secret that manifests need.
func TestGuidesMakeSecrets(t *testing.T) {
	checked := 0
	for name, i := range installations {
		for prefix, page := range guidePages {
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			text := read(t, page)
			for _, given := range i.given {
				secret := given[strings.LastIndex(given, "/")+1:]
				checked++
				if !strings.Contains(text, "create secret generic "+secret+" --from-literal=token=") && !strings.Contains(text, "create secret tls "+secret+" ") {
					t.Errorf("%s does not make the Secret %s of %s", page, secret, name)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no guide needs a Secret")
	}
}

// TestGuidesAgree wants pages and script to send the same requests and to
// install what the manifests are checked against.
func TestGuidesAgree(t *testing.T) {
	script := read(t, "test/kind/run.sh")
	for _, page := range guidePages {
		text := read(t, page)
		if !strings.Contains(text, "gateway-api/releases/download/"+GatewayAPI.Version+"/") {
			t.Errorf("%s does not install Gateway API %s", page, GatewayAPI.Version)
		}
		if minor := strings.TrimSuffix(strings.TrimPrefix(Istio.Version, "v"), ".0"); !strings.Contains(text, "`istioctl` "+minor) {
			t.Errorf("%s does not ask for Istio %s", page, minor)
		}
	}
	if want := "gateway-api-inference-extension/releases/download/" + GIE15.Version + "/"; !strings.Contains(read(t, "docs/install/gie-istio.md"), want) {
		t.Errorf("the guide does not install %s", want)
	}
	for _, want := range []string{"gateway_api=" + GatewayAPI.Version, "gie=" + GIE15.Version} {
		if !strings.Contains(script, want) {
			t.Errorf("run.sh has no %s", want)
		}
	}
	pages := map[string]string{"gie-istio": read(t, "docs/install/gie-istio.md"), "istio-services": read(t, "docs/install/istio.md")}
	for _, r := range readRequests(t) {
		if !strings.Contains(pages[r.guide], r.prompt) {
			t.Errorf("the guide of %s does not ask %q", r.guide, r.prompt)
		}
	}
}
