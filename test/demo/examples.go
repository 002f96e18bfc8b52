package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// An example is a request to try.
type example struct {
	about string
	path  string
	body  string // "" for GET
}

// decided tells whether the picker decides about the request.
func (e example) decided() bool { return e.body != "" }

// chat is an example of a chat request.
func chat(about, model, prompt string, stream bool) example {
	type message struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	body, err := json.Marshal(struct {
		Model    string    `json:"model"`
		Stream   bool      `json:"stream,omitempty"`
		Messages []message `json:"messages"`
	}{model, stream, []message{{"user", prompt}}})
	if err != nil {
		panic(err) // strings always encode
	}
	return example{about: about, path: "/v1/chat/completions", body: string(body)}
}

// examplesFor are the requests that suit the servers and the configuration.
// Names of models are known only of our own.
func examplesFor(s settings) []example {
	examples := []example{
		{about: "the models", path: "/v1/models"},
		chat("mathematics", "auto", "What is 2+2 * (5-1)?", false),
		chat("a sentence to go on with", "auto", "Linux is said to be an open source kernel because ", false),
		chat("a stream", "auto", "What is the derivative of f(x) = x^3?", true),
	}
	if s.endpoints != "" || s.config != "" {
		return examples
	}
	return append(examples,
		chat("a model by name: no classification, only the replica is picked", "llama3-8b", "Hello!", false),
		chat("a LoRA adapter by name", "math-expert", "What is 2+2?", false),
	)
}

// curl is the example as a command to paste into a shell.
func (e example) curl(url string) string {
	if e.body == "" {
		return fmt.Sprintf("curl -s %s%s", url, e.path)
	}
	quoted := "'" + strings.ReplaceAll(e.body, "'", `'\''`) + "'"
	return fmt.Sprintf("curl -sN %s%s -H 'content-type: application/json' -d %s", url, e.path, quoted)
}

func printGuide(out io.Writer, url, metrics, endpoints string, examples []example) {
	fmt.Fprintf(out, "Envoy listens on %s. Servers are in %s, the picker's metrics at %s\n", url, endpoints, metrics)
	fmt.Fprintf(out, "Paste into another terminal (-i shows the headers: who answered, and why):\n\n")
	for _, e := range examples {
		fmt.Fprintf(out, "  # %s\n  %s\n", e.about, e.curl(url))
	}
	fmt.Fprintf(out, "\nRequests: asked for, category → model → replica, reason, time of the decision. Ctrl-C stops all.\n\n")
}

// smokePatience is how long a smoke run may take once everything is started.
const smokePatience = time.Minute

// smoke sends the examples and reports every one that is not answered with 200.
func smoke(ctx context.Context, url string, examples []example, seen *follower, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, smokePatience)
	defer cancel()
	var errs []error
	decisions := 0
	for _, e := range examples {
		if err := e.send(ctx, url); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.about, err))
			continue
		}
		if e.decided() {
			decisions++
		}
	}
	if len(errs) == 0 {
		errs = append(errs, seen.await(ctx, decisions))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("smoke run: %w", err)
	}
	fmt.Fprintf(out, "\nAll %d requests got 200.\n", len(examples))
	return nil
}

// send sends the example and reads its whole reply.
func (e example) send(ctx context.Context, url string) error {
	method := http.MethodPost
	if e.body == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, url+e.path, strings.NewReader(e.body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Close = true // leaves no connection behind
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %.300s", resp.StatusCode, body)
	}
	if len(body) == 0 {
		return errors.New("the reply is empty")
	}
	return nil
}
