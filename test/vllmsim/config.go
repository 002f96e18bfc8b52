package vllmsim

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// A Config describes one simulated server. The zero value of a field means the
// default that its comment names.
type Config struct {
	// Name goes out as x-inference-pod with every reply; default Model.
	Name string
	// Address is where to listen, "host:port"; default a free port of 127.0.0.1.
	Address string

	// Model is the name of the base model. It must be given.
	Model string
	// Adapters are the LoRA adapters that are loaded at the start.
	Adapters []string
	// MaxLoras is how many adapters one batch may mix; 0 switches LoRA off.
	MaxLoras int

	// MaxNumSeqs is how many requests run at once, the others wait; default 256.
	MaxNumSeqs int
	// MaxModelLen bounds prompt and answer together, in tokens; default 32768.
	MaxModelLen int
	// BlockSize is the number of tokens in a KV-cache block; default 16.
	BlockSize int
	// NumGPUBlocks is the size of the KV cache in blocks; the default holds
	// four requests of MaxModelLen.
	NumGPUBlocks int

	// TTFT is the time from admission to the first token; default none.
	TTFT time.Duration
	// TPOT is the time of every further token; default none.
	TPOT time.Duration
	// OutputTokens is the length of an answer that the request does not make
	// shorter; default 16. In echo mode the answer is as long as the prompt.
	OutputTokens int

	// OldKVCacheName names the KV-cache gauge vllm:gpu_cache_usage_perc, as
	// vLLM did up to 0.9.
	OldKVCacheName bool
	// MetricsPageBytes pads the metrics page to at least this size with series
	// that nobody asks for; 44<<10 is a usual page of a real server.
	MetricsPageBytes int
	// KeepRequests is how many of the last requests Requests returns; default 16.
	KeepRequests int
}

// withDefaults fills in what is not given and reports everything that cannot be.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	for _, f := range []struct {
		name  string
		value *int
		when0 int
	}{
		{"MaxNumSeqs", &c.MaxNumSeqs, 256},
		{"MaxModelLen", &c.MaxModelLen, 32768},
		{"BlockSize", &c.BlockSize, 16},
		{"OutputTokens", &c.OutputTokens, 16},
		{"KeepRequests", &c.KeepRequests, 16},
		{"MaxLoras", &c.MaxLoras, 0},
		{"MetricsPageBytes", &c.MetricsPageBytes, 0},
		{"NumGPUBlocks", &c.NumGPUBlocks, 0},
	} {
		if *f.value < 0 {
			errs = append(errs, fmt.Errorf("%s is %d, want 0 or more", f.name, *f.value))
		}
		if *f.value == 0 {
			*f.value = f.when0
		}
	}
	if c.TTFT < 0 || c.TPOT < 0 {
		errs = append(errs, fmt.Errorf("TTFT %v, TPOT %v: times cannot be negative", c.TTFT, c.TPOT))
	}
	if c.Model == "" {
		errs = append(errs, errors.New("a server needs the name of a Model"))
	}
	if len(c.Adapters) > 0 && c.MaxLoras == 0 {
		errs = append(errs, fmt.Errorf("adapters %q need MaxLoras of 1 or more", c.Adapters))
	}
	for i, adapter := range c.Adapters {
		if adapter == "" || adapter == c.Model || slices.Contains(c.Adapters[:i], adapter) {
			errs = append(errs, fmt.Errorf("adapter %q is empty or not the only one of its name", adapter))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Config{}, err
	}
	perRequest := (c.MaxModelLen + c.BlockSize - 1) / c.BlockSize
	if c.NumGPUBlocks == 0 {
		c.NumGPUBlocks = 4 * perRequest
	}
	if c.NumGPUBlocks < perRequest {
		return Config{}, fmt.Errorf("a request of MaxModelLen %d needs %d blocks of %d tokens, NumGPUBlocks is %d",
			c.MaxModelLen, perRequest, c.BlockSize, c.NumGPUBlocks)
	}
	if c.Address == "" {
		c.Address = "127.0.0.1:0"
	}
	if c.Name == "" {
		c.Name = c.Model
	}
	return c, nil
}
