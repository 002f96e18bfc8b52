package scheduling

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// hasWord is the meaning of a keyword, told the slow way.
func hasWord(text, word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start := from + i
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[start+len(word):])
		if !(inWord(first) && inWord(before)) && !(inWord(last) && inWord(after)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		from = start + size
	}
}

func FuzzLexiconFindsWhatStandsAlone(f *testing.F) {
	f.Add("what is C++20 in Golang? 这是数学", "c++", "数学", "go")
	f.Add("a-a-a \xff\xfe é", "a-a", "\xff", "é")
	f.Fuzz(func(t *testing.T, text, a, b, c string) {
		l := newLexicon()
		ids := map[string]int{}
		for _, w := range []string{a, b, c} {
			if w != "" && utf8.ValidString(w) { // as JSON strings are
				ids[w] = l.add(w)
			}
		}
		l.sort()
		read := appendLower(nil, text)
		if want := strings.ToLower(text); string(read) != want {
			t.Fatalf("folded to %q, want %q", read, want)
		}
		counts := make([]uint16, l.size())
		l.count(read, counts)
		for w, id := range ids {
			if got, want := counts[id] > 0, hasWord(string(read), w); got != want {
				t.Errorf("%q in %q: %t, want %t", w, read, got, want)
			}
		}
	})
}

// distance is the Levenshtein distance, told the slow way.
func distance(a, b []rune) int {
	switch {
	case len(a) == 0:
		return len(b)
	case len(b) == 0:
		return len(a)
	case a[0] == b[0]:
		return distance(a[1:], b[1:])
	}
	return 1 + min(distance(a[1:], b), distance(a, b[1:]), distance(a[1:], b[1:]))
}

func FuzzFuzzyForgivesSoManyErrors(f *testing.F) {
	f.Add("urgent", "urgnet", 2)
	f.Add("équipe", "equipe", 1)
	f.Fuzz(func(t *testing.T, a, b string, most int) {
		s, u := tokensOf(a), tokensOf(b)
		if len(s) != 1 || len(u) != 1 || s[0].letters > 8 || u[0].letters > 8 || most < 0 || most > 4 {
			t.Skip()
		}
		m := &fuzzy{distance: most}
		want := distance([]rune(string(s[0].text)), []rune(string(u[0].text))) <= min(most, s[0].letters/lettersPerError)
		if got := m.near(s[0], u[0]); got != want {
			t.Errorf("%q and %q at most %d apart: %t, want %t", a, b, most, got, want)
		}
	})
}

func FuzzSimilarityIsAShare(f *testing.F) {
	f.Add("urgent", "urgnet", 3)
	f.Fuzz(func(t *testing.T, a, b string, arity int) {
		if arity < 2 || arity > maxArity || a == "" || b == "" || len(a) > maxLetter || len(b) > maxLetter {
			t.Skip()
		}
		x, y := appendGroups(nil, []byte(a), arity), appendGroups(nil, []byte(b), arity)
		there, back := similarity(x, y), similarity(y, x)
		if there != back || there < 0 || there > 1 || similarity(x, x) != 1 {
			t.Errorf("%q and %q: %v, %v", a, b, there, back)
		}
	})
}

// BenchmarkLexicon compares one pass for all words with one for each.
func BenchmarkLexicon(b *testing.B) {
	text := []byte(strings.Repeat("why does the quick brown fox jump over the lazy dog, and how far? ", 32)[:2048])
	var words []string
	l := newLexicon()
	for i := range 200 {
		words = append(words, "delta"+strings.Repeat("x", i%7)+string(rune('a'+i%26)))
		l.add(words[i])
	}
	l.sort()
	counts := make([]uint16, l.size())
	b.Run("one pass", func(b *testing.B) {
		for b.Loop() {
			l.count(text, counts)
		}
	})
	b.Run("each word", func(b *testing.B) {
		for b.Loop() {
			for _, w := range words {
				hasWord(string(text), w)
			}
		}
	})
}
