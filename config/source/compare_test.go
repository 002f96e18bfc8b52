package source_test

import (
	"fmt"
	"strings"
	"testing"

	"semantic-epp/config"
	"semantic-epp/config/source"
)

func TestCompare(t *testing.T) {
	old := string(config.Default)
	change := func(from, to string) string {
		if !strings.Contains(old, from) {
			t.Fatalf("the default has no %q", from)
		}
		return strings.Replace(old, from, to, 1)
	}
	tests := map[string]struct {
		now     string
		live    bool
		restart string
	}{
		"nothing":                           {old, false, "[]"},
		"a comment and the style":           {change("    autoModels: [auto, MoM]", "    # names\n    autoModels:\n    - auto\n    - MoM"), false, "[]"},
		"a rule":                            {change("domain: math", "domain: physics"), true, "[]"},
		"the classifier":                    {change("minConfidence: 0.5", "minConfidence: 0.6"), true, "[]"},
		"a weight":                          {change("weight: 3", "weight: 4"), false, "[schedulingProfiles]"},
		"parameters of another plugin":      {change("- type: queue-scorer", "- type: queue-scorer\n  parameters: {a: 1}"), false, "[plugins: parameters of queue-scorer]"},
		"a rule and a weight":               {strings.Replace(change("domain: math", "domain: law"), "weight: 3", "weight: 4", 1), true, "[schedulingProfiles]"},
		"a new plugin":                      {change("- type: queue-scorer", "- type: queue-scorer\n- type: random-picker"), false, "[plugins: new random-picker]"},
		"a plugin less":                     {change("- type: lora-affinity-scorer\n", ""), false, "[plugins: without lora-affinity-scorer]"},
		"another order of plugins":          {strings.Replace(change("- type: queue-scorer\n", ""), "plugins:\n", "plugins:\n- type: queue-scorer\n", 1), false, "[plugins: their order]"},
		"a name that was implied":           {change("- type: queue-scorer", "- type: queue-scorer\n  name: queue-scorer"), false, "[]"},
		"another type under the same name":  {change("- type: queue-scorer", "- type: random-picker\n  name: queue-scorer"), false, "[plugins: type of queue-scorer]"},
		"a new part":                        {old + "featureGates: [x]\n", false, "[featureGates]"},
		"a part less":                       {change("kind: EndpointPickerConfig\n", ""), false, "[kind]"},
		"an empty file":                     {"", false, "[apiVersion kind schedulingProfiles plugins: without semantic-router]"},
		"the whole file in JSON, otherwise": {`{"plugins": []}`, false, "[apiVersion kind schedulingProfiles plugins: without semantic-router]"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			live, restart, err := source.Compare([]byte(old), []byte(tc.now), "semantic-router")
			if err != nil {
				t.Fatal(err)
			}
			if live != tc.live || fmt.Sprint(restart) != tc.restart {
				t.Errorf("live %v, restart %v; want %v, %s", live, restart, tc.live, tc.restart)
			}
		})
	}
	for name, now := range map[string]string{"not YAML": "a: [", "another shape": "plugins: 5", "a list": "[]"} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := source.Compare([]byte(old), []byte(now), "semantic-router"); err == nil || !strings.Contains(err.Error(), "read the new version") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A version does not differ from itself, and two versions differ from each other
// in the same ways either way round, but for the words on plugins.
func FuzzCompare(f *testing.F) {
	f.Add([]byte("plugins: [{type: a, parameters: {x: 1}}]"), []byte("plugins: [{type: a, parameters: {x: 2}}]\nkind: K"))
	f.Add([]byte("plugins: [{type: live, parameters: 1}, {name: live}]"), []byte("plugins: [{type: live}, {}]"))
	f.Add([]byte(""), []byte("kind: K"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if live, restart, err := source.Compare(a, a, "live"); err == nil && (live || len(restart) > 0) {
			t.Errorf("differs from itself: %v, %v", live, restart)
		}
		live, restart, err := source.Compare(a, b, "live")
		back, restartBack, errBack := source.Compare(b, a, "live")
		if err == nil && errBack == nil && (len(restart) != len(restartBack) || live != back && len(restart) == 0) {
			t.Errorf("%v, %v; the other way round %v, %v", live, restart, back, restartBack)
		}
	})
}
