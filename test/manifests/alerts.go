package manifests

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// MetricNames are the metrics that the picker of the repository at root has:
// ours, by the names in the source, and those of GIE, whose module lies in gie.
func MetricNames(root, gie string) ([]string, error) {
	var names []string
	ours := regexp.MustCompile(`Name:\s*"(semantic_epp_[a-z_]+)"|(?:counter|vec|NewDesc)\(\s*"(semantic_epp_[a-z_]+)"`)
	for _, room := range []string{"telemetry", "extproc", "endpoints", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, room), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, match := range ours.FindAllSubmatch(text, -1) {
				names = append(names, string(match[1])+string(match[2]))
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	text, err := os.ReadFile(filepath.Join(gie, "pkg/epp/metrics/metrics.go"))
	if err != nil {
		return nil, err
	}
	subsystems := map[string]string{}
	for _, match := range regexp.MustCompile(`(inference\w+)\s*= "(\w+)"`).FindAllSubmatch(text, -1) {
		subsystems[string(match[1])] = string(match[2])
	}
	for _, match := range regexp.MustCompile(`Subsystem:\s*(\w+),\s*Name:\s*"(\w+)"`).FindAllSubmatch(text, -1) {
		names = append(names, subsystems[string(match[1])]+"_"+string(match[2]))
	}
	return names, nil
}

// Alerts checks the expressions of PrometheusRules: that they are PromQL, and
// that their metrics are among known.
func Alerts(objects []Object, known []string) []string {
	var problems []string
	for _, object := range objects {
		if object.GetKind() != "PrometheusRule" {
			continue
		}
		for _, group := range list(object.Object, "spec", "groups") {
			for _, rule := range list(group, "rules") {
				for _, problem := range checkExpression(field[string](rule, "expr"), known) {
					problems = append(problems, fmt.Sprintf("%v: %s", rule["alert"], problem))
				}
			}
		}
	}
	return problems
}

func checkExpression(text string, known []string) []string {
	expression, err := parser.ParseExpr(text)
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			name := strings.TrimSuffix(selector.Name, "_bucket")
			if !slices.Contains(known, name) {
				problems = append(problems, fmt.Sprintf("no metric is called %s", name))
			}
			if !slices.ContainsFunc(selector.LabelMatchers, func(m *labels.Matcher) bool { return m.Name == "namespace" }) {
				problems = append(problems, fmt.Sprintf("%s is not limited to this installation", name))
			}
		}
		return nil
	})
	return problems
}
