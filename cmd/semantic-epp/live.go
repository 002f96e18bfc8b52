package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/go-logr/logr"
	configapi "sigs.k8s.io/gateway-api-inference-extension/apix/config/v1alpha1"

	"semantic-epp/config/source"
	"semantic-epp/config/watch"
	"semantic-epp/endpoints"
	"semantic-epp/plugins/semantic"
	"semantic-epp/telemetry"
)

// live keeps a running picker in step with its configuration file. Only the
// parameters of semantic-router change while it runs, and the endpoints where
// the file names them.
type live struct {
	name       string
	started    []byte          // what the picker was made of
	parameters json.RawMessage // of semantic-router, as they were taken over last
	standalone bool
	plugin     *semantic.Plugin
	store      *endpoints.Store // nil where endpoints come from elsewhere
}

// followConfiguration takes changes of the file over until ctx ends.
func followConfiguration(ctx context.Context, l *live, logger logr.Logger) (wait func(), err error) {
	if l.parameters, err = semanticParameters(l.name, l.started); err != nil {
		return nil, err
	}
	return watch.File(ctx, watch.Config{
		Path: l.name,
		Load: func(data []byte) error { return l.load(ctx, data) },
		Loaded: func(err error) {
			telemetry.ConfigurationReloaded(err)
			if err != nil {
				logger.Error(err, "the changed configuration was not, or not wholly, taken over")
				return
			}
			logger.Info("the changed configuration was taken over", "configuration", l.name)
		},
	})
}

func (l *live) load(ctx context.Context, data []byte) error {
	result, err := takeOver(ctx, l.name, data, l.standalone)
	if err != nil {
		return err
	}
	if result != nil {
		data = result.YAML
	}
	_, restart, err := source.Compare(l.started, data, semantic.Type)
	if err != nil {
		return diagnose(ctx, l.name, data, err)
	}
	if len(restart) > 0 {
		// Nothing else would find what is wrong there before the restart.
		if err := check(ctx, l.name, data); err != nil {
			return err
		}
	}
	parameters, err := semanticParameters(l.name, data)
	if err != nil {
		return err
	}
	if !bytes.Equal(parameters, l.parameters) {
		if err := l.plugin.Reload(parameters); err != nil {
			return diagnose(ctx, l.name, data, err)
		}
		l.parameters = parameters
	}
	if l.store != nil && result != nil {
		if _, err := l.store.Apply(ctx, &result.Endpoints); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	if len(restart) > 0 {
		return fmt.Errorf("%s: restart needed for %s; the parameters of %s are taken over", l.name, strings.Join(restart, ", "), semantic.Type)
	}
	return nil
}

// semanticParameters are those of semantic-router, as JSON.
func semanticParameters(name string, data []byte) (json.RawMessage, error) {
	doc, err := source.Parse(name, data)
	if err != nil {
		return nil, err
	}
	doc.Check("", reflect.TypeFor[configapi.EndpointPickerConfig]())
	if err := doc.Err(); err != nil {
		return nil, err
	}
	var file configapi.EndpointPickerConfig
	if err := json.Unmarshal(doc.JSON(""), &file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for i, spec := range file.Plugins {
		if spec.Type == semantic.Type {
			return doc.JSON(fmt.Sprintf("plugins[%d].parameters", i)), nil
		}
	}
	return nil, fmt.Errorf("%s: there is no plugin of the type %s", name, semantic.Type)
}
