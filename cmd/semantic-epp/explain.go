package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"semantic-epp/classifier"
	"semantic-epp/payload"
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
	Reasoning     string             `json:"reasoning,omitempty"`
	Models        []rankedModel      `json:"models"`
	Probabilities map[string]float64 `json:"probabilities,omitempty"`
	Rules         []triedRule        `json:"rules,omitempty"`
	Error         string             `json:"error,omitempty"`
}

// triedRule is what became of a rule.
type triedRule struct {
	Name    string           `json:"name"`
	Outcome string           `json:"outcome"`
	Parts   []triedCondition `json:"parts,omitempty"`
}

type triedCondition struct {
	Key     string `json:"key"`
	Outcome string `json:"outcome"`
	Found   string `json:"found,omitempty"`
}

type rankedModel struct {
	Name  string  `json:"name"`
	Score float64 `json:"score"`
}

func newExplainCommand() *cobra.Command {
	var o loadOptions
	var messages string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain PROMPT|-|--messages FILE",
		Short: "Show what would be decided for a prompt, and why",
		Long: `Explain classifies a prompt and applies the rules, as for a request for the
model "auto", without any model server. With "-" it reads one prompt a line from
standard input, plain or as a JSON string, and writes one JSON object a line.
With --messages it reads a request as a client sends it.`,
		Example: `  semantic-epp explain "What is 2+2 * (5-1)?"
  semantic-epp explain --json --config-file config.yaml "Who was Napoleon?"
  printf '%s\n' "2+2 is" '"a prompt of\ntwo lines"' | semantic-epp explain -
  semantic-epp explain --messages request.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if messages != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var prompt semantic.Prompt
			if messages != "" {
				request, err := readMessages(messages, cmd.InOrStdin())
				if err != nil {
					return err
				}
				prompt = semantic.PromptOf("", request, nil)
			} else {
				prompt.Text = args[0]
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			router, err := o.load(ctx, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if messages == "" && prompt.Text == "-" {
				return explainLines(ctx, router, cmd.InOrStdin(), cmd.OutOrStdout())
			}
			e := explain(ctx, router, prompt)
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(e)
			}
			return e.print(cmd.OutOrStdout())
		},
	}
	o.addFlags(cmd)
	cmd.Flags().StringVar(&messages, "messages", "", "`file` with a request body, or a list of messages, in JSON; - is standard input")
	_ = cmd.MarkFlagFilename("messages", "json") // the flag is there
	cmd.Flags().BoolVar(&asJSON, "json", false, "write one JSON object")
	return cmd
}

// readMessages returns the request in a file.
func readMessages(path string, stdin io.Reader) (*payload.Request, error) {
	var data []byte
	var err error
	if path == "-" {
		data, err = io.ReadAll(io.LimitReader(stdin, maxPromptLine))
	} else {
		data, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read messages: %w", err)
	}
	return requestOf(data)
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
		if err := encoder.Encode(explain(ctx, router, semantic.Prompt{Text: prompt})); err != nil {
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

func explain(ctx context.Context, router *semantic.Plugin, prompt semantic.Prompt) explanation {
	found := router.Rules().Explain(ctx, prompt)
	e := explanation{
		Category:   found.Result.Category,
		Confidence: found.Result.Confidence,
		Margin:     found.Result.Margin,
		Model:      found.Decision.Best(),
		Rule:       found.Decision.Rule,
		Reason:     string(found.Decision.Reason),
	}
	e.Reasoning = string(found.Decision.Models[0].Reasoning)
	for _, m := range found.Decision.Models {
		e.Models = append(e.Models, rankedModel{m.Model, m.Score})
	}
	if len(found.Result.Probabilities) > 0 {
		e.Probabilities = make(map[string]float64, len(found.Result.Probabilities))
		for _, p := range found.Result.Probabilities {
			e.Probabilities[p.Category] = p.P
		}
	}
	for _, r := range found.Rules {
		tried := triedRule{Name: r.Name, Outcome: string(r.Outcome)}
		for _, p := range r.Parts {
			tried.Parts = append(tried.Parts, triedCondition{p.Key, string(p.Outcome), p.Found})
		}
		e.Rules = append(e.Rules, tried)
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
	if e.Reasoning != "" {
		fmt.Fprintf(&b, "reasoning   %s\n", e.Reasoning)
	}
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
	for _, r := range e.Rules {
		fmt.Fprintf(&b, "rule        %s %s\n", r.Name, r.Outcome)
		for _, p := range r.Parts {
			found := ""
			if p.Found != "" {
				found = ": " + p.Found
			}
			fmt.Fprintf(&b, "              %s %s%s\n", p.Key, p.Outcome, found)
		}
	}
	if e.Error != "" {
		fmt.Fprintf(&b, "error       %s\n", e.Error)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
