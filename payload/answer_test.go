package payload_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semantic-epp/payload"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// The files under testdata/answers are the whole replies.
func TestAnswer(t *testing.T) {
	type answer = payload.AnswerText
	const chat, completions, responses, messages = payload.ChatCompletions, payload.Completions, payload.Responses, payload.Messages
	tests := map[string]struct {
		api    payload.API
		stream bool
		answer answer
	}{
		"chat.json":               {chat, false, answer{}},
		"chat_filtered.json":      {chat, false, answer{FinishReason: "content_filter"}},
		"chat.sse":                {chat, true, answer{}},
		"chat_usage.sse":          {chat, true, answer{IncludeUsage: true, FinishReason: "content_filter"}},
		"completion.json":         {completions, false, answer{}},
		"completion_usage.sse":    {completions, true, answer{IncludeUsage: true}},
		"responses.json":          {responses, false, answer{}},
		"responses_filtered.json": {responses, false, answer{FinishReason: "content_filter"}},
		"responses.sse":           {responses, true, answer{}},
		"responses_cut.sse":       {responses, true, answer{FinishReason: "length"}},
		"anthropic.json":          {messages, false, answer{}},
		"anthropic_filtered.json": {messages, false, answer{FinishReason: "content_filter"}},
		"anthropic.sse":           {messages, true, answer{}},
		"anthropic_filtered.sse":  {messages, true, answer{FinishReason: "content_filter"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tc.answer.Model, tc.answer.Text, tc.answer.ID, tc.answer.Created = "phi4-mini", "Ask the <b>\"desk\"</b>,\n日本 😀.", "42", 1767225600
			contentType, body, err := payload.Answer(tc.api, tc.stream, tc.answer)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]string{false: "application/json", true: "text/event-stream"}[tc.stream]; contentType != want {
				t.Errorf("content-type is %s", contentType)
			}
			file := filepath.Join("testdata", "answers", name)
			if *update {
				if err := os.WriteFile(file, body, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(body) != string(want) {
				t.Errorf("got\n%s\nwant\n%s", body, want)
			}
			wantWellFormed(t, tc.stream, string(body))
			if _, ok := readUsage(tc.api, contentType, "", body, len(body)); ok == (strings.HasSuffix(name, "chat.sse")) {
				t.Errorf("usage found: %v", ok)
			}
			restored := payload.NewModelRestorer(tc.api, contentType, "", "phi4-mini", "auto")
			out := string(restored.Rewrite(body)) + string(restored.End())
			if out != strings.ReplaceAll(string(body), "phi4-mini", "auto") {
				t.Errorf("the model's name is not where a reply has it: %s", out)
			}
		})
	}
}

// wantWellFormed makes sure that every event has an object, and the name that
// the object has as its type.
func wantWellFormed(t *testing.T, stream bool, body string) {
	t.Helper()
	events := []string{"data: " + body}
	if stream {
		events = strings.Split(strings.TrimSuffix(body, "\n\n"), "\n\n")
	}
	for _, event := range events {
		name, data, _ := strings.Cut(event, "data: ")
		if data == "[DONE]" {
			continue
		}
		var object struct{ Type string }
		if err := json.Unmarshal([]byte(data), &object); err != nil {
			t.Errorf("%q: %v", event, err)
		}
		if name != "" && name != "event: "+object.Type+"\n" {
			t.Errorf("%q names %s", name, object.Type)
		}
	}
}

func TestAnEmbeddingIsNotAnsweredWithText(t *testing.T) {
	_, _, err := payload.Answer(payload.Embeddings, false, payload.AnswerText{Text: "not here"})
	var refusal *payload.Error
	if !errors.As(err, &refusal) || refusal.Status != 403 || refusal.Message != "not here" {
		t.Errorf("got %v", err)
	}
}
