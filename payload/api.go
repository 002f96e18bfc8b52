package payload

import "strings"

// An API is a kind of request that the picker understands.
type API uint8

// The APIs, by the path that a request of theirs has.
const (
	Other           API = iota // anything else: its body is not looked at
	ChatCompletions            // POST /v1/chat/completions (OpenAI)
	Completions                // POST /v1/completions (OpenAI, legacy)
	Responses                  // POST /v1/responses (OpenAI)
	Messages                   // POST /v1/messages (Anthropic)
	Embeddings                 // POST /v1/embeddings (OpenAI)
	ModelList                  // GET /v1/models (OpenAI)
)

var apiNames = [...]string{"other", "chat_completions", "completions", "responses", "messages", "embeddings", "model_list"}

// String returns a name fit for a metric label, such as "chat_completions".
func (a API) String() string {
	if int(a) < len(apiNames) {
		return apiNames[a]
	}
	return apiNames[Other]
}

// longestPath is the length of /v1/chat/completions.
const longestPath = 20

// APIOf returns the API of a request, given its method and path as in the
// :method and :path pseudo headers. A query, one slash at the end, and
// percent-encoding make no difference, since model servers ignore them too. It
// does not allocate.
func APIOf(method, path string) API {
	path, _, _ = strings.Cut(path, "?")
	var buf [longestPath + 1]byte
	n := 0
	for i := 0; i < len(path); i++ {
		if n == len(buf) {
			return Other
		}
		buf[n] = path[i]
		if path[i] == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2]) {
			buf[n] = hexValue(path[i+1])<<4 | hexValue(path[i+2])
			i += 2
		}
		n++
	}
	if n > 1 && buf[n-1] == '/' {
		n--
	}
	switch method {
	case "GET":
		if string(buf[:n]) == "/v1/models" {
			return ModelList
		}
	case "POST":
		switch string(buf[:n]) {
		case "/v1/chat/completions":
			return ChatCompletions
		case "/v1/completions":
			return Completions
		case "/v1/responses":
			return Responses
		case "/v1/messages":
			return Messages
		case "/v1/embeddings":
			return Embeddings
		}
	}
	return Other
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// hexValue returns the value of a byte for which isHex holds.
func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}
