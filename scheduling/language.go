package scheduling

import (
	_ "embed"
	"math/bits"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLanguageText is how much of a prompt tells its language, in bytes.
const maxLanguageText = 2 << 10

// detected is the language of a prompt, once it was asked for.
type detected struct {
	code string
	done bool
}

// languageLeaf holds when a prompt is written in one of the languages.
type languageLeaf struct{ codes []string }

func (l *languageLeaf) needs() source { return 0 }
func (l *languageLeaf) cost() int     { return scan }

func (l *languageLeaf) test(e *evaluation) result {
	return holdsIf(slices.Contains(l.codes, e.spoken()))
}

func (l *languageLeaf) found(e *evaluation) string {
	if e.spoken() == "" {
		return "no language"
	}
	return e.spoken()
}

func (e *evaluation) spoken() string {
	if !e.language.done {
		e.language = detected{code: Language(e.signals.Text), done: true}
	}
	return e.language.code
}

// Language is the ISO 639-1 code of the language that a text is written in, one
// of config.Languages, "" where there are no letters or no hint. The script
// decides first; among languages that share one, frequent words and the
// letters that only some of them have. Latin text in plain letters without any
// hint counts as English. Only the beginning of a long text is read.
func Language(text string) string {
	if len(text) > maxLanguageText {
		text = text[:maxLanguageText]
	}
	var of [len(scripts)]int
	persian := 0
	for _, r := range text {
		if s := scriptOf(r); s >= 0 {
			of[s]++
		}
		if strings.ContainsRune("پچژگ", r) {
			persian++
		}
	}
	of[han] *= 3 // a sign is about a word
	of[kana] *= 3
	best := 0
	for s, n := range of {
		if n > of[best] {
			best = s
		}
	}
	switch {
	case of[best] == 0:
		return ""
	case (best == han || best == kana) && 20*of[kana] >= of[han]+of[kana]:
		return "ja"
	case best == arabic && 50*persian >= of[arabic]:
		return "fa"
	case best == latin || best == cyrillic:
		return byWords(text, best)
	}
	return scripts[best].language
}

// Scripts, as indices of scripts.
const (
	latin = iota
	cyrillic
	han
	kana
	arabic
)

// scripts are the scripts that are told apart, with the language that they
// stand for where that is not decided further.
var scripts = [...]struct {
	tables   []*unicode.RangeTable
	language string
}{
	latin:    {[]*unicode.RangeTable{unicode.Latin}, ""},
	cyrillic: {[]*unicode.RangeTable{unicode.Cyrillic}, ""},
	han:      {[]*unicode.RangeTable{unicode.Han}, "zh"},
	kana:     {[]*unicode.RangeTable{unicode.Hiragana, unicode.Katakana}, "ja"},
	arabic:   {[]*unicode.RangeTable{unicode.Arabic}, "ar"},
	5:        {[]*unicode.RangeTable{unicode.Hangul}, "ko"},
	6:        {[]*unicode.RangeTable{unicode.Devanagari}, "hi"},
	7:        {[]*unicode.RangeTable{unicode.Bengali}, "bn"},
	8:        {[]*unicode.RangeTable{unicode.Tamil}, "ta"},
	9:        {[]*unicode.RangeTable{unicode.Thai}, "th"},
	10:       {[]*unicode.RangeTable{unicode.Greek}, "el"},
	11:       {[]*unicode.RangeTable{unicode.Hebrew}, "he"},
}

// scriptOf is the index of a letter's script, -1 for other signs.
func scriptOf(r rune) int {
	if r < utf8.RuneSelf {
		if 'a' <= r|0x20 && r|0x20 <= 'z' {
			return latin
		}
		return -1
	}
	for i := range scripts {
		if unicode.In(r, scripts[i].tables...) {
			return i
		}
	}
	return -1
}

// hints are the frequent words and the letters of the languages that share
// scripts.
var hints = readHints()

type languageHints struct {
	codes   []string
	script  []int
	words   map[string]hint
	letters map[rune]hint
}

// A hint is the languages that something points to, as a bit set, and how much
// it says: the fewer they are, the more.
type hint struct {
	languages uint32
	weight    float32
}

// oneLetter is what a word of one letter says beside longer ones: it may be a
// variable. leastHint is what must be said against English in plain letters.
const oneLetter, leastHint = 0.3, 0.31

// ownLetters are letters that only some languages have.
var ownLetters = map[string]string{
	"de": "äöüß", "fr": "éèêàçùâîôûëïœ", "es": "ñáéíóú¿¡", "pt": "ãõçáéíóúâêô", "it": "èàùòì", "nl": "ëï", "sv": "åäö", "da": "æøå",
	"no": "æøå", "fi": "äö", "pl": "ąćęłńóśźż", "cs": "ěščřžýáíéúůďťň", "hu": "áéíóöőúüű", "ro": "ăâîșțşţ", "tr": "çğıöşü",
	"vi": "ăâđêôơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ", "ru": "ыэёъ", "uk": "іїєґ", "bg": "ъ",
}

//go:embed languages.txt
var languageWords string

func readHints() *languageHints {
	h := &languageHints{words: map[string]hint{}, letters: map[rune]hint{}}
	for line := range strings.Lines(languageWords) {
		fields := strings.Fields(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		bit := uint32(1) << len(h.codes)
		first, _ := utf8.DecodeRuneInString(fields[1])
		h.codes = append(h.codes, fields[0])
		h.script = append(h.script, scriptOf(first))
		for _, word := range fields[1:] {
			h.words[word] = hint{languages: h.words[word].languages | bit}
		}
		for _, r := range ownLetters[fields[0]] {
			h.letters[r] = hint{languages: h.letters[r].languages | bit}
		}
	}
	for word, of := range h.words {
		of.weight = 1 / float32(bits.OnesCount32(of.languages))
		if utf8.RuneCountInString(word) == 1 {
			of.weight *= oneLetter
		}
		h.words[word] = of
	}
	for r, of := range h.letters {
		h.letters[r] = hint{of.languages, 0.5 / float32(bits.OnesCount32(of.languages))}
	}
	return h
}

// byWords is the language of a script that several share which the most hints
// point to.
func byWords(text string, script int) string {
	var scores [32]float32
	add := func(of hint, times float32) {
		for set := of.languages; set != 0; set &= set - 1 {
			scores[bits.TrailingZeros32(set)] += of.weight * times
		}
	}
	var buffer [64]byte
	word, plain := buffer[:0], true
	for _, r := range text {
		r = unicode.ToLower(r)
		if r == '’' {
			r = '\''
		}
		if r >= utf8.RuneSelf && unicode.IsLetter(r) {
			plain = false
			add(hints.letters[r], 1)
		}
		if unicode.IsLetter(r) || r == '\'' && len(word) > 0 {
			if len(word) < len(buffer)-utf8.UTFMax {
				word = utf8.AppendRune(word, r)
			}
			continue
		}
		add(hints.words[string(word)], 1)
		word = word[:0]
	}
	add(hints.words[string(word)], 1)
	best := -1
	for i := range hints.codes {
		if hints.script[i] == script && scores[i] > 0 && (best < 0 || scores[i] > scores[best]) {
			best = i
		}
	}
	switch {
	case script == latin && plain && (best < 0 || scores[best] < leastHint):
		return "en"
	case best >= 0:
		return hints.codes[best]
	case script == cyrillic:
		return "ru"
	}
	return ""
}
