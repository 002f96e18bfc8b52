package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"semantic-epp/classifier/builtin"
	"semantic-epp/classifier/chain"
	"semantic-epp/config"
	"semantic-epp/plugins/semantic"
	"semantic-epp/telemetry"
)

// closePatience is how long runs of the classifier may take to end at a stop.
const closePatience = 5 * time.Second

// modelLook is the time between two looks at the files of an operator's model.
const modelLook = 10 * time.Second

// newOpener returns the opener of a process. notice is told what an operator
// should know of the classifier.
func newOpener(library string, notice func(string)) semantic.Opener {
	tell := func(err error) { notice(fmt.Sprintf("classifier: %v", err)) }
	return func(ctx context.Context, cfg config.Classifier) (semantic.Opened, error) {
		c, err := chain.Open(ctx, cfg, chain.Options{
			Library: library,
			Every:   modelLook,
			Notice:  tell,
			Fallback: func(err error) {
				telemetry.ClassifierFellBack()
				tell(err)
			},
			Reloaded: func(err error) {
				telemetry.ClassifierReloaded(err)
				if err != nil {
					tell(err)
					return
				}
				notice("classifier: the changed model was taken over")
			},
			Answered: func(from chain.Stage) { telemetry.ClassifierAnswered(string(from)) },
		})
		if err != nil {
			return semantic.Opened{}, err
		}
		opened := semantic.Opened{Embed: c.Embed, Close: func() {
			ctx, cancel := context.WithTimeout(context.Background(), closePatience)
			defer cancel()
			_ = c.Close(ctx) // a run that hangs is left to the end of the process
		}}
		if c.Classifies() {
			opened.Classifier, opened.Labels = c, c.Info().Labels
		}
		return opened, nil
	}
}

// openLabels opens no more than is needed to check rules: the built-in models
// share their categories, and the linear one costs nothing. The categories of an
// operator's own model are not known without it. Nothing is decided with what
// it returns, so any vector can stand for what an example means.
func openLabels(_ context.Context, cfg config.Classifier) (semantic.Opened, error) {
	if cfg.Model == "none" {
		return semantic.Opened{}, nil
	}
	opened := semantic.Opened{Embed: func(context.Context, string) ([]float32, error) { return []float32{1}, nil }}
	switch {
	case len(cfg.Categories) > 0:
		opened.Labels = slices.Sorted(maps.Keys(cfg.Categories))
	case !strings.Contains(cfg.Model, "/"):
		model, err := builtin.Open(builtin.Options{Model: builtin.Linear})
		if err != nil {
			return semantic.Opened{}, err
		}
		defer model.Close()
		opened.Labels = model.Info().Labels
	}
	return opened, nil
}
