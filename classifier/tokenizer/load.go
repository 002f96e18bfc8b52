package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// A Tokenizer turns text into token ids. It is safe for concurrent use.
type Tokenizer struct {
	verbatim      *addedTokens // looked for in the text as it is
	normalizers   []normalizer
	added         *addedTokens // looked for in the normalized text
	preTokenizers []preTokenizer
	cutsAtSpaces  bool // a word begins at every space between two letters
	model         model
	prefix        []int64 // what the post-processor puts before the text
	suffix        []int64 // and after it

	size   int64 // one more than the largest id
	pad    int64
	digest [sha256.Size]byte
}

// A model cuts one word into tokens.
type model interface {
	// appendWord appends the ids of a word. It may stop early once dst has
	// full ids.
	appendWord(dst []int64, s *scratch, word []byte, full int) []int64
	// id is the id of a token of the vocabulary.
	id(token string) (int32, bool)
}

// Load reads a tokenizer.json. Its truncation and padding strategies do not
// count: the caller of [Tokenizer.Encode] says how long the answer may be. The
// error names every part that the package does not support.
func Load(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	t := &Tokenizer{digest: sha256.Sum256(data)}
	var errs [4]error
	t.normalizers, errs[0] = loadNormalizers(f.Normalizer)
	t.preTokenizers, errs[1] = loadPreTokenizers(f.PreTokenizer)
	t.cutsAtSpaces = len(t.preTokenizers) > 0 && cutsAtSpaces(t.preTokenizers[0])
	errs[2] = t.loadModel(f.Model)
	errs[3] = t.loadPostProcessor(f.PostProcessor)
	err := errors.Join(errs[:]...)
	if err == nil {
		err = t.loadAdded(f.AddedTokens)
	}
	if err != nil {
		return nil, fmt.Errorf("load tokenizer.json: %w", err)
	}
	if f.Padding != nil {
		if err := t.take(f.Padding.ID); err != nil {
			return nil, fmt.Errorf("load tokenizer.json: padding: %w", err)
		}
		t.pad = f.Padding.ID
	}
	return t, nil
}

// VocabSize is one more than the largest id that Encode can return.
func (t *Tokenizer) VocabSize() int64 { return t.size }

// PadID fills up the shorter texts of a batch: the id that the tokenizer.json
// names for it, or that of its added token "[PAD]" or "<pad>", or 0.
func (t *Tokenizer) PadID() int64 { return t.pad }

// Digest is the SHA-256 of the tokenizer.json.
func (t *Tokenizer) Digest() [sha256.Size]byte { return t.digest }

// file is the part of tokenizer.json that decides about ids.
type file struct {
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	Model         json.RawMessage `json:"model"`
	PostProcessor json.RawMessage `json:"post_processor"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Padding       *struct {
		ID int64 `json:"pad_id"`
	} `json:"padding"`
}

// take makes room for an id.
func (t *Tokenizer) take(id int64) error {
	if id < 0 || id >= math.MaxInt32 {
		return fmt.Errorf("%d is not a token id", id)
	}
	t.size = max(t.size, id+1)
	return nil
}

// loadModel tells old files, which do not name the kind, by what they hold.
func (t *Tokenizer) loadModel(data json.RawMessage) error {
	var f struct {
		Type    string          `json:"type"`
		Merges  json.RawMessage `json:"merges"`
		MaxWord json.RawMessage `json:"max_input_chars_per_word"`
		Vocab   json.RawMessage `json:"vocab"`
	}
	if err := json.Unmarshal(orNull(data), &f); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	kind := f.Type
	switch {
	case kind != "":
	case f.Merges != nil:
		kind = "BPE"
	case f.MaxWord != nil:
		kind = "WordPiece"
	case bytes.HasPrefix(f.Vocab, []byte{'['}):
		kind = "Unigram"
	}
	var err error
	switch kind {
	case "WordPiece":
		t.model, err = loadWordPiece(data, t)
	case "BPE":
		t.model, err = loadBPE(data, t)
	case "Unigram":
		t.model, err = loadUnigram(data, t)
	case "":
		return errors.New("model is missing: WordPiece, BPE and Unigram are supported")
	default:
		return fmt.Errorf("model is of kind %q: only WordPiece, BPE and Unigram are supported", kind)
	}
	if err != nil {
		return fmt.Errorf("model %s: %w", kind, err)
	}
	if t.bytesOfText() && kind != "BPE" {
		return fmt.Errorf("pre_tokenizer ByteLevel with a model of kind %q: it goes with BPE only", kind)
	}
	return nil
}

// takeVocab makes room for the ids of a vocabulary.
func (t *Tokenizer) takeVocab(vocab map[string]int32) error {
	for token, id := range vocab {
		if err := t.take(int64(id)); err != nil {
			return fmt.Errorf("vocab: %q: %w", token, err)
		}
	}
	return nil
}

// errKind stands for a kind of part that the package does not know.
var errKind = errors.New("is not supported")

// loadSequence reads a part that may be null, one step, or a Sequence of steps
// (which may be Sequences). Its error names all steps that are at fault.
func loadSequence[T any](part, list string, data json.RawMessage, load func(kind string, data json.RawMessage) (T, error)) ([]T, error) {
	var f *struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(orNull(data), &f); err != nil {
		return nil, fmt.Errorf("%s: %w", part, err)
	}
	if f == nil {
		return nil, nil
	}
	if f.Type != "Sequence" {
		step, err := load(f.Type, data)
		switch {
		case errors.Is(err, errKind):
			return nil, fmt.Errorf("%s of kind %q is not supported", part, f.Type)
		case err != nil:
			return nil, fmt.Errorf("%s %s: %w", part, f.Type, err)
		}
		return []T{step}, nil
	}
	var lists map[string]json.RawMessage
	var inner []json.RawMessage
	if err := errors.Join(json.Unmarshal(data, &lists), json.Unmarshal(orNull(lists[list]), &inner)); err != nil {
		return nil, fmt.Errorf("%s Sequence: %w", part, err)
	}
	var all []T
	var errs []error
	for _, data := range inner {
		steps, err := loadSequence(part, list, data, load)
		all, errs = append(all, steps...), append(errs, err)
	}
	return all, errors.Join(errs...)
}

func orNull(data json.RawMessage) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}
