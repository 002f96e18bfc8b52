package huggingface

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A label goes into metrics, headers and rules.
const (
	maxLabels     = 10_000
	maxLabelBytes = 256
)

// mappings are the files that vLLM Semantic Router and its training code name
// labels in. They win over config.json, where training often leaves LABEL_0.
var mappings = []string{"category_mapping.json", "label_mapping.json"}

// readLabels finds the labels, and compares their number with config.json's.
func (d *Directory) readLabels(root *root, c *config, mapping string) error {
	own, err := labelsByID(c.Labels)
	if err != nil {
		return fmt.Errorf("config.json: id2label: %w", err)
	}
	// transformers leaves out what is its default: two labels without names.
	if own == nil && c.classifies() && (c.LabelCount == nil || *c.LabelCount == 2) {
		own = []string{"LABEL_0", "LABEL_1"}
	}
	name, data, err := root.mapping(mapping)
	if err != nil {
		return err
	}
	d.Labels = own
	if data != nil {
		if d.Labels, err = readMapping(data); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if len(c.Labels) > 0 && len(own) != len(d.Labels) {
			return fmt.Errorf("%s has %d labels, but config.json's id2label has %d: they are not of the same model", name, len(d.Labels), len(own))
		}
	}
	if c.LabelCount != nil && d.Labels != nil && *c.LabelCount != len(d.Labels) {
		return fmt.Errorf("config.json: num_labels is %d, but there are %d labels", *c.LabelCount, len(d.Labels))
	}
	if c.LabelCount != nil && d.Labels == nil && c.classifies() {
		return fmt.Errorf("config.json: num_labels is %d, but neither id2label nor %s names them", *c.LabelCount, mappings[0])
	}
	if len(d.Labels) > 0 && d.Labels[0] == "LABEL_0" {
		d.Notices = append(d.Notices, fmt.Sprintf("the labels have no names but LABEL_0 and so on; give them some in %s", mappings[0]))
	}
	return nil
}

// mapping reads the file that was named, or the first of mappings that is
// there.
func (r *root) mapping(name string) (string, []byte, error) {
	if name != "" {
		data, err := r.read(name, maxConfig)
		return name, data, err
	}
	for _, name := range mappings {
		data, err := r.read(name, maxConfig)
		if !errors.Is(err, fs.ErrNotExist) {
			return name, data, err
		}
	}
	return "", nil, nil
}

// readMapping reads a mapping from labels to ids, from ids to labels, or both,
// under the names that vLLM Semantic Router's files give them; or one without
// any name around it.
func readMapping(data []byte) ([]string, error) {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return nil, err
	}
	var found [][]string
	for _, what := range []string{"category", "label"} {
		for _, number := range []string{"idx", "id"} {
			for _, key := range []string{number + "_to_" + what, what + "_to_" + number, number + "2" + what, what + "2" + number} {
				part, ok := parts[key]
				if !ok {
					continue
				}
				labels, err := readPlain(part)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", key, err)
				}
				found = append(found, labels)
			}
		}
	}
	if len(found) == 0 {
		return readPlain(data)
	}
	for _, other := range found[1:] {
		if !slices.Equal(other, found[0]) {
			return nil, errors.New("its two directions, from labels to ids and back, do not agree")
		}
	}
	return found[0], nil
}

// readPlain reads {"math": 0, …} or {"0": "math", …}.
func readPlain(data []byte) ([]string, error) {
	var byName map[string]int
	if err := json.Unmarshal(data, &byName); err == nil {
		byID := make(map[string]string, len(byName))
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			id := strconv.Itoa(byName[name])
			if other, ok := byID[id]; ok {
				return nil, fmt.Errorf("the labels %q and %q are both %s", other, name, id)
			}
			byID[id] = name
		}
		return labelsOrNone(byID)
	}
	var byID map[string]string
	if err := json.Unmarshal(data, &byID); err != nil {
		return nil, errors.New(`it is neither {"label": 0, …} nor {"0": "label", …}`)
	}
	return labelsOrNone(byID)
}

func labelsOrNone(byID map[string]string) ([]string, error) {
	labels, err := labelsByID(byID)
	if err == nil && labels == nil {
		err = errors.New("there are no labels")
	}
	return labels, err
}

// labelsByID puts labels in order: ids go from "0" on without a gap.
func labelsByID(byID map[string]string) ([]string, error) {
	if len(byID) == 0 {
		return nil, nil
	}
	if len(byID) > maxLabels {
		return nil, fmt.Errorf("there are %d labels, more than %d", len(byID), maxLabels)
	}
	labels := make([]string, len(byID))
	seen := make(map[string]int, len(byID))
	var errs []error
	for id := range labels {
		label, ok := byID[strconv.Itoa(id)]
		if !ok {
			return nil, fmt.Errorf("there are %d labels, but none has the id %d", len(byID), id)
		}
		if err := checkLabel(label); err != nil {
			errs = append(errs, fmt.Errorf("label %d: %w", id, err))
		}
		if first, ok := seen[label]; ok {
			errs = append(errs, fmt.Errorf("labels %d and %d are both %q", first, id, label))
		}
		seen[label] = id
		labels[id] = label
	}
	return labels, errors.Join(errs...)
}

func checkLabel(label string) error {
	switch {
	case strings.TrimSpace(label) == "":
		return errors.New("it is blank")
	case len(label) > maxLabelBytes:
		return fmt.Errorf("it has %d bytes, more than %d", len(label), maxLabelBytes)
	case !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }):
		return fmt.Errorf("%q has characters that cannot be printed", label)
	}
	return nil
}
