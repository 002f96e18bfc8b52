package payload

// messageBody is a message of Anthropic's.
type messageBody struct {
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	Role         string       `json:"role"`
	Model        string       `json:"model"`
	Content      []textBlock  `json:"content"`
	StopReason   *string      `json:"stop_reason"`
	StopSequence *string      `json:"stop_sequence"`
	Usage        messageUsage `json:"usage"`
}

type textBlock struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type messageUsage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
}

// messageEvent is any event of the stream; each kind has some of the fields.
type messageEvent struct {
	Type         string       `json:"type"`
	Message      *messageBody `json:"message,omitempty"`
	Index        *int         `json:"index,omitempty"`
	ContentBlock *textBlock   `json:"content_block,omitempty"`
	Delta        any          `json:"delta,omitempty"`
	Usage        *deltaUsage  `json:"usage,omitempty"`
}

type messageDelta struct {
	StopReason   string  `json:"stop_reason"`
	StopSequence *string `json:"stop_sequence"`
}

type deltaUsage struct {
	OutputTokens int `json:"output_tokens"`
}

func (a AnswerText) stopReason() string {
	switch a.FinishReason {
	case "content_filter":
		return "refusal"
	case "length":
		return "max_tokens"
	default:
		return "end_turn"
	}
}

func (a AnswerText) messageBody(content ...textBlock) messageBody {
	if content == nil {
		content = []textBlock{}
	}
	return messageBody{ID: "msg_" + a.ID, Type: "message", Role: "assistant", Model: a.Model, Content: content}
}

func (a AnswerText) message() any {
	body := a.messageBody(textBlock{"text", a.Text})
	reason := a.stopReason()
	body.StopReason = &reason
	return body
}

func (a AnswerText) messageEvents(w *eventWriter) {
	send := func(e messageEvent) { w.named(e.Type, e) }
	zero, begun := new(int), a.messageBody()
	send(messageEvent{Type: "message_start", Message: &begun})
	send(messageEvent{Type: "content_block_start", Index: zero, ContentBlock: &textBlock{Type: "text"}})
	send(messageEvent{Type: "content_block_delta", Index: zero, Delta: textBlock{"text_delta", a.Text}})
	send(messageEvent{Type: "content_block_stop", Index: zero})
	send(messageEvent{Type: "message_delta", Delta: messageDelta{StopReason: a.stopReason()}, Usage: &deltaUsage{}})
	send(messageEvent{Type: "message_stop"})
}
