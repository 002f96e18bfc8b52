package api

import (
	"context"
	"errors"
	"strings"

	"golang.org/x/sync/errgroup"

	"semantic-epp/classifier"
)

// maxBatchSize is how many texts a batch may have, as in vLLM Semantic Router.
const maxBatchSize = 100

// batchReply is the answer of vLLM Semantic Router's BatchClassificationResponse
// (pkg/apiserver/config.go).
type batchReply struct {
	Results          []batchResult   `json:"results"` // in the order of the texts
	TotalCount       int             `json:"total_count"`
	ProcessingTimeMs int64           `json:"processing_time_ms"` // of the whole batch
	Statistics       batchStatistics `json:"statistics"`
}

type batchResult struct {
	Category         string             `json:"category"`
	Confidence       float64            `json:"confidence"`
	ProcessingTimeMs int64              `json:"processing_time_ms"`
	Probabilities    map[string]float64 `json:"probabilities,omitempty"`
}

type batchStatistics struct {
	CategoryDistribution map[string]int `json:"category_distribution"`
	AvgConfidence        float64        `json:"avg_confidence"`
	LowConfidenceCount   int            `json:"low_confidence_count"` // below options.confidence_threshold
}

// batch serves POST /api/v1/classify/batch.
func (s *server) batch(ctx context.Context, body []byte) (reply, error) {
	f, err := fieldsOf(body)
	if err != nil {
		return reply{}, err
	}
	texts, err := f.texts()
	if err != nil {
		return reply{}, err
	}
	options, err := f.options()
	if err != nil {
		return reply{}, err
	}
	start := s.now()
	results, err := s.classify(ctx, texts)
	if err != nil {
		return reply{}, err
	}
	statistics := statisticsOf(results, options.ConfidenceThreshold)
	if !options.ReturnProbabilities {
		for i := range results {
			results[i].Probabilities = nil
		}
	}
	return ok(batchReply{
		Results:          results,
		TotalCount:       len(results),
		ProcessingTimeMs: s.now().Sub(start).Milliseconds(),
		Statistics:       statistics,
	}), nil
}

// texts are the texts of a batch.
func (f fields) texts() ([]string, error) {
	var task string
	if err := f.read("task_type", &task, "a string"); err != nil {
		return nil, err
	}
	if task != "" && task != "intent" {
		return nil, &failure{400, "INVALID_TASK_TYPE", "task_type must be intent: there are no classifiers for other tasks"}
	}
	var texts []string
	if err := f.read("texts", &texts, "an array of strings"); err != nil {
		return nil, err
	}
	switch {
	case !f.has("texts"):
		return nil, invalid("texts field is required")
	case len(texts) == 0:
		return nil, invalid("texts array cannot be empty")
	case len(texts) > maxBatchSize:
		return nil, &failure{400, "BATCH_TOO_LARGE", "texts has more than 100 entries: send several batches"}
	}
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			return nil, invalid("texts[%d] must not be empty", i)
		}
	}
	return texts, nil
}

// classify classifies texts side by side. The first error ends it.
func (s *server) classify(ctx context.Context, texts []string) ([]batchResult, error) {
	results := make([]batchResult, len(texts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxConcurrency)
	for i, text := range texts {
		group.Go(func() error {
			var found classifier.Result
			took, err := s.timed(ctx, func() error {
				var err error
				found, err = s.backend.Classify(ctx, text)
				return err
			})
			if err != nil && !errors.Is(err, classifier.ErrNoMatch) {
				return err
			}
			c := ClassificationOf(found, err)
			results[i] = batchResult{c.Category, c.Confidence, took.Milliseconds(), c.Probabilities}
			return nil
		})
	}
	return results, group.Wait()
}

func statisticsOf(results []batchResult, threshold float64) batchStatistics {
	s := batchStatistics{CategoryDistribution: map[string]int{}}
	sum := 0.0
	for _, r := range results {
		s.CategoryDistribution[r.Category]++
		sum += r.Confidence
		if r.Confidence < threshold {
			s.LowConfidenceCount++
		}
	}
	s.AvgConfidence = sum / float64(len(results))
	return s
}
