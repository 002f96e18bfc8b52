package extproc

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestBodyGrowsWithWhatCame(t *testing.T) {
	type step struct{ length, held int64 } // of one message; of the budget after it
	tests := map[string]struct {
		announced, limit, budget int64
		steps                    []step
		err                      error // of the last step
	}{
		"one message is no copy":                      {announced: 100, limit: 1000, budget: 1000, steps: []step{{100, 100}}},
		"towards the announced length in one step":    {announced: 300, limit: 1000, budget: 1000, steps: []step{{100, 100}, {100, 300}, {100, 300}}},
		"an announced length alone reserves little":   {announced: 1000, limit: 1000, budget: 1000, steps: []step{{10, 10}, {10, 80}}},
		"doubling without a length, up to the limit":  {announced: unknownLength, limit: 700, budget: 1000, steps: []step{{100, 100}, {100, 400}, {300, 700}}},
		"a length that was too short":                 {announced: 50, limit: 1000, budget: 1000, steps: []step{{100, 100}, {100, 400}}},
		"no more than needed where the budget is low": {announced: unknownLength, limit: 1000, budget: 250, steps: []step{{100, 100}, {100, 200}}},
		"empty messages cost nothing":                 {announced: unknownLength, limit: 10, budget: 10, steps: []step{{0, 0}, {10, 10}, {0, 10}}},
		"over the limit":                              {announced: unknownLength, limit: 150, budget: 1000, steps: []step{{100, 100}, {100, 100}}, err: errTooLarge},
		"over the budget, first message":              {announced: unknownLength, limit: 1000, budget: 50, steps: []step{{100, 0}}, err: errBufferFull},
		"over the budget, later":                      {announced: unknownLength, limit: 1000, budget: 150, steps: []step{{100, 100}, {100, 100}}, err: errBufferFull},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b body
			from := &budget{limit: tt.budget}
			want := ""
			for i, s := range tt.steps {
				part := strings.Repeat(string(rune('a'+i)), int(s.length))
				err := b.add([]byte(part), tt.announced, tt.limit, from)
				if last := i == len(tt.steps)-1; last && !errors.Is(err, tt.err) || !last && err != nil {
					t.Fatalf("message %d: got error %v, want %v", i, err, tt.err)
				}
				if err == nil {
					want += part
				}
				if held := from.used.Load(); held != s.held {
					t.Errorf("after message %d %d bytes of the budget are held, want %d", i, held, s.held)
				}
			}
			if string(b.bytes) != want {
				t.Errorf("got %q, want %q", b.bytes, want)
			}
			b.free(from)
			b.free(from)
			if held := from.used.Load(); held != 0 {
				t.Errorf("%d bytes were not given back", held)
			}
		})
	}
}

func TestContentLength(t *testing.T) {
	tests := map[string]struct {
		pairs []string
		want  int64
	}{
		"absent":            {want: unknownLength},
		"a number":          {pairs: []string{"content-length", "12"}, want: 12},
		"twice the same":    {pairs: []string{"content-length", "12", "content-length", "12"}, want: 12},
		"two numbers":       {pairs: []string{"content-length", "12", "content-length", "13"}, want: unknownLength},
		"negative":          {pairs: []string{"content-length", "-1"}, want: unknownLength},
		"a list":            {pairs: []string{"content-length", "12, 12"}, want: unknownLength},
		"beyond any number": {pairs: []string{"content-length", "99999999999999999999"}, want: unknownLength},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := contentLength(NewHeaders(tt.pairs...)); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	h := NewHeaders("a", "1", "b", "2", "a", "3")
	if h.Len() != 3 || h.Get("a") != "1" || h.Get("c") != "" {
		t.Errorf("got %d fields, a=%q, c=%q, want 3, 1 and nothing", h.Len(), h.Get("a"), h.Get("c"))
	}
	got := map[string]string{}
	for name, value := range h.All() {
		if got[name] += value; name == "b" {
			break
		}
	}
	if want := map[string]string{"a": "1", "b": "2"}; !maps.Equal(got, want) {
		t.Errorf("got %v up to b, want %v", got, want)
	}
}
