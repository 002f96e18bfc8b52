package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"sigs.k8s.io/yaml"
)

// Compare says what differs between two versions of an EndpointPickerConfig, in
// YAML or JSON; comments, order of keys and style do not count. live is whether
// parameters of plugins of the type liveType do: those can change while the
// picker runs. restart names everything else that does, such as
// "schedulingProfiles" or "plugins: queue-scorer"; it is empty when the new
// version can be taken over as it is. An error means that a version is not YAML
// of that shape.
func Compare(before, after []byte, liveType string) (live bool, restart []string, err error) {
	old, err := readParts(before)
	if err != nil {
		return false, nil, fmt.Errorf("read the old version: %w", err)
	}
	now, err := readParts(after)
	if err != nil {
		return false, nil, fmt.Errorf("read the new version: %w", err)
	}
	keys := map[string]any{}
	maps.Copy(keys, old.rest)
	maps.Copy(keys, now.rest)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if !reflect.DeepEqual(old.rest[key], now.rest[key]) {
			restart = append(restart, key)
		}
	}
	live, changed := comparePlugins(old.plugins, now.plugins, liveType)
	return live, append(restart, changed...), nil
}

// parts are the plugins of a configuration, and all else by its key.
type parts struct {
	plugins []pluginPart
	rest    map[string]any
}

type pluginPart struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Parameters any    `json:"parameters"`
}

func readParts(data []byte) (parts, error) {
	asJSON, err := yaml.YAMLToJSON(data)
	if err != nil {
		return parts{}, err
	}
	var p parts
	if err := unmarshal(asJSON, &p.rest); err != nil {
		return parts{}, err
	}
	var with struct {
		Plugins []pluginPart `json:"plugins"`
	}
	if err := unmarshal(asJSON, &with); err != nil {
		return parts{}, err
	}
	delete(p.rest, "plugins")
	for i := range with.Plugins {
		if with.Plugins[i].Name == "" {
			with.Plugins[i].Name = with.Plugins[i].Type
		}
	}
	p.plugins = with.Plugins
	return p, nil
}

// unmarshal keeps numbers as they are written: 2^53+1 differs from 2^53.
func unmarshal(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(into)
}

func comparePlugins(old, now []pluginPart, liveType string) (live bool, restart []string) {
	if !slices.Equal(names(old), names(now)) {
		return false, []string{pluginList(names(old), names(now))}
	}
	for i := range now {
		switch {
		case old[i].Type != now[i].Type:
			restart = append(restart, "plugins: type of "+now[i].Name)
		case reflect.DeepEqual(old[i].Parameters, now[i].Parameters):
		case now[i].Type == liveType:
			live = true
		default:
			restart = append(restart, "plugins: parameters of "+now[i].Name)
		}
	}
	return live, restart
}

func names(plugins []pluginPart) []string {
	var all []string
	for _, p := range plugins {
		all = append(all, p.Name)
	}
	return all
}

// pluginList says how two lists of names differ.
func pluginList(old, now []string) string {
	for _, name := range now {
		if !slices.Contains(old, name) {
			return "plugins: new " + name
		}
	}
	for _, name := range old {
		if !slices.Contains(now, name) {
			return "plugins: without " + name
		}
	}
	return "plugins: their order"
}
