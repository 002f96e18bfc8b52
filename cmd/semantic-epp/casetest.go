package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"semantic-epp/config"
	"semantic-epp/config/source"
	"semantic-epp/plugins/semantic"
)

// A testCase is a prompt and the decision that an operator expects for it.
type testCase struct {
	// Name says what the case is about. Default: the beginning of Prompt.
	Name string `json:"name,omitempty"`
	// Prompt is a text; Messages is in its place a list of chat messages, or a
	// whole request body.
	Prompt   string          `json:"prompt,omitempty"`
	Messages json.RawMessage `json:"messages,omitempty"`
	// Headers are request header fields, as the gateway would set them, by name
	// in lower case.
	Headers map[string]string `json:"headers,omitempty"`
	Expect  expectation       `json:"expect"`

	asked semantic.Prompt
}

func (c *testCase) header(name string) (string, bool) {
	value, ok := c.Headers[name]
	return value, ok
}

// An expectation is what must come out; what is not set does not count.
type expectation struct {
	Model     *string `json:"model,omitempty"`
	Rule      *string `json:"rule,omitempty"` // "": no rule
	Reason    *string `json:"reason,omitempty"`
	Category  *string `json:"category,omitempty"`
	Reasoning *string `json:"reasoning,omitempty"`
}

// outcome is the result of a case.
type outcome struct {
	Name       string     `json:"name"`
	Passed     bool       `json:"passed"`
	Mismatches []mismatch `json:"mismatches,omitempty"`
	Error      string     `json:"error,omitempty"`
}

type mismatch struct {
	Key  string `json:"key"`
	Got  string `json:"got"`
	Want string `json:"want"`
}

func newTestCommand() *cobra.Command {
	var o loadOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "test FILE",
		Short: "Check decisions for a table of prompts",
		Long: `Test decides for each prompt of a YAML file as explain does, and compares the
decision with what the file expects. It prints TAP (Test Anything Protocol), and
its exit status is 1 when a case fails.

  - prompt: What is the derivative of x^3?
    expect: {model: phi4-mini, rule: math}
  - name: a chat that ends with thanks
    messages: [{role: user, content: Thanks!}]
    expect: {rule: "", reason: unsure}

Keys of expect are model, rule, reason, category and reasoning; those that are
not there do not count.`,
		Example:           "  semantic-epp test cases.yaml --config-file config.yaml",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: yamlFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			cases, err := readCases(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(cmd.Context())
			defer cancel()
			router, err := o.load(ctx, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			outcomes := make([]outcome, len(cases))
			failed := 0
			for i := range cases {
				if outcomes[i] = cases[i].run(ctx, router); !outcomes[i].Passed {
					failed++
				}
			}
			write := writeTAP
			if asJSON {
				write = func(out io.Writer, outcomes []outcome) error { return json.NewEncoder(out).Encode(outcomes) }
			}
			if err := write(cmd.OutOrStdout(), outcomes); err != nil {
				return err
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d cases failed", failed, len(cases))
			}
			return nil
		},
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "write a JSON list of outcomes")
	return cmd
}

// readCases reads a file of cases; the error names every fault.
func readCases(path string) ([]testCase, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	cases, err := source.Read(path, data, decodeCases)
	if err != nil {
		return nil, err
	}
	return *cases, nil
}

func decodeCases(list json.RawMessage) (*[]testCase, error) {
	var cases []testCase
	if err := config.Strict(list, &cases); err != nil {
		return nil, err
	}
	if len(cases) == 0 {
		return nil, errors.New("no cases; write a list of prompts with what is expected")
	}
	var errs []error
	for i := range cases {
		if err := cases[i].check(); err != nil {
			errs = append(errs, fmt.Errorf("[%d]%w", i, err))
		}
	}
	return &cases, errors.Join(errs...)
}

// check sets the name and finds what makes a case meaningless. The error begins
// with a key of it.
func (c *testCase) check() error {
	switch {
	case c.Prompt == "" && c.Messages == nil:
		return errors.New(".prompt: missing; give a prompt or messages")
	case c.Prompt != "" && c.Messages != nil:
		return errors.New(".messages: stands beside prompt; leave one of them out")
	case c.Expect == expectation{}:
		return errors.New(".expect: empty; name what is expected: model, rule, reason, category or reasoning")
	}
	for name := range c.Headers {
		if name != strings.ToLower(name) {
			return fmt.Errorf(".headers: %q is not in lower case", name)
		}
	}
	c.asked = semantic.Prompt{Text: c.Prompt, Header: c.header}
	if c.Messages != nil {
		request, err := requestOf(c.Messages)
		if err != nil {
			return fmt.Errorf(".messages: %w", err)
		}
		c.asked = semantic.PromptOf("", request, c.header)
	}
	if c.Name == "" {
		c.Name = beginning(c.asked.Text)
	}
	return nil
}

// nameLength is how many characters of a prompt stand for a name.
const nameLength = 60

// beginning is the first characters of a text, in one line.
func beginning(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > nameLength {
		return string(runes[:nameLength-1]) + "…"
	}
	return text
}

func (c *testCase) run(ctx context.Context, router *semantic.Plugin) outcome {
	e := explain(ctx, router, c.asked)
	o := outcome{Name: c.Name, Error: e.Error}
	for _, part := range []struct {
		key  string
		want *string
		got  string
	}{
		{"model", c.Expect.Model, e.Model},
		{"rule", c.Expect.Rule, e.Rule},
		{"reason", c.Expect.Reason, e.Reason},
		{"category", c.Expect.Category, e.Category},
		{"reasoning", c.Expect.Reasoning, e.Reasoning},
	} {
		if part.want != nil && *part.want != part.got {
			o.Mismatches = append(o.Mismatches, mismatch{part.key, part.got, *part.want})
		}
	}
	o.Passed = len(o.Mismatches) == 0
	return o
}

// writeTAP writes version 14 of the Test Anything Protocol.
func writeTAP(out io.Writer, outcomes []outcome) error {
	var b strings.Builder
	fmt.Fprintf(&b, "TAP version 14\n1..%d\n", len(outcomes))
	escape := strings.NewReplacer(`\`, `\\`, "#", `\#`, "\n", " ")
	for i, o := range outcomes {
		status := "ok"
		if !o.Passed {
			status = "not ok"
		}
		fmt.Fprintf(&b, "%s %d - %s\n", status, i+1, escape.Replace(o.Name))
		if o.Passed {
			continue
		}
		fmt.Fprintln(&b, "  ---")
		for _, m := range o.Mismatches {
			fmt.Fprintf(&b, "  %s: {got: %q, want: %q}\n", m.Key, m.Got, m.Want)
		}
		if o.Error != "" {
			fmt.Fprintf(&b, "  error: %q\n", o.Error)
		}
		fmt.Fprintln(&b, "  ...")
	}
	_, err := io.WriteString(out, b.String())
	return err
}
