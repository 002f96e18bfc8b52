package huggingface

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	slashpath "path"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of the files that are read whole, in bytes.
const (
	maxConfig    = 4 << 20
	maxTokenizer = 128 << 20 // mmBERT's has 34 MB
)

// maxTokens bounds what a configuration can say: beyond it is a way to write
// "without end".
const maxTokens = 1 << 20

// Options say what to take of a directory.
type Options struct {
	File    string            // the ONNX file to use, relative to the directory; "" to choose by device
	Mapping string            // the file that names the labels; "" for category_mapping.json or label_mapping.json where there is one
	SHA256  map[string]string // digests in hexadecimal that files must have, by path relative to the directory
}

// A Directory is what a model directory says about its model.
type Directory struct {
	Path      string   // absolute
	ModelType string   // as config.json has it: "bert", "modernbert", …
	Labels    []string // what the model's outputs mean, in order; nil for a model without a classification head
	MaxTokens int      // the most that the model reads, special ones included; 0 where nothing says
	PadID     int64    // pads inputs; -1 where config.json does not say
	Pooling   string   // of token embeddings, by 1_Pooling/config.json: "mean", "cls", or "" where nothing says
	Tokenizer []byte   // tokenizer.json
	Files     []File   // the ONNX files, the best of each precision first
	Notices   []string // what does not stop anybody but should be known

	file   string            // Options.File
	sha256 map[string]string // Options.SHA256, checked
}

// Open reads a directory. The error names everything that is wrong with it.
func Open(dir string, o Options) (*Directory, error) {
	d, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("open model directory %s: %w", dir, err)
	}
	return d, nil
}

func open(dir string, o Options) (*Directory, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := openRoot(path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	d := &Directory{Path: path, PadID: -1, sha256: make(map[string]string, len(o.SHA256))}
	if o.File != "" {
		d.file = clean(o.File)
	}
	for name, digest := range o.SHA256 {
		d.sha256[clean(name)] = digest
	}
	if err := errors.Join(
		d.readConfig(root, o.Mapping),
		d.readTokenizer(root),
		d.readPooling(root),
		d.readFiles(root),
		d.checkPins(root),
	); err != nil {
		return nil, err
	}
	return d, nil
}

// clean gives each file one name.
func clean(name string) string { return slashpath.Clean(filepath.ToSlash(name)) }

// config is the part of config.json that says how to run the model.
type config struct {
	ModelType     string            `json:"model_type"`
	Architectures []string          `json:"architectures"`
	Labels        map[string]string `json:"id2label"`
	LabelCount    *int              `json:"num_labels"`
	ProblemType   string            `json:"problem_type"`
	Positions     *float64          `json:"max_position_embeddings"`
	PadID         *int64            `json:"pad_token_id"`
}

func (d *Directory) readConfig(root *root, mapping string) error {
	data, err := root.read("config.json", maxConfig)
	if err != nil {
		return err
	}
	var c config
	if err := json.Unmarshal(data, &c); err != nil {
		return fmt.Errorf("read config.json: %w", err)
	}
	d.ModelType = c.ModelType
	if c.PadID != nil && *c.PadID >= 0 { // -1 is an old way to say none
		d.PadID = *c.PadID
	}
	d.limit(c.positions())
	return errors.Join(c.checkTask(), d.readLabels(root, &c, mapping))
}

// checkTask refuses models whose outputs are no probabilities over labels.
func (c *config) checkTask() error {
	var errs []error
	switch c.ProblemType {
	case "", "single_label_classification":
	case "multi_label_classification":
		errs = append(errs, errors.New("config.json: problem_type is multi_label_classification, but one label is chosen here: use a model trained for a single label"))
	default:
		errs = append(errs, fmt.Errorf("config.json: problem_type is %q, not single_label_classification", c.ProblemType))
	}
	for _, a := range c.Architectures {
		for _, task := range []string{"ForTokenClassification", "ForQuestionAnswering", "ForMultipleChoice"} {
			if strings.HasSuffix(a, task) {
				errs = append(errs, fmt.Errorf("config.json: %s does not classify a text: use a model …ForSequenceClassification", a))
			}
		}
	}
	return errors.Join(errs...)
}

func (c *config) classifies() bool {
	return slices.ContainsFunc(c.Architectures, func(a string) bool { return strings.HasSuffix(a, "ForSequenceClassification") })
}

// positions is how many tokens the position embeddings allow. RoBERTa and its
// kin count positions from behind the padding's id.
func (c *config) positions() float64 {
	if c.Positions == nil {
		return 0
	}
	switch c.ModelType {
	case "roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "roberta-prelayernorm", "xmod", "data2vec-text", "mpnet":
		pad := 1.0
		if c.PadID != nil && *c.PadID >= 0 {
			pad = float64(*c.PadID)
		}
		return *c.Positions - pad - 1
	}
	return *c.Positions
}

// limit lowers MaxTokens; a value that limits nothing is none.
func (d *Directory) limit(tokens float64) {
	if math.IsNaN(tokens) || tokens < 1 || tokens > maxTokens {
		return
	}
	if d.MaxTokens == 0 || int(tokens) < d.MaxTokens {
		d.MaxTokens = int(tokens)
	}
}

func (d *Directory) readTokenizer(root *root) error {
	var err error
	if d.Tokenizer, err = root.read("tokenizer.json", maxTokenizer); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf(`%w: write it with AutoTokenizer.from_pretrained(…, use_fast=True).save_pretrained(…)`, err)
		}
		return err
	}
	var t struct {
		MaxTokens *float64 `json:"model_max_length"`
	}
	var s struct {
		MaxTokens *float64 `json:"max_seq_length"`
	}
	err = errors.Join(
		root.readJSON("tokenizer_config.json", &t),
		root.readJSON("sentence_bert_config.json", &s),
	)
	for _, tokens := range []*float64{t.MaxTokens, s.MaxTokens} {
		if tokens != nil {
			d.limit(*tokens)
		}
	}
	return err
}

