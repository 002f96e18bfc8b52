package config

// Classifier configures how the domain of a prompt is found.
type Classifier struct {
	// Model is "builtin" (default), "small" (less accurate, half the time),
	// "linear" (pure Go), "none", or the path, with a "/", of a Hugging Face
	// model directory with an ONNX file.
	Model string `json:"model,omitempty"`
	// Device is where ONNX models run: "auto" (default), "cpu", "cuda" or
	// "cuda:N".
	Device string `json:"device,omitempty"`
	// MaxTokens is how much of a prompt an ONNX model reads: of a longer one
	// the head and the tail. Default 128.
	MaxTokens int `json:"maxTokens,omitempty"`
	// File names the ONNX file in the model's directory. Default: chosen by
	// device and precision.
	File string `json:"file,omitempty"`
	// SHA256 pins files of the model's directory: name to hexadecimal digest.
	SHA256 map[string]string `json:"sha256,omitempty"`
	// Categories replaces the model's categories by the operator's own: a name
	// with about ten example prompts each. A prompt belongs to the category of
	// the examples that it is closest to.
	Categories map[string][]string `json:"categories,omitempty"`
	// Embedder is the model for Categories and for conditions on meaning:
	// "builtin" (default), or a model directory.
	Embedder string `json:"embedder,omitempty"`
	// Cascade asks cheaper classifiers first.
	Cascade Cascade `json:"cascade,omitempty"`
	// Cache keeps the answers to repeated prompts.
	Cache Cache `json:"cache,omitempty"`
	// MinConfidence is the probability below which a domain does not count,
	// in [0, 1]. Default 0.5.
	MinConfidence *float64 `json:"minConfidence,omitempty"`
	// Timeout bounds waiting and running together. Default 100ms.
	Timeout Duration `json:"timeout,omitempty"`
	// Concurrency is how many prompts are classified at once. Default: one a
	// CPU core.
	Concurrency int `json:"concurrency,omitempty"`
	// Queue is how many prompts may wait; past it a request gets the default
	// model at once. Default: 8 × Concurrency.
	Queue int `json:"queue,omitempty"`
}

// Cascade lets the pure-Go model answer where it is sure.
type Cascade struct {
	// Linear is the confidence, in (0, 1], from which the pure-Go model's
	// answer is taken and no other model is asked. Default: never.
	Linear *float64 `json:"linear,omitempty"`
}

// Cache bounds the answers that are kept. No prompt is: a digest stands for it.
type Cache struct {
	// Entries is how many answers are kept. Default 0: none.
	Entries int `json:"entries,omitempty"`
	// TenantHeader is a trusted request header field; tenants share no answers.
	TenantHeader string `json:"tenantHeader,omitempty"`
}
