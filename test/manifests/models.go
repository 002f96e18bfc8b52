package manifests

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A model is what a picker's configuration says of one.
type model struct {
	Name      string
	Match     map[string]string
	AdapterOf string
	External  bool
}

// modelsOf reads the models out of an EndpointPickerConfig.
func modelsOf(text string) ([]model, error) {
	var config struct {
		Plugins []struct {
			Type       string
			Parameters struct{ Models []model }
		}
	}
	err := yaml.Unmarshal([]byte(text), &config)
	for _, plugin := range config.Plugins {
		if plugin.Type == "semantic-router" {
			return plugin.Parameters.Models, err
		}
	}
	return nil, err
}

// checkModels compares a picker's configuration with the routes of its
// namespace and the pods that its models match: what is installed together
// must speak of the same models.
func (s *Set) checkModels() {
	s.each("ConfigMap", func(object Object) {
		models, err := modelsOf(as[corev1.ConfigMap](object).Data["config.yaml"])
		if err != nil {
			s.report(object, "config.yaml: %v", err)
		}
		routed := s.routedModels(object.GetNamespace())
		for _, name := range routed {
			if !slices.ContainsFunc(models, func(m model) bool { return m.Name == name }) {
				s.report(object, "a route waits for the model %s, which is not configured", name)
			}
		}
		for _, m := range models {
			if len(routed) > 0 && m.AdapterOf == "" && !slices.Contains(routed, m.Name) {
				s.report(object, "no route leads to the model %s", m.Name)
			}
			if len(m.Match) > 0 && len(routed) > 0 && len(s.pods(object.GetNamespace(), m.Match)) == 0 && !slices.Contains(s.given, "models") {
				s.report(object, "no pods match the model %s", m.Name)
			}
		}
	})
}

// routedModels are the values of x-selected-model that routes match.
func (s *Set) routedModels(namespace string) []string {
	var names []string
	s.each("HTTPRoute", func(route Object) {
		for _, rule := range list(route.Object, "spec", "rules") {
			for _, match := range list(rule, "matches") {
				for _, header := range list(match, "headers") {
					if route.GetNamespace() == namespace && header["name"] == "x-selected-model" {
						names = append(names, field[string](header, "value"))
					}
				}
			}
		}
	})
	return names
}
