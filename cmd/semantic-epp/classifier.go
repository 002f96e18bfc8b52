package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"time"

	"semantic-epp/classifier"
	"semantic-epp/classifier/builtin"
	"semantic-epp/config"
	"semantic-epp/plugins/semantic"
	"semantic-epp/telemetry"
)

// closePatience is how long runs of the classifier may take to end at a stop.
const closePatience = 5 * time.Second

// newOpener returns the opener of a process. notice is told, once for each
// model, what an operator should know of it.
func newOpener(library string, notice func(string)) semantic.Opener {
	return func(_ context.Context, cfg config.Classifier) (semantic.Opened, error) {
		if cfg.Model == "none" {
			return semantic.Opened{}, nil
		}
		options := builtin.Options{Library: library}
		if cfg.Model == "linear" {
			options = builtin.Options{Model: builtin.Linear}
		}
		model, err := builtin.Open(options)
		if err != nil {
			return semantic.Opened{}, err
		}
		if model.Fallback != nil {
			notice(fmt.Sprintf("classifier: %v", model.Fallback))
		}
		concurrency := cmp.Or(cfg.Concurrency, runtime.GOMAXPROCS(0))
		bounded, err := classifier.Bound(model, classifier.BoundConfig{
			Concurrency: concurrency,
			Queue:       cmp.Or(cfg.Queue, 8*concurrency),
		})
		if err != nil {
			_ = model.Close()
			return semantic.Opened{}, err
		}
		info := model.Info()
		telemetry.ClassifierInUse(info.Name, info.Revision)
		return semantic.Opened{Classifier: bounded, Labels: info.Labels, Close: func() {
			ctx, cancel := context.WithTimeout(context.Background(), closePatience)
			defer cancel()
			// A run that hangs still uses the model: leave it to the end of the process.
			if bounded.Close(ctx) == nil {
				_ = model.Close()
			}
		}}, nil
	}
}

// openLabels opens no more than is needed to check rules: the built-in models
// share their categories, and the linear one costs nothing.
func openLabels(_ context.Context, cfg config.Classifier) (semantic.Opened, error) {
	if cfg.Model == "none" {
		return semantic.Opened{}, nil
	}
	model, err := builtin.Open(builtin.Options{Model: builtin.Linear})
	if err != nil {
		return semantic.Opened{}, err
	}
	defer model.Close()
	return semantic.Opened{Labels: model.Info().Labels}, nil
}
