package payload_test

import (
	"bytes"
	"fmt"

	"semantic-epp/payload"
)

func ExampleParse() {
	api := payload.APIOf("POST", "/v1/chat/completions")
	body := []byte(`{"model": "auto", "seed": 9007199254740993, "messages": [{"role": "user", "content": "What is 2+2?"}]}`)
	r, err := payload.Parse(api, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.API, r.Model, r.Prompt(16<<10))
	fmt.Printf("%s\n", bytes.Join(r.WithModel("phi4-mini"), nil))
	// Output:
	// chat_completions auto What is 2+2?
	// {"model": "phi4-mini", "seed": 9007199254740993, "messages": [{"role": "user", "content": "What is 2+2?"}]}
}

func ExampleParse_ambiguous() {
	body := []byte(`{"model": "auto", "messages": [{"role": "user", "content": "hello", "Content": "something else"}]}`)
	_, err := payload.Parse(payload.ChatCompletions, body)
	fmt.Println(err)
	// Output:
	// 400: messages[0].content: the key "content" must be written exactly so: model servers disagree about other spellings
}

func ExampleError_Body() {
	err := &payload.Error{Status: 404, Code: "model_not_found", Param: "model", Message: "the model does not exist"}
	fmt.Printf("%s\n%s\n", err.Body(payload.ChatCompletions), err.Body(payload.Messages))
	// Output:
	// {"error":{"message":"the model does not exist","type":"not_found_error","param":"model","code":"model_not_found"}}
	// {"type":"error","error":{"type":"not_found_error","message":"the model does not exist"}}
}

func ExampleUsageReader() {
	u := payload.NewUsageReader(payload.ChatCompletions, "text/event-stream", "")
	u.Write([]byte("data: {\"choices\":[{\"delta\":{\"content\":\"4\"}}]}\n\ndata: {\"choices\":[],\"us"))
	u.Write([]byte("age\":{\"prompt_tokens\":9,\"completion_tokens\":1,\"total_tokens\":10}}\n\ndata: [DONE]\n\n"))
	usage, ok := u.Usage()
	fmt.Println(usage.PromptTokens, usage.CompletionTokens, ok)
	// Output: 9 1 true
}

func ExampleRequest_Apply() {
	body := []byte(`{"model": "auto", "logprobs": true, "messages": [{"role": "user", "content": "What is 2+2?"}]}`)
	r, err := payload.Parse(payload.ChatCompletions, body)
	if err != nil {
		fmt.Println(err)
		return
	}
	parts, err := r.Apply(payload.Edits{
		Block:        []string{"logprobs"},
		MaxTokens:    500,
		Reasoning:    payload.Reasoning{Field: payload.Field{Name: "enable_thinking", Value: []byte("true")}, InTemplate: true},
		SystemPrompt: payload.SystemPrompt{Text: "Be brief."},
		Model:        "phi4-mini",
	})
	fmt.Printf("%s %v\n", bytes.Join(parts, nil), err)
	// Output:
	// {"model": "phi4-mini","max_completion_tokens":500,"chat_template_kwargs":{"enable_thinking":true}, "messages": [{"role":"system","content":"Be brief."},{"role": "user", "content": "What is 2+2?"}]} <nil>
}

func ExampleAnswer() {
	contentType, body, err := payload.Answer(payload.Messages, false, payload.AnswerText{Model: "auto", Text: "Not here.", ID: "1"})
	fmt.Printf("%s\n%s %v\n", contentType, body, err)
	// Output:
	// application/json
	// {"id":"msg_1","type":"message","role":"assistant","model":"auto","content":[{"type":"text","text":"Not here."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":0,"output_tokens":0}} <nil>
}

func ExampleModelRestorer() {
	m := payload.NewModelRestorer(payload.ChatCompletions, "application/json", "", "phi4-mini", "support-bot")
	fmt.Printf("%s%s%s\n", m.Rewrite([]byte(`{"model": "phi4-`)), m.Rewrite([]byte(`mini", "choices": []}`)), m.End())
	// Output: {"model": "support-bot", "choices": []}
}
