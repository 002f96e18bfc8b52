package tokenizer

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxWordLimit bounds max_input_chars_per_word, on which the time for one
// word depends.
const maxWordLimit = 1000

// A Tokenizer turns text into token ids. It is safe for concurrent use.
type Tokenizer struct {
	normalizer normalizer
	ascii      [128]asciiRule

	words      map[string]int64 // pieces that begin a word
	pieces     map[string]int64 // pieces that go on with one, without prefix
	longest    int              // bytes of the longest piece
	unknown    int64
	maxWord    int   // runes; a longer word is unknown
	size       int64 // one more than the largest id
	digest     [sha256.Size]byte
	prefix     []int64 // what the template puts before the text
	suffix     []int64 // and after it
	added      []addedToken
	addedStart [256]bool // first bytes of added
}

// An addedToken is found in the text as it is, before normalization.
type addedToken struct {
	content string
	id      int64
}

// Load reads a tokenizer.json. Its truncation and padding do not count: the
// caller of [Tokenizer.Encode] says how long the answer may be. The error
// names every part that is of another kind than the package supports.
func Load(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("read tokenizer.json: %w", err)
	}
	t := &Tokenizer{digest: sha256.Sum256(data)}
	if err := errors.Join(
		t.loadNormalizer(f.Normalizer),
		isKind("pre_tokenizer", f.PreTokenizer.Type, "BertPreTokenizer"),
		t.loadModel(f.Model),
		t.loadTemplate(f.PostProcessor),
		t.loadAdded(f.AddedTokens),
	); err != nil {
		return nil, fmt.Errorf("load tokenizer.json: %w", err)
	}
	t.ascii = t.normalizer.asciiRules()
	return t, nil
}

// VocabSize is one more than the largest id that Encode can return.
func (t *Tokenizer) VocabSize() int64 { return t.size }

// Digest is the SHA-256 of the tokenizer.json.
func (t *Tokenizer) Digest() [sha256.Size]byte { return t.digest }

// file is the part of tokenizer.json that decides about ids.
type file struct {
	Normalizer    normalizerFile `json:"normalizer"`
	PreTokenizer  kind           `json:"pre_tokenizer"`
	Model         modelFile      `json:"model"`
	PostProcessor templateFile   `json:"post_processor"`
	AddedTokens   []addedFile    `json:"added_tokens"`
}

type kind struct {
	Type string `json:"type"`
}

type normalizerFile struct {
	kind
	CleanText    bool  `json:"clean_text"`
	ChineseChars bool  `json:"handle_chinese_chars"`
	StripAccents *bool `json:"strip_accents"`
	Lowercase    bool  `json:"lowercase"`
}

// modelFile leaves the vocabulary raw: other models write it in other shapes,
// which must not hide the kind from the error.
type modelFile struct {
	kind
	Unknown string          `json:"unk_token"`
	Prefix  string          `json:"continuing_subword_prefix"`
	MaxWord int             `json:"max_input_chars_per_word"`
	Vocab   json.RawMessage `json:"vocab"`
}

type templateFile struct {
	kind
	Single        []templatePart         `json:"single"`
	SpecialTokens map[string]specialFile `json:"special_tokens"`
}

type templatePart struct {
	SpecialToken *struct {
		ID string `json:"id"`
	}
	Sequence *struct {
		ID string `json:"id"`
	}
}

type specialFile struct {
	IDs []int64 `json:"ids"`
}

type addedFile struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Normalized bool   `json:"normalized"`
}

func isKind(part, got, want string) error {
	switch got {
	case want:
		return nil
	case "":
		return fmt.Errorf("%s is missing: only %s is supported", part, want)
	default:
		return fmt.Errorf("%s is of kind %q: only %s is supported", part, got, want)
	}
}

