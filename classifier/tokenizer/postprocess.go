package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// special is what a post-processor puts around a text.
type special struct{ prefix, suffix []int64 }

// loadPostProcessor reads the special tokens. Of a Sequence, each processor
// puts its own around those of the ones before it.
func (t *Tokenizer) loadPostProcessor(data json.RawMessage) error {
	all, err := loadSequence("post_processor", "processors", data, loadSpecial)
	if err != nil {
		return err
	}
	for _, s := range all {
		t.prefix = append(s.prefix, t.prefix...)
		t.suffix = append(t.suffix, s.suffix...)
		for _, ids := range [][]int64{s.prefix, s.suffix} {
			for _, id := range ids {
				if err := t.take(id); err != nil {
					return fmt.Errorf("post_processor: special token: %w", err)
				}
			}
		}
	}
	return nil
}

func loadSpecial(kind string, data json.RawMessage) (special, error) {
	switch kind {
	case "TemplateProcessing":
		return loadTemplate(data)
	case "BertProcessing", "RobertaProcessing":
		return loadPair(data)
	case "ByteLevel": // changes offsets only
		return special{}, nil
	default:
		return special{}, errKind
	}
}

// loadPair reads the two tokens that BERT and RoBERTa put around a text.
func loadPair(data json.RawMessage) (special, error) {
	var f struct{ Cls, Sep [2]json.RawMessage }
	var cls, sep int64
	if err := errors.Join(json.Unmarshal(data, &f), json.Unmarshal(orNull(f.Cls[1]), &cls), json.Unmarshal(orNull(f.Sep[1]), &sep)); err != nil {
		return special{}, err
	}
	if f.Cls[1] == nil || f.Sep[1] == nil {
		return special{}, errors.New("cls or sep has no id")
	}
	return special{prefix: []int64{cls}, suffix: []int64{sep}}, nil
}

type templateFile struct {
	Single []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		}
		Sequence *struct {
			ID string `json:"id"`
		}
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int64 `json:"ids"`
	} `json:"special_tokens"`
}

// loadTemplate reads the template for one text; pairs of texts do not occur.
func loadTemplate(data json.RawMessage) (special, error) {
	var f templateFile
	var s special
	if err := json.Unmarshal(data, &f); err != nil {
		return s, err
	}
	texts := 0
	for _, part := range f.Single {
		if part.Sequence != nil && part.Sequence.ID == "A" {
			texts++
			continue
		}
		if part.SpecialToken == nil {
			return s, errors.New("the single template has a part that is neither a special token nor the text A")
		}
		token, ok := f.SpecialTokens[part.SpecialToken.ID]
		if !ok {
			return s, fmt.Errorf("special token %q has no ids", part.SpecialToken.ID)
		}
		if texts == 0 {
			s.prefix = append(s.prefix, token.IDs...)
		} else {
			s.suffix = append(s.suffix, token.IDs...)
		}
	}
	if texts != 1 {
		return s, fmt.Errorf("the single template names the text %d times, not once", texts)
	}
	return s, nil
}
