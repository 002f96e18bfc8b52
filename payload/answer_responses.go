package payload

// responseBody is a response object, with the fields that OpenAI documents as
// always there.
type responseBody struct {
	ID                string             `json:"id"`
	Object            string             `json:"object"`
	CreatedAt         int64              `json:"created_at"`
	Status            string             `json:"status"`
	Error             *struct{}          `json:"error"`
	IncompleteDetails *incompleteDetails `json:"incomplete_details"`
	Instructions      *string            `json:"instructions"`
	Metadata          struct{}           `json:"metadata"`
	Model             string             `json:"model"`
	Output            []outputMessage    `json:"output"`
	ParallelToolCalls bool               `json:"parallel_tool_calls"`
	Temperature       *float64           `json:"temperature"`
	ToolChoice        string             `json:"tool_choice"`
	Tools             []struct{}         `json:"tools"`
	TopP              *float64           `json:"top_p"`
	Usage             *responseUsage     `json:"usage"`
}

type incompleteDetails struct {
	Reason string `json:"reason"`
}

type outputMessage struct {
	ID      string       `json:"id"`
	Type    string       `json:"type"`
	Status  string       `json:"status"`
	Role    string       `json:"role"`
	Content []outputText `json:"content"`
}

type outputText struct {
	Type        string     `json:"type"`
	Text        string     `json:"text"`
	Annotations []struct{} `json:"annotations"`
	Logprobs    []struct{} `json:"logprobs"`
}

type responseUsage struct {
	InputTokens        int `json:"input_tokens"`
	InputTokensDetails struct {
		CachedTokens int `json:"cached_tokens"`
	} `json:"input_tokens_details"`
	OutputTokens        int `json:"output_tokens"`
	OutputTokensDetails struct {
		ReasoningTokens int `json:"reasoning_tokens"`
	} `json:"output_tokens_details"`
	TotalTokens int `json:"total_tokens"`
}

// responseEvent is any event of the stream; each kind has some of the fields.
type responseEvent struct {
	Type           string         `json:"type"`
	SequenceNumber int            `json:"sequence_number"`
	Response       *responseBody  `json:"response,omitempty"`
	ItemID         string         `json:"item_id,omitempty"`
	OutputIndex    *int           `json:"output_index,omitempty"`
	ContentIndex   *int           `json:"content_index,omitempty"`
	Item           *outputMessage `json:"item,omitempty"`
	Part           *outputText    `json:"part,omitempty"`
	Delta          *string        `json:"delta,omitempty"`
	Text           *string        `json:"text,omitempty"`
	Logprobs       *[]struct{}    `json:"logprobs,omitempty"`
}

const inProgress = "in_progress"

// responseEnd returns the status of the whole and of its message.
func (a AnswerText) responseEnd() (status string, why *incompleteDetails) {
	switch a.FinishReason {
	case "content_filter":
		return "incomplete", &incompleteDetails{"content_filter"}
	case "length":
		return "incomplete", &incompleteDetails{"max_output_tokens"}
	default:
		return "completed", nil
	}
}

func outputOf(text string) outputText {
	return outputText{Type: "output_text", Text: text, Annotations: []struct{}{}, Logprobs: []struct{}{}}
}

func (a AnswerText) outputMessage(status string, content ...outputText) outputMessage {
	if content == nil {
		content = []outputText{}
	}
	return outputMessage{ID: "msg_" + a.ID, Type: "message", Status: status, Role: "assistant", Content: content}
}

func (a AnswerText) responseBody(status string, output ...outputMessage) responseBody {
	if output == nil {
		output = []outputMessage{}
	}
	return responseBody{ID: "resp_" + a.ID, Object: "response", CreatedAt: a.Created, Status: status, Model: a.Model,
		Output: output, ParallelToolCalls: true, ToolChoice: "auto", Tools: []struct{}{}}
}

func (a AnswerText) response() any {
	status, why := a.responseEnd()
	body := a.responseBody(status, a.outputMessage(status, outputOf(a.Text)))
	body.IncompleteDetails, body.Usage = why, &responseUsage{}
	return body
}

func (a AnswerText) responseEvents(w *eventWriter) {
	sequence := 0
	send := func(e responseEvent) {
		e.SequenceNumber = sequence
		sequence++
		w.named(e.Type, e)
	}
	status, _ := a.responseEnd()
	begun := a.responseBody(inProgress)
	send(responseEvent{Type: "response.created", Response: &begun})
	send(responseEvent{Type: "response.in_progress", Response: &begun})

	zero, none := new(int), &[]struct{}{}
	opened, item := a.outputMessage(inProgress), a.outputMessage(status, outputOf(a.Text))
	empty, part := outputOf(""), outputOf(a.Text)
	send(responseEvent{Type: "response.output_item.added", OutputIndex: zero, Item: &opened})
	send(responseEvent{Type: "response.content_part.added", ItemID: item.ID, OutputIndex: zero, ContentIndex: zero, Part: &empty})
	send(responseEvent{Type: "response.output_text.delta", ItemID: item.ID, OutputIndex: zero, ContentIndex: zero, Delta: &a.Text, Logprobs: none})
	send(responseEvent{Type: "response.output_text.done", ItemID: item.ID, OutputIndex: zero, ContentIndex: zero, Text: &a.Text, Logprobs: none})
	send(responseEvent{Type: "response.content_part.done", ItemID: item.ID, OutputIndex: zero, ContentIndex: zero, Part: &part})
	send(responseEvent{Type: "response.output_item.done", OutputIndex: zero, Item: &item})

	ended := a.response().(responseBody)
	send(responseEvent{Type: "response." + status, Response: &ended})
}
