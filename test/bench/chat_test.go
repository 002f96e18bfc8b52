package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func FuzzChatRequestHasItsSizeAndSurvivesReencoding(f *testing.F) {
	for _, size := range []int{smallestChat, 1 << 10, 8 << 10, 64 << 10, 220 << 10} {
		f.Add(size, uint64(1))
	}
	f.Fuzz(func(t *testing.T, size int, seed uint64) {
		if size > 1<<20 {
			t.Skip("larger than any body of the benchmark")
		}
		body, err := chatRequest("auto", size, seed)
		if size < smallestChat {
			if err == nil {
				t.Fatalf("no error for %d bytes", size)
			}
			return
		}
		if err != nil || len(body) != size {
			t.Fatalf("chatRequest(%d) gave %d bytes, error %v", size, len(body), err)
		}
		var decoded map[string]any
		if err := json.Unmarshal(body, &decoded); err != nil {
			t.Fatal(err)
		}
		if again, err := json.Marshal(decoded); err != nil || !bytes.Equal(again, body) {
			t.Errorf("encoded again it differs (error %v):\n%s\n%s", err, body, again)
		}
		messages := decoded["messages"].([]any)
		last := messages[len(messages)-1].(map[string]any)
		if last["role"] != "user" || !strings.HasSuffix(last["content"].(string), question) {
			t.Errorf("the last message is %v, want a user's that ends in the question", last)
		}
		if bytes.Count(body, quotedModel("auto")) != 1 {
			t.Errorf("the model stands %d times in the body, want once", bytes.Count(body, quotedModel("auto")))
		}
	})
}

func TestChatRequestsDifferBySeed(t *testing.T) {
	one, _ := chatRequest("auto", 1024, 1)
	two, _ := chatRequest("auto", 1024, 2)
	again, _ := chatRequest("auto", 1024, 1)
	if bytes.Equal(one, two) || !bytes.Equal(one, again) {
		t.Error("want one text for one seed, and another for another")
	}
}

func TestChatReplyIsAboutOneKBAndHasUsage(t *testing.T) {
	reply, err := chatReply(benchModel)
	if err != nil || len(reply) < 1000 || len(reply) > 1100 {
		t.Fatalf("chatReply gave %d bytes, error %v", len(reply), err)
	}
	var decoded struct {
		Usage map[string]int `json:"usage"`
	}
	if err := json.Unmarshal(reply, &decoded); err != nil || decoded.Usage["total_tokens"] != 380 {
		t.Errorf("usage %v, error %v", decoded.Usage, err)
	}
}
