package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// turnBytes is about how long one message of a conversation is.
const turnBytes = 2000

// smallestChat is the least size in bytes that chatRequest can make.
const smallestChat = 256

// question ends every prompt; a rule of picker.yaml looks for its first word.
const question = "\nBenchmark: what follows from this?"

// words make the text of prompts; their lengths are those of plain English, and
// none of them is a word that a routing rule of the benchmark looks for.
var words = strings.Fields(`the a of and to in is that it was for on are with as his they at be this from have or
by one had not but what all were when we there can an your which their said if do will each about how up out them
then she many some so these would other into has more her two like him see time could no make than first been its
who now people my made over did down only way find use may water long little very after called just where most know
system request reply kernel matrix integral because between therefore explanation different question`)

// message and chatBody have their keys in alphabetical order and no key is
// left out: encoding a decoded map gives the same bytes. A picker that encodes
// the body anew (GIE does) so still returns what it got, and one comparison of
// bytes serves for all servers.
type message struct {
	Content string `json:"content"`
	Role    string `json:"role"`
}

type chatBody struct {
	MaxTokens   int       `json:"max_tokens"`
	Messages    []message `json:"messages"`
	Model       string    `json:"model"`
	Temperature float64   `json:"temperature"`
}

// chatRequest is an OpenAI chat completion request of exactly size bytes: a
// conversation that begins with a system prompt and ends with a user's question.
// The same seed gives the same text. Size is at least smallestChat.
func chatRequest(model string, size int, seed uint64) ([]byte, error) {
	if size < smallestChat {
		return nil, fmt.Errorf("a chat request of %d bytes: the least is %d", size, smallestChat)
	}
	random := rand.New(rand.NewPCG(seed, 0))
	body := chatBody{
		MaxTokens: 256,
		Messages:  []message{{Role: "system", Content: "You are a helpful assistant."}},
		Model:     model, Temperature: 0.7,
	}
	for i, turns := 0, max(1, size/turnBytes)|1; i < turns; i++ { // an odd number, so that a user speaks last
		role := "user"
		if i%2 == 1 {
			role = "assistant"
		}
		body.Messages = append(body.Messages, message{Role: role})
	}
	last := &body.Messages[len(body.Messages)-1]
	last.Content = question
	empty, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode a chat request: %w", err)
	}
	room := size - len(empty)
	for i := 1; i < len(body.Messages); i++ {
		share := room / (len(body.Messages) - i)
		body.Messages[i].Content = prose(random, share) + body.Messages[i].Content
		room -= share
	}
	return json.Marshal(body)
}

// prose is text that takes exactly size bytes inside a JSON string, some of
// them escapes: a line break is encoded as two bytes.
func prose(random *rand.Rand, size int) string {
	var text strings.Builder
	encoded := 0
	for encoded < size {
		word := words[random.IntN(len(words))]
		separator, length := " ", 1
		if random.IntN(12) == 0 {
			separator, length = "\n", 2
		}
		if encoded+len(word)+length > size {
			text.WriteString(strings.Repeat("x", size-encoded))
			break
		}
		text.WriteString(word + separator)
		encoded += len(word) + length
	}
	return text.String()
}

// chatReply is a model server's answer of about 1 KB, with its usage.
func chatReply(model string) ([]byte, error) {
	random := rand.New(rand.NewPCG(1, 1))
	return json.Marshal(map[string]any{
		"id": "chatcmpl-bench", "object": "chat.completion", "created": 1700000000, "model": model,
		"choices": []any{map[string]any{
			"index": 0, "finish_reason": "stop",
			"message": message{Role: "assistant", Content: prose(random, 760)},
		}},
		"usage": map[string]int{"prompt_tokens": 200, "completion_tokens": 180, "total_tokens": 380},
	})
}
