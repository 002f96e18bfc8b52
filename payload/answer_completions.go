package payload

// completionBody is a chat completion, a completion, or a chunk of either.
type completionBody struct {
	ID      string           `json:"id"`
	Object  string           `json:"object"`
	Created int64            `json:"created"`
	Model   string           `json:"model"`
	Choices []any            `json:"choices"`
	Usage   *completionUsage `json:"usage,omitempty"`
}

type completionUsage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

type chatMessage struct {
	Role    string  `json:"role"`
	Content string  `json:"content"`
	Refusal *string `json:"refusal"`
}

type chatChoice struct {
	Index        int         `json:"index"`
	Message      chatMessage `json:"message"`
	Logprobs     *struct{}   `json:"logprobs"`
	FinishReason string      `json:"finish_reason"`
}

type chatDelta struct {
	Role    string  `json:"role,omitempty"`
	Content *string `json:"content,omitempty"`
}

type chatChunkChoice struct {
	Index        int       `json:"index"`
	Delta        chatDelta `json:"delta"`
	Logprobs     *struct{} `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

type textChoice struct {
	Index        int       `json:"index"`
	Text         string    `json:"text"`
	Logprobs     *struct{} `json:"logprobs"`
	FinishReason *string   `json:"finish_reason"`
}

func (a AnswerText) completionBody(prefix, object string, choices ...any) completionBody {
	if choices == nil {
		choices = []any{}
	}
	return completionBody{ID: prefix + a.ID, Object: object, Created: a.Created, Model: a.Model, Choices: choices}
}

func (a AnswerText) chat() any {
	body := a.completionBody("chatcmpl-", "chat.completion", chatChoice{
		Message:      chatMessage{Role: "assistant", Content: a.Text},
		FinishReason: a.FinishReason,
	})
	body.Usage = &completionUsage{}
	return body
}

func (a AnswerText) chatEvents(w *eventWriter) {
	const prefix, object = "chatcmpl-", "chat.completion.chunk"
	chunk := func(delta chatDelta, finish *string) {
		w.data(a.completionBody(prefix, object, chatChunkChoice{Delta: delta, FinishReason: finish}))
	}
	chunk(chatDelta{Role: "assistant", Content: new(string)}, nil)
	chunk(chatDelta{Content: &a.Text}, nil)
	chunk(chatDelta{}, &a.FinishReason)
	a.endEvents(w, prefix, object)
}

func (a AnswerText) completion() any {
	body := a.completionBody("cmpl-", "text_completion", textChoice{Text: a.Text, FinishReason: &a.FinishReason})
	body.Usage = &completionUsage{}
	return body
}

func (a AnswerText) completionEvents(w *eventWriter) {
	const prefix, object = "cmpl-", "text_completion"
	w.data(a.completionBody(prefix, object, textChoice{Text: a.Text}))
	w.data(a.completionBody(prefix, object, textChoice{FinishReason: &a.FinishReason}))
	a.endEvents(w, prefix, object)
}

// endEvents ends a stream, behind a chunk with usage and no choice if it is
// wanted.
func (a AnswerText) endEvents(w *eventWriter, prefix, object string) {
	if a.IncludeUsage {
		body := a.completionBody(prefix, object)
		body.Usage = &completionUsage{}
		w.data(body)
	}
	w.done()
}
