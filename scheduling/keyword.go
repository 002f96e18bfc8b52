package scheduling

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"semantic-epp/config"
)

// keyword is a condition on the words of a prompt.
type keyword struct {
	any, all, none []string
	fold           bool
}

func newKeyword(cfg *config.Keyword) *keyword {
	if cfg == nil {
		return nil
	}
	k := &keyword{any: cfg.Any, all: cfg.All, none: cfg.None, fold: !cfg.CaseSensitive}
	if k.fold {
		k.any, k.all, k.none = lower(k.any), lower(k.all), lower(k.none)
	}
	return k
}

func lower(words []string) []string {
	folded := make([]string, len(words))
	for i, w := range words {
		folded[i] = strings.ToLower(w)
	}
	return folded
}

// holds says whether the text has one word of any, every word of all and no
// word of none.
func (k *keyword) holds(text string) bool {
	if k.fold {
		text = strings.ToLower(text)
	}
	if len(k.any) > 0 && !hasAny(text, k.any) {
		return false
	}
	for _, w := range k.all {
		if !hasWord(text, w) {
			return false
		}
	}
	return !hasAny(text, k.none)
}

func hasAny(text string, words []string) bool {
	for _, w := range words {
		if hasWord(text, w) {
			return true
		}
	}
	return false
}

// hasWord finds word in text where it does not stand inside a longer word: Go
// is not in "Google". Where the word itself begins or ends with something other
// than a letter, digit or underscore ("C++"), that side needs no border.
func hasWord(text, word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	last, _ := utf8.DecodeLastRuneInString(word)
	for from := 0; ; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			return false
		}
		start := from + i
		end := start + len(word)
		before, _ := utf8.DecodeLastRuneInString(text[:start])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !(inWord(first) && inWord(before)) && !(inWord(last) && inWord(after)) {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[start:])
		from = start + size
	}
}

// inWord says whether a rune is part of words. The decoder's error rune, which
// also stands for the ends of the text, is not. Nor are letters of scripts that
// are written without spaces, where every place is a border.
func inWord(r rune) bool {
	if r == utf8.RuneError || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) {
		return false
	}
	return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r)
}