func (t *Tokenizer) loadNormalizer(f normalizerFile) error {
	t.normalizer = normalizer{
		clean:     f.CleanText,
		chinese:   f.ChineseChars,
		strip:     f.Lowercase, // where strip_accents is null
		lowercase: f.Lowercase,
	}
	if f.StripAccents != nil {
		t.normalizer.strip = *f.StripAccents
	}
	return isKind("normalizer", f.Type, "BertNormalizer")
}

func (t *Tokenizer) loadModel(f modelFile) error {
	if err := isKind("model", f.Type, "WordPiece"); err != nil {
		return err
	}
	if f.MaxWord < 1 || f.MaxWord > maxWordLimit {
		return fmt.Errorf("model: max_input_chars_per_word is %d, not within 1 to %d", f.MaxWord, maxWordLimit)
	}
	t.maxWord = f.MaxWord
	if err := json.Unmarshal(f.Vocab, &t.words); err != nil {
		return fmt.Errorf("model: vocab: %w", err)
	}
	t.pieces = make(map[string]int64, len(t.words)/4)
	for piece, id := range t.words {
		if id < 0 || id >= math.MaxInt32 {
			return fmt.Errorf("model: vocab: %q has the id %d, which is not a token id", piece, id)
		}
		if rest, ok := strings.CutPrefix(piece, f.Prefix); ok && rest != "" {
			t.pieces[rest] = id
		}
		t.longest = max(t.longest, len(piece))
		t.size = max(t.size, id+1)
	}
	unknown, ok := t.words[f.Unknown]
	if !ok {
		return fmt.Errorf("model: unk_token %q is not in the vocab", f.Unknown)
	}
	t.unknown = unknown
	return nil
}

func (t *Tokenizer) loadTemplate(f templateFile) error {
	if err := isKind("post_processor", f.Type, "TemplateProcessing"); err != nil {
		return err
	}
	texts := 0
	for _, part := range f.Single {
		if part.Sequence != nil && part.Sequence.ID == "A" {
			texts++
			continue
		}
		if part.SpecialToken == nil {
			return errors.New("post_processor: the single template has a part that is neither a special token nor the text A")
		}
		special, ok := f.SpecialTokens[part.SpecialToken.ID]
		if !ok {
			return fmt.Errorf("post_processor: special token %q has no ids", part.SpecialToken.ID)
		}
		for _, id := range special.IDs {
			if id < 0 || id >= math.MaxInt32 {
				return fmt.Errorf("post_processor: special token %q has the id %d, which is not a token id", part.SpecialToken.ID, id)
			}
			t.size = max(t.size, id+1)
		}
		if texts == 0 {
			t.prefix = append(t.prefix, special.IDs...)
		} else {
			t.suffix = append(t.suffix, special.IDs...)
		}
	}
	if texts != 1 {
		return fmt.Errorf("post_processor: the single template names the text %d times, not once", texts)
	}
	return nil
}

func (t *Tokenizer) loadAdded(tokens []addedFile) error {
	for _, a := range tokens {
		id, inVocab := t.words[a.Content]
		switch {
		case a.Content == "":
			return fmt.Errorf("added token %d is empty", a.ID)
		case a.Normalized || a.SingleWord:
			return fmt.Errorf("added token %q is normalized or single_word: neither is supported", a.Content)
		case a.ID < 0 || a.ID >= math.MaxInt32:
			return fmt.Errorf("added token %q has the id %d, which is not a token id", a.Content, a.ID)
		case inVocab && id != a.ID:
			return fmt.Errorf("added token %q has the id %d, but %d in the vocab", a.Content, a.ID, id)
		}
		t.added = append(t.added, addedToken{content: a.Content, id: a.ID})
		t.addedStart[a.Content[0]] = true
		t.size = max(t.size, a.ID+1)
	}
	// Where two begin at the same byte, the longer one counts. lstrip and
	// rstrip only eat whitespace, which the pre-tokenizer drops anyway.
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return len(b.content) - len(a.content) })
	return nil
}
