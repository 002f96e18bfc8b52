package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"semantic-epp/classifier"
	"semantic-epp/plugins/semantic"
	"semantic-epp/scheduling"
)

// maxPromptLine bounds one line of explain's standard input.
const maxPromptLine = 8 << 20

// explanation is what explain writes for one prompt.
type explanation struct {
	Category      string             `json:"category"`
	Confidence    float64            `json:"confidence"`
	Margin        float64            `json:"margin"`
	Model         string             `json:"model"`
	Rule          string             `json:"rule"`
	Reason        string             `json:"reason"`
	Models        []rankedModel      `json:"models"`
	Probabilities map[string]float64 `json:"probabilities,omitempty"`
	Error         string             `json:"error,omitempty"`
}

type rankedModel struct {
	Name  string  `json:"name"`
	Score float64 `json:"score"`
}

func newExplainCommand() *cobra.Command {
	var cfg, text, library string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain PROMPT|-",
		Short: "Show what would be decided for a prompt, and why",
		Long: `Explain classifies a prompt and applies the rules, as for a request for the
model "auto", without any model server. With "-" it reads one prompt a line from
standard input, plain or as a JSON string, and writes one JSON object a line.`,
		Example: `  semantic-epp explain "What is 2+2 * (5-1)?"
  semantic-epp explain --json --config-file config.yaml "Who was Napoleon?"
  printf '%s\n' "2+2 is" '"a prompt of\ntwo lines"' | semantic-epp explain -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, name, err := configuration(cfg, text)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			var notice string
			open := newOpener(library, func(s string) { notice = s })
			l, err := loadConfig(ctx, data, open, func() []types.NamespacedName { return nil }, logr.Discard())
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			if notice != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), notice)
			}
			if args[0] == "-" {
				return explainLines(ctx, l.semantic, cmd.InOrStdin(), cmd.OutOrStdout())
			}
			e := explain(ctx, l.semantic, args[0])
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
			}
			return e.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&cfg, "config-file", "", "path of the `file` with the EndpointPickerConfig (default: an embedded one)")
	cmd.Flags().StringVar(&text, "config-text", "", "the configuration as `text`, in place of a file")
	cmd.Flags().StringVar(&library, "onnxruntime", "", onnxruntimeHelp)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

func explainLines(ctx context.Context, router *semantic.Plugin, in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxPromptLine)
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	for n := 1; lines.Scan(); n++ {
		prompt := lines.Text()
		if strings.HasPrefix(prompt, `"`) {
			var unquoted string
			if err := json.Unmarshal(lines.Bytes(), &unquoted); err == nil {
				prompt = unquoted // else a plain line that happens to begin with a quote
			}
		}
		if err := encoder.Encode(explain(ctx, router, prompt)); err != nil {
			return fmt.Errorf("write line %d: %w", n, err)
		}
		// Whoever types the prompts, or feeds them one by one, waits for each.
		if err := buffered.Flush(); err != nil {
			return fmt.Errorf("write line %d: %w", n, err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return fmt.Errorf("read prompts: a line of more than %d bytes", maxPromptLine)
	}
	return lines.Err()
}

func explain(ctx context.Context, router *semantic.Plugin, prompt string) explanation {
	found := router.Explain(ctx, prompt)
	e := explanation{
		Category:   found.Result.Category,
		Confidence: found.Result.Confidence,
		Margin:     found.Result.Margin,
		Model:      found.Decision.Best(),
		Rule:       found.Decision.Rule,
		Reason:     string(found.Decision.Reason),
	}
	for _, m := range found.Decision.Models {
		e.Models = append(e.Models, rankedModel{m.Model, m.Score})
	}
	if len(found.Result.Probabilities) > 0 {
		e.Probabilities = make(map[string]float64, len(found.Result.Probabilities))
		for _, p := range found.Result.Probabilities {
			e.Probabilities[p.Category] = p.P
		}
	}
	if found.Err != nil && !errors.Is(found.Err, classifier.ErrNoMatch) {
		e.Error = found.Err.Error()
	}
	return e
}

// because says a reason in words.
func (e *explanation) because() string {
	switch scheduling.Reason(e.Reason) {
	case scheduling.Rule:
		return "rule " + e.Rule + " matches"
	case scheduling.Unsure:
		return "no rule matches surely enough: the default model"
	case scheduling.Default:
		return "no rule matches: the default model"
	case scheduling.Failed:
		return "the classifier is broken: the default model"
	}
	return e.Reason
}

// shown is how many categories the text form lists.
const shown = 5

func (e *explanation) print(out io.Writer) error {
	var b strings.Builder
	category := e.Category
	if category == "" {
		category = "none"
	}
	fmt.Fprintf(&b, "category    %s (%.1f %%)\n", category, 100*e.Confidence)
	fmt.Fprintf(&b, "model       %s\n", e.Model)
	fmt.Fprintf(&b, "because     %s [%s]\n", e.because(), e.Reason)
	for i, m := range e.Models[1:] {
		if i == 0 {
			fmt.Fprintf(&b, "else        ")
		} else {
			fmt.Fprintf(&b, ", ")
		}
		fmt.Fprintf(&b, "%s (%.2f)", m.Name, m.Score)
		if i == len(e.Models)-2 {
			fmt.Fprintln(&b)
		}
	}
	type entry struct {
		category string
		p        float64
	}
	var entries []entry
	for c, p := range e.Probabilities {
		entries = append(entries, entry{c, p})
	}
	slices.SortFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(b.p, a.p), cmp.Compare(a.category, b.category)) })
	for i, c := range entries[:min(shown, len(entries))] {
		title := ""
		if i == 0 {
			title = "likely"
		}
		fmt.Fprintf(&b, "%-11s %5.1f %%  %s\n", title, 100*c.p, c.category)
	}
	if e.Error != "" {
		fmt.Fprintf(&b, "error       %s\n", e.Error)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
