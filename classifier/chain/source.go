package chain

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"semantic-epp/classifier"
	"semantic-epp/classifier/builtin"
	"semantic-epp/classifier/examples"
	"semantic-epp/classifier/huggingface"
	"semantic-epp/classifier/onnx"
	"semantic-epp/classifier/reload"
	"semantic-epp/classifier/tokenizer"
	"semantic-epp/config"
)

// defaultMaxTokens is what the built-in models were trained to read.
const defaultMaxTokens = 128

// A source opens models by the names that configurations give them.
type source struct {
	cfg     config.Classifier
	options Options
	embeds  bool // the model has to give embeddings, not categories
}

// open opens the model of that name, with the operator's categories over it
// where there are any.
func (s source) open(ctx context.Context, name string) (classifier.Model, error) {
	if !isPath(name) {
		model, err := s.builtin(name)
		if err != nil {
			return nil, err
		}
		return s.custom(ctx, model)
	}
	open := func(ctx context.Context) (classifier.Model, error) {
		model, err := s.directory(name)
		if err != nil {
			return nil, err
		}
		return s.custom(ctx, model)
	}
	if s.options.Every <= 0 {
		return open(ctx)
	}
	return reload.New(ctx, reload.Config{
		Open:        open,
		Fingerprint: reload.Paths(name),
		Every:       s.options.Every,
		OnReload:    func(_, _ classifier.Info) { s.options.Reloaded(nil) },
		OnError:     s.options.Reloaded,
	})
}

func isPath(name string) bool { return strings.ContainsRune(name, '/') }

func (s source) builtin(name string) (classifier.Model, error) {
	o := builtin.Options{
		Library:   s.options.Library,
		Device:    s.cfg.Device,
		MaxTokens: s.cfg.MaxTokens,
		Notice:    s.options.Notice,
		Fallback:  s.options.Fallback,
	}
	switch name {
	case "small":
		o.Model = builtin.Small
	case "linear":
		o.Model = builtin.Linear
	}
	if s.embeds && o.Model == "" {
		o.Model = builtin.ONNX // the linear model, which may stand in, gives no embeddings
	}
	return builtin.Open(o)
}

// directory opens a Hugging Face model directory.
func (s source) directory(path string) (classifier.Model, error) {
	d, err := huggingface.Open(path, huggingface.Options{File: s.cfg.File, SHA256: s.cfg.SHA256})
	if err != nil {
		return nil, err
	}
	for _, notice := range d.Notices {
		s.options.Notice(fmt.Errorf("model %s: %s", path, notice))
	}
	tokens, err := tokenizer.Load(d.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	cfg := onnx.Config{
		Library:    s.options.Library,
		Device:     s.cfg.Device,
		Tokenizer:  tokens,
		PadID:      d.PadID,
		MaxTokens:  s.maxTokens(d.MaxTokens),
		Embeddings: s.embeds,
		Pooling:    d.Pooling,
		OnFallback: s.options.Fallback,
	}
	if cfg.PadID < 0 {
		cfg.PadID = tokens.PadID()
	}
	if !s.embeds {
		cfg.Labels = d.Labels
	}
	if err := chooseFiles(d, &cfg); err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	m, err := onnx.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	if m.Fallback() != nil && !errors.Is(m.Fallback(), onnx.ErrCPULibrary) {
		s.options.Notice(fmt.Errorf("model %s: %w", path, m.Fallback()))
	}
	return m, nil
}

// chooseFiles takes the file for the CPU, which stands by for a GPU too, and
// the one for a GPU where it may run there.
func chooseFiles(d *huggingface.Directory, cfg *onnx.Config) error {
	cpu, err := d.File("cpu")
	if err != nil {
		return err
	}
	if external(d, cpu) {
		cfg.Path = cpu
	} else if cfg.Model, err = read(d, cpu); err != nil {
		return err
	}
	if cfg.Device == "cpu" {
		return nil
	}
	cuda, err := d.File("cuda")
	switch {
	case err != nil && strings.HasPrefix(cfg.Device, "cuda"):
		return err
	case err != nil:
		cfg.Device = "cpu" // nothing in the directory is for a GPU
	case cuda == cpu: // for both
	case external(d, cuda):
		cfg.CUDAPath = cuda
	default:
		cfg.CUDAModel, err = read(d, cuda)
		return err
	}
	return nil
}

// read returns the very bytes whose digest was checked.
func read(d *huggingface.Directory, path string) ([]byte, error) {
	name, err := filepath.Rel(d.Path, path)
	if err != nil {
		return nil, err
	}
	return d.Read(name)
}

func external(d *huggingface.Directory, path string) bool {
	for _, f := range d.Files {
		if filepath.Join(d.Path, filepath.FromSlash(f.Path)) == path {
			return len(f.External) > 0
		}
	}
	return false
}

func (s source) maxTokens(most int) int {
	tokens := s.cfg.MaxTokens
	if tokens == 0 {
		tokens = defaultMaxTokens
	}
	if most > 0 {
		tokens = min(tokens, most)
	}
	return tokens
}

// custom puts the operator's categories over a model that embeds.
func (s source) custom(ctx context.Context, model classifier.Model) (classifier.Model, error) {
	if len(s.cfg.Categories) == 0 {
		return model, nil
	}
	embedder, ok := model.(classifier.Embedder)
	if !ok {
		return nil, errors.Join(fmt.Errorf("categories: the model %s gives no embeddings", model.Info().Name), model.Close())
	}
	c, err := examples.New(ctx, embedder, s.cfg.Categories, examples.Options{Embedder: model.Info()})
	if err != nil {
		return nil, errors.Join(err, model.Close())
	}
	return ownCategories{c, embedder, model}, nil
}

// ownCategories is the operator's categories with the model under them.
type ownCategories struct {
	*examples.Classifier
	classifier.Embedder
	model classifier.Model
}

// Close frees both.
func (o ownCategories) Close() error { return errors.Join(o.Classifier.Close(), o.model.Close()) }
