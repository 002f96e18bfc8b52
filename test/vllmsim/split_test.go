package vllmsim

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func FuzzSplit(f *testing.F) {
	for _, seed := range []string{"", "a", "four", "fives", "世界世界", "Grüße\n", "\xff\xfe\xfd\xfc\xfb"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tokens := split(text)
		if strings.Join(tokens, "") != text {
			t.Errorf("%q falls apart into %q", text, tokens)
		}
		for i, token := range tokens {
			if utf8.ValidString(text) && !utf8.ValidString(token) {
				t.Errorf("token %d, %q, cuts a character of %q in two", i, token, text)
			}
			if len(token) == 0 && text != "" {
				t.Errorf("token %d of %q is empty", i, text)
			}
		}
	})
}
