package builtin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"semantic-epp/classifier"
	"semantic-epp/classifier/linear"
	"semantic-epp/classifier/onnx"
)

// The transformer was pretrained on English, and its vocabulary spells other
// scripts letter by letter. The linear model learned words of eleven languages
// as they are written. Each model's say is a power of its probabilities; their
// product is the answer. `go run ./classifier/train -fit MODEL` finds the
// powers, on the validation parts.

// foreign is the share of a text's letters outside ASCII from which it counts
// as written in another language than English.
const foreign = 0.15

// Powers are how much say the models of a mixture have.
type Powers struct{ Transformer, Linear float64 }

// powers by model, for texts in English and in other languages.
var powers = map[string][2]Powers{
	ONNX:  {{0.7, 0.4}, {0.2, 1.2}},
	Small: {{0.6, 0.5}, {0.2, 1.2}},
}

// mixture is a transformer with the linear model beside it.
type mixture struct {
	*onnx.Model
	linear *linear.Classifier
	name   string
	powers [2]Powers
	suffix string // of revisions
}

func newMixture(transformer *onnx.Model, name string) (*mixture, error) {
	words, err := linear.Load(linearFile)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(words.Info().Labels, transformer.Info().Labels) {
		return nil, errors.New("the transformer and the linear model have other labels")
	}
	return &mixture{transformer, words, name, powers[name], "-" + words.Info().Revision}, nil
}

// Classify asks both models.
func (m *mixture) Classify(ctx context.Context, text string) (classifier.Result, error) {
	deep, err := m.Model.Classify(ctx, text)
	if err != nil {
		return deep, err
	}
	flat, err := m.linear.Classify(ctx, text)
	if errors.Is(err, classifier.ErrNoMatch) { // it reads letters only
		return deep, nil
	}
	if err != nil {
		return flat, err
	}
	return Mix(deep, flat, m.powers[Foreign(text)], m.Info().Labels, deep.Revision+m.suffix)
}

// Info describes the mixture.
func (m *mixture) Info() classifier.Info {
	info := m.Model.Info()
	info.Name = m.name
	info.Revision += m.suffix
	return info
}

// Mix is the product of two models' probabilities, to their powers.
func Mix(transformer, words classifier.Result, p Powers, labels []string, revision string) (classifier.Result, error) {
	logits := make([]float32, len(labels))
	for _, part := range []struct {
		result classifier.Result
		power  float64
	}{{transformer, p.Transformer}, {words, p.Linear}} {
		for _, c := range part.result.Probabilities {
			i := slices.Index(labels, c.Category)
			if i < 0 {
				return classifier.Result{}, fmt.Errorf("mix categories: %q is none of them", c.Category)
			}
			logits[i] += float32(part.power * math.Log(max(c.P, 1e-9)))
		}
	}
	return classifier.Rank(labels, logits, 1, revision)
}

// Foreign is 1 for a text that is not written in English as far as its letters
// tell, else 0.
func Foreign(text string) int {
	letters, others := 0, 0
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf:
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				letters++
			}
		case unicode.IsLetter(r):
			letters++
			others++
		}
	}
	if letters > 0 && float64(others) >= foreign*float64(letters) {
		return 1
	}
	return 0
}
