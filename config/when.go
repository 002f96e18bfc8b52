package config

// When is a condition. Every part that is set must hold.
type When struct {
	// All holds when all of these do, Any when one does, Not when this does not.
	All []When `json:"all,omitempty"`
	Any []When `json:"any,omitempty"`
	Not *When  `json:"not,omitempty"`
	// Signal holds when one of these named conditions does.
	Signal Strings `json:"signal,omitempty"`

	// Domain holds when the classifier finds one of these categories.
	Domain Strings `json:"domain,omitempty"`
	// MinConfidence replaces the classifier's for Domain.
	MinConfidence *float64 `json:"minConfidence,omitempty"`
	// Keyword holds when words stand in the prompt.
	Keyword *Keyword `json:"keyword,omitempty"`
	// Regex holds when RE2 expressions match the prompt.
	Regex *Regex `json:"regex,omitempty"`
	// Embedding holds when the prompt means what examples mean.
	Embedding *Embedding `json:"embedding,omitempty"`
	// Complexity holds when the prompt is as hard as is said.
	Complexity *Complexity `json:"complexity,omitempty"`
	// ContextTokens holds for requests of so many tokens, of all messages; a
	// number may be written 32K. Tokens are estimated from bytes.
	ContextTokens *Range `json:"contextTokens,omitempty"`
	// Language holds when the prompt is written in one of these: the ISO 639-1
	// codes that Languages lists.
	Language Strings `json:"language,omitempty"`
	// Conversation holds for the shape of the request.
	Conversation *Conversation `json:"conversation,omitempty"`
	// Header holds when trusted request header fields have values.
	Header map[string]Match `json:"header,omitempty"`
	// Metadata holds when fields of the request's metadata object have values.
	Metadata map[string]Match `json:"metadata,omitempty"`
	// Time holds at some times of the day and days of the week.
	Time *Schedule `json:"time,omitempty"`

	// OnError says what this condition counts for when it cannot be evaluated,
	// because the classifier is slow or broken: "noMatch" (it does not hold),
	// "match" (it does) or "deny" (the request is refused with 503: for
	// conditions that guard). Default: the condition around it cannot be
	// evaluated either; a rule that cannot be does not hold.
	OnError OnError `json:"onError,omitempty"`
}

// OnError is what a condition counts for that cannot be evaluated.
type OnError string

const (
	NoMatch OnError = "noMatch"
	Holds   OnError = "match"
	Deny    OnError = "deny"
)

// Keyword is a condition on whole words or phrases of the prompt.
type Keyword struct {
	// Any holds when one of the words is there.
	Any []string `json:"any,omitempty"`
	// All holds when all of them are there.
	All []string `json:"all,omitempty"`
	// None holds when none of them is there.
	None []string `json:"none,omitempty"`
	// CaseSensitive compares letters as they are. Default: case is ignored.
	CaseSensitive bool `json:"caseSensitive,omitempty"`
	// Method is "exact" (default), "fuzzy" (Distance typing errors a word),
	// "ngram" (share of common letter groups of Arity at least Threshold) or
	// "bm25" (score of the words in the prompt at least Threshold).
	Method KeywordMethod `json:"method,omitempty"`
	// Distance is the Levenshtein distance that fuzzy allows a word, though at
	// most one typing error in three letters: "urgent" may have two, "go" none.
	// Default 2.
	Distance int `json:"distance,omitempty"`
	// Threshold of ngram, in (0, 1] (default 0.4), and bm25, above 0 (default
	// 0.1).
	Threshold *float64 `json:"threshold,omitempty"`
	// Arity is the letters in a group of ngram. Default 3.
	Arity int `json:"arity,omitempty"`
}

// KeywordMethod is how words are looked for.
type KeywordMethod string

const (
	Exact KeywordMethod = "exact"
	Fuzzy KeywordMethod = "fuzzy"
	NGram KeywordMethod = "ngram"
	BM25  KeywordMethod = "bm25"
)

// Regex is a condition on RE2 expressions. It may be written as one expression
// or a list.
type Regex struct {
	// Any are the expressions; one must match.
	Any Strings `json:"any"`
	// Count bounds how many matches there are of all together. Default: one or
	// more.
	Count *Range `json:"count,omitempty"`
}

// Embedding is a condition on meaning.
type Embedding struct {
	// Examples are texts of the meaning.
	Examples []string `json:"examples"`
	// Threshold is the cosine similarity, in [-1, 1], from which it holds.
	// Default 0.75.
	Threshold *float64 `json:"threshold,omitempty"`
	// Aggregate makes one similarity from those to all examples: "max"
	// (default) or "mean".
	Aggregate Aggregate `json:"aggregate,omitempty"`
}

// Aggregate is how similarities are put together.
type Aggregate string

const (
	Max  Aggregate = "max"
	Mean Aggregate = "mean"
)

// Complexity is a condition on how hard a prompt is: whether it is closer in
// meaning to hard examples or to easy ones.
type Complexity struct {
	Hard []string `json:"hard"`
	Easy []string `json:"easy"`
	// Threshold is the difference of the two similarities from which a prompt
	// is hard, or easy below its negative; between them it is medium. Default 0.1.
	Threshold *float64 `json:"threshold,omitempty"`
	// Level is "hard" (default), "medium" or "easy".
	Level Level `json:"level,omitempty"`
}

// Level is a degree of Complexity.
type Level string

const (
	Hard   Level = "hard"
	Medium Level = "medium"
	Easy   Level = "easy"
)

// Range is a closed interval of counts; a bound that is not set does not bind.
type Range struct {
	Min *Count `json:"min,omitempty"`
	Max *Count `json:"max,omitempty"`
}

// Conversation is a condition on what a request is made of.
type Conversation struct {
	// Messages of all roles, and those of the user alone.
	Messages *Range `json:"messages,omitempty"`
	Turns    *Range `json:"turns,omitempty"`
	// Tools are tool definitions, ToolResults messages with results of tools.
	Tools       *Range `json:"tools,omitempty"`
	ToolResults *Range `json:"toolResults,omitempty"`
	// Images are parts of messages that are pictures.
	Images *Range `json:"images,omitempty"`
	// Stream is whether the reply is asked for as an event stream.
	Stream *bool `json:"stream,omitempty"`
}

// Match is a condition on a string. It may be written as a string, which it
// then must equal, or a list, of which it must equal one.
type Match struct {
	In      []string `json:"in,omitempty"`
	Prefix  string   `json:"prefix,omitempty"`
	Regex   string   `json:"regex,omitempty"`
	Present *bool    `json:"present,omitempty"`
}

// Schedule is a condition on the time at the picker.
type Schedule struct {
	// Days are mon, tue, wed, thu, fri, sat, sun. Default: all.
	Days []string `json:"days,omitempty"`
	// From and To are times of day, 09:00 to 17:30, To not included; To before
	// From goes past midnight.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Zone is an IANA time zone. Default UTC.
	Zone string `json:"zone,omitempty"`
}