func (d *Directory) readPooling(root *root) error {
	modes := map[string]any{}
	if err := root.readJSON("1_Pooling/config.json", &modes); err != nil {
		return err
	}
	var on []string
	for mode, v := range modes {
		if v == true && strings.HasPrefix(mode, "pooling_mode_") {
			on = append(on, mode)
		}
	}
	slices.Sort(on)
	switch {
	case len(modes) == 0:
	case slices.Equal(on, []string{"pooling_mode_mean_tokens"}):
		d.Pooling = "mean"
	case slices.Equal(on, []string{"pooling_mode_cls_token"}):
		d.Pooling = "cls"
	default:
		return fmt.Errorf("1_Pooling/config.json: the pooling modes are [%s], not one of pooling_mode_mean_tokens and pooling_mode_cls_token", strings.Join(on, " "))
	}
	return nil
}

// readJSON reads a file that need not be there.
func (r *root) readJSON(name string, into any) error {
	data, err := r.read(name, maxConfig)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return nil
}

// Read returns a file of the directory, after the check of its digest where
// there is one: the very bytes that were checked. Give these to ONNX Runtime
// where the weights are all inside, and the path of [Directory.File] where
// they are not.
func (d *Directory) Read(name string) ([]byte, error) {
	root, err := openRoot(d.Path)
	if err != nil {
		return nil, fmt.Errorf("open model directory %s: %w", d.Path, err)
	}
	defer root.Close()
	data, err := root.read(name, maxModel)
	if err == nil {
		err = d.checkPin(clean(name), data)
	}
	if err != nil {
		return nil, fmt.Errorf("read from model directory %s: %w", d.Path, err)
	}
	return data, nil
}

// maxModel is what a protobuf message, and so an ONNX file, can have at most.
const maxModel = math.MaxInt32
