package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"
)

// A decision is a line of the picker's decision log.
type decision struct {
	Msg            string  `json:"msg"`
	RequestedModel string  `json:"requestedModel"`
	Category       string  `json:"category"`
	Confidence     float64 `json:"confidence"`
	Model          string  `json:"model"`
	Rule           string  `json:"rule"`
	Reason         string  `json:"reason"`
	Endpoint       string  `json:"endpoint"`
	DurationMs     float64 `json:"durationMs"`
}

func (d decision) String() string {
	category := "not classified"
	if d.Category != "" {
		category = fmt.Sprintf("%s %.2f", d.Category, d.Confidence)
	}
	why := d.Reason
	if d.Reason == "rule" {
		why = "rule " + d.Rule
	}
	endpoint := d.Endpoint
	if endpoint == "" {
		endpoint = "no endpoint"
	}
	return fmt.Sprintf("%-11s %-22s → %-17s → %-28s %-18s %6.1f ms", d.RequestedModel, category, d.Model, endpoint, why, d.DurationMs)
}

// A follower reads the picker's log as it is written and prints decisions for
// people, and errors as they are.
type follower struct {
	out io.Writer

	mu        sync.Mutex
	rest      []byte // an unfinished line
	decisions int
}

// maxLine bounds an unfinished line; a longer one is dropped.
const maxLine = 1 << 20

// Write takes the next piece of the log.
func (f *follower) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rest = append(f.rest, p...)
	for {
		line, rest, whole := bytes.Cut(f.rest, []byte("\n"))
		if !whole {
			break
		}
		f.line(line)
		f.rest = rest
	}
	if len(f.rest) > maxLine {
		f.rest = nil
	}
	return len(p), nil
}

func (f *follower) line(line []byte) {
	var entry struct {
		Level string `json:"level"`
		decision
	}
	if err := json.Unmarshal(line, &entry); err != nil {
		return // not of the picker's logger
	}
	switch {
	case entry.Msg == "decision":
		f.decisions++
		fmt.Fprintln(f.out, entry.decision)
	case entry.Level == "error":
		fmt.Fprintf(f.out, "picker: %s\n", line)
	}
}

// await returns when n decisions were seen.
func (f *follower) await(ctx context.Context, n int) error {
	for {
		f.mu.Lock()
		seen := f.decisions
		f.mu.Unlock()
		if seen >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the picker logged %d decisions for %d requests", seen, n)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
