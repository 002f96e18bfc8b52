//go:build cgo

package onnx

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"semantic-epp/classifier"
	"semantic-epp/classifier/tokenizer"
)

// A Classifier runs one model, one text at a time per caller, each on one
// thread: more callers at once use more cores. A run cannot be interrupted;
// put a classifier.Bounded before it.
type Classifier struct {
	tokenizer *tokenizer.Tokenizer
	maxTokens int
	blank     int // tokens of a text that says nothing
	info      classifier.Info

	inputs []string
	runs   sync.Pool // of *run

	open    sync.RWMutex // held for reading by runs
	session *ort.DynamicAdvancedSession
}

// New loads a model and runs it once with the longest text that it may get.
// The model takes input_ids and, as it likes, attention_mask and
// token_type_ids, all int64 of shape [batch, tokens]; and gives logits, float
// of shape [batch, labels], as its only output or under that name.
func New(cfg Config) (*Classifier, error) {
	c, err := load(cfg)
	if err != nil {
		return nil, fmt.Errorf("load ONNX model: %w", err)
	}
	return c, nil
}

func load(cfg Config) (*Classifier, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	library, err := FindLibrary(cfg.Library)
	if err != nil {
		return nil, err
	}
	if err := loadEnvironment(library); err != nil {
		return nil, err
	}
	inputs, output, err := signature(cfg.Model, len(cfg.Labels))
	if err != nil {
		return nil, err
	}
	session, err := openSession(cfg.Model, inputs, output)
	if err != nil {
		return nil, err
	}
	c := &Classifier{
		tokenizer: cfg.Tokenizer,
		maxTokens: cfg.MaxTokens,
		blank:     len(cfg.Tokenizer.Encode(nil, "", cfg.MaxTokens)),
		inputs:    inputs,
		session:   session,
		info: classifier.Info{
			Name:     "onnx",
			Revision: cfg.revision(),
			Labels:   slices.Clone(cfg.Labels),
			Device:   "cpu",
		},
	}
	c.runs.New = func() any { return newRun(len(inputs), cfg.MaxTokens, len(cfg.Labels)) }
	if _, err := c.Classify(context.Background(), strings.Repeat("a ", cfg.MaxTokens)); err != nil {
		return nil, errors.Join(fmt.Errorf("try it with %d tokens: %w", cfg.MaxTokens, err), c.Close())
	}
	return c, nil
}

// signature finds the names of the model's inputs and output, and checks that
// they are of the kinds that New tells.
func signature(model []byte, labels int) (inputs []string, output string, err error) {
	ins, outs, err := ort.GetInputOutputInfoWithONNXData(model)
	if err != nil {
		return nil, "", fmt.Errorf("read its inputs and outputs: %w", err)
	}
	var errs []error
	for _, in := range ins {
		if !slices.Contains([]string{"input_ids", "attention_mask", "token_type_ids"}, in.Name) || in.DataType != ort.TensorElementDataTypeInt64 || len(in.Dimensions) != 2 {
			errs = append(errs, fmt.Errorf("input %v is none that a classifier has", &in))
		}
		inputs = append(inputs, in.Name)
	}
	if !slices.Contains(inputs, "input_ids") {
		errs = append(errs, errors.New("there is no input input_ids"))
	}
	i := slices.IndexFunc(outs, func(out ort.InputOutputInfo) bool { return out.Name == "logits" || len(outs) == 1 })
	if i < 0 {
		return nil, "", errors.Join(append(errs, fmt.Errorf("none of its %d outputs is named logits", len(outs)))...)
	}
	out := outs[i]
	if out.DataType != ort.TensorElementDataTypeFloat || len(out.Dimensions) != 2 || out.Dimensions[1] > 0 && out.Dimensions[1] != int64(labels) {
		errs = append(errs, fmt.Errorf("output %v is not float [batch, %d], one for each label", &out, labels))
	}
	return inputs, out.Name, errors.Join(errs...)
}

func openSession(model []byte, inputs []string, output string) (*ort.DynamicAdvancedSession, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("make session options: %w", err)
	}
	defer options.Destroy()
	// One thread: callers are the parallelism. A thread that spins while it
	// waits takes the core from the next caller.
	if err := errors.Join(
		options.SetIntraOpNumThreads(1),
		options.SetInterOpNumThreads(1),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
		options.AddSessionConfigEntry("session.inter_op.allow_spinning", "0"),
	); err != nil {
		return nil, fmt.Errorf("set session options: %w", err)
	}
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(model, inputs, []string{output}, options)
	if err != nil {
		return nil, fmt.Errorf("open a session: %w", err)
	}
	return session, nil
}

// Classify reads at most the configured number of tokens: of a longer text the
// head and the tail. A blank text is ErrNoMatch.
func (c *Classifier) Classify(ctx context.Context, text string) (classifier.Result, error) {
	if err := ctx.Err(); err != nil {
		return classifier.Result{}, fmt.Errorf("classify: %w", err)
	}
	c.open.RLock()
	defer c.open.RUnlock()
	if c.session == nil {
		return classifier.Result{}, classifier.ErrClosed
	}
	r := c.runs.Get().(*run)
	defer c.runs.Put(r)
	r.ids = c.tokenizer.EncodeEnds(r.ids[:0], text, c.maxTokens)
	if len(r.ids) <= c.blank {
		return classifier.Result{}, classifier.ErrNoMatch
	}
	if err := r.do(c.session, c.inputs); err != nil {
		return classifier.Result{}, fmt.Errorf("run ONNX model: %w", err)
	}
	return classifier.Rank(c.info.Labels, r.logits, 1, c.info.Revision)
}

// Info describes the model.
func (c *Classifier) Info() classifier.Info { return c.info }

// Close waits for the runs that go on and frees the model. ONNX Runtime itself
// stays loaded.
func (c *Classifier) Close() error {
	c.open.Lock()
	defer c.open.Unlock()
	if c.session == nil {
		return nil
	}
	session := c.session
	c.session = nil
	if err := session.Destroy(); err != nil {
		return fmt.Errorf("close ONNX model: %w", err)
	}
	return nil
}
