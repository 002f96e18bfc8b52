package tokenizer_test

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"semantic-epp/classifier/tokenizer"
)

// all is more tokens than any text here has.
const all = 1 << 30

// kinds are the tokenizers of testdata/kinds, by name.
func kinds(tb testing.TB) map[string]*tokenizer.Tokenizer {
	tb.Helper()
	files, err := filepath.Glob("testdata/kinds/*.json")
	if err != nil || len(files) < 11 {
		tb.Fatalf("%d tokenizers in testdata/kinds: %v", len(files), err)
	}
	found := make(map[string]*tokenizer.Tokenizer)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		tok, err := tokenizer.Load(data)
		if err != nil {
			tb.Fatalf("%s: %v", file, err)
		}
		found[strings.TrimSuffix(filepath.Base(file), ".json")] = tok
	}
	return found
}

func lines(tb testing.TB, file string) (lines []string) {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		lines = append(lines, s.Text())
	}
	if err := s.Err(); err != nil {
		tb.Fatal(err)
	}
	return lines
}

// kindTexts are the texts of testdata/kinds; some are no UTF-8.
func kindTexts(tb testing.TB) (texts []string) {
	tb.Helper()
	for _, line := range lines(tb, "testdata/kinds/texts.jsonl") {
		var x struct{ Text, Hex string }
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			tb.Fatal(err)
		}
		data, err := hex.DecodeString(x.Hex)
		if err != nil {
			tb.Fatal(err)
		}
		texts = append(texts, x.Text+string(data))
	}
	if len(texts) < 600 {
		tb.Fatalf("only %d texts in testdata/kinds", len(texts))
	}
	return texts
}

// summary is what kinds.py writes about the ids of a text.
func summary(ids []int64) string {
	sum := crc32.NewIEEE()
	for _, id := range ids {
		sum.Write(binary.LittleEndian.AppendUint32(nil, uint32(id)))
	}
	text := fmt.Sprintf("%d %d", len(ids), sum.Sum32())
	for _, id := range ids[:min(8, len(ids))] {
		text += " " + strconv.FormatInt(id, 10)
	}
	return text
}

func TestKindsEqualUpstream(t *testing.T) {
	texts := kindTexts(t)
	for name, tok := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			want := lines(t, "testdata/kinds/"+name+".ids")
			if len(want) != len(texts) {
				t.Fatalf("ids of %d texts, want %d", len(want), len(texts))
			}
			for i, text := range texts {
				if got := summary(tok.Encode(nil, text, all)); got != want[i] {
					t.Errorf("%.150q:\n got %s\nwant %s", text, got, want[i])
				}
			}
		})
	}
}

// A limit takes the first tokens, whatever the kind, and both ends are the
// whole where it fits.
func TestKindsWithLimits(t *testing.T) {
	texts := kindTexts(t)
	for name, tok := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			none := len(tok.Encode(nil, "", all))
			for _, text := range texts {
				whole := tok.Encode(nil, text, all)
				for _, limit := range []int{none, none + 1, none + 7, len(whole), len(whole) + 1} {
					got := tok.Encode(nil, text, limit)
					if len(got) > max(limit, none) || len(got) != min(len(whole), max(limit, none)) {
						t.Errorf("%.80q, at most %d tokens: %d of %d", text, limit, len(got), len(whole))
					}
					ends := tok.EncodeEnds(nil, text, limit)
					if len(ends) > max(limit, none) {
						t.Errorf("%.80q, at most %d tokens from both ends: %d", text, limit, len(ends))
					}
					if len(text) <= 64*(limit-none) && len(whole) <= limit && !slices.Equal(ends, whole) {
						t.Errorf("%.80q fits in %d tokens, but its ends are %v, not %v", text, limit, ends, whole)
					}
				}
			}
		})
	}
}

// Text that is made to be slow takes milliseconds; what is quadratic in it, in
// each of the kinds, would outlast the test's own time limit. Kinds that are
// left out have no code of their own.
func TestKindsTimeIsLinear(t *testing.T) {
	units := map[string]string{
		"one letter": "a", "one word": "the", "one word with spaces": "the ", "spaces": " ", "line ends": "\n", "marks": "▁", "NULs": "\x00",
		"accents": "\u0301", "accents of two classes": "\u0301\u0323", "nearly special": "<mas", "special": "<mask>", "emoji": "👩‍👩‍👧‍👦", "ideographs": "好",
		"syllables": "힣", "jamo": "\u1100", "digits": "1", "apostrophes": "'", "broken": "\xff", "ligatures": "ﷺ", "line ends and spaces": "\n ", "flags": "🇩",
	}
	toks := kinds(t)
	for _, name := range []string{"llama3", "gemma", "llama2", "deberta", "first", "splits", "wordpiece"} {
		tok := toks[name]
		t.Run(name, func(t *testing.T) {
			for name, unit := range units {
				text := strings.Repeat(unit, 1<<17/len(unit))
				if name == "accents of two classes" { // runs of marks are sorted
					text = "a" + text
				}
				for _, id := range tok.Encode(nil, text, all) {
					if id < 0 || id >= tok.VocabSize() {
						t.Fatalf("%s: the id %d is not below %d", name, id, tok.VocabSize())
					}
				}
			}
		})
	}
}

func TestPadID(t *testing.T) {
	const pad = `{"id": 7, "content": "<pad>"}`
	for name, tc := range map[string]struct {
		padding, added string
		want           int64
	}{
		"of padding":         {padding: `{"pad_id": 3}`, added: pad, want: 3},
		"of the added token": {padding: "null", added: pad, want: 7},
		"of neither":         {padding: "null", want: 0},
	} {
		t.Run(name, func(t *testing.T) {
			tok, err := tokenizer.Load(fmt.Appendf(nil, `{"padding": %s, "added_tokens": [%s],
				"model": {"type": "WordPiece", "unk_token": "?", "max_input_chars_per_word": 10, "vocab": {"?": 0}}}`, tc.padding, tc.added))
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.PadID(); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func TestRefusedParts(t *testing.T) {
	bpe := func(fields string) string {
		return `{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]` + fields + `}}`
	}
	for name, tc := range map[string]struct{ file, want string }{
		"dropout":                       {file: bpe(`, "dropout": 0.1`), want: "dropout is 0.1"},
		"a suffix of words":             {file: bpe(`, "end_of_word_suffix": "</w>"`), want: `end_of_word_suffix "</w>"`},
		"an unknown unknown token":      {file: bpe(`, "unk_token": "<unk>"`), want: `unk_token "<unk>" is not in the vocab`},
		"a merge of no tokens":          {file: strings.Replace(bpe(""), `["a", "b"]`, `["a", "x"]`, 1), want: `of "a" and "x"`},
		"a merge of three":              {file: strings.Replace(bpe(""), `["a", "b"]`, `["a", "b", "c"]`, 1), want: "3 parts"},
		"a merge without a space":       {file: strings.Replace(bpe(""), `["a", "b"]`, `"ab"`, 1), want: `the merge "ab"`},
		"a Unigram without unknown":     {file: `{"model": {"type": "Unigram", "vocab": [["a", -1]]}}`, want: "unk_id"},
		"a Unigram without vocabulary":  {file: `{"model": {"type": "Unigram", "unk_id": 0, "vocab": []}}`, want: "0 entries"},
		"a charsmap that is cut":        {file: `{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "ABAAAA=="}}`, want: "trie of 4096 bytes in 0"},
		"a charsmap that is no base64":  {file: `{"normalizer": {"type": "Precompiled", "precompiled_charsmap": "%"}}`, want: "base64"},
		"bytes that are not last":       {file: `{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "ByteLevel"}, {"type": "WhitespaceSplit"}]}}`, want: "ByteLevel must be the last"},
		"a scheme that is not known":    {file: `{"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "last"}}`, want: `prepend_scheme "last"`},
		"a behavior that is not known":  {file: `{"pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Dropped"}}`, want: `behavior "Dropped"`},
		"a pattern that matches always": {file: `{"normalizer": {"type": "Replace", "pattern": {"Regex": "a*"}, "content": ""}}`, want: "matches nothing at all"},
		"an anchor":                     {file: `{"normalizer": {"type": "Replace", "pattern": {"Regex": "^a"}, "content": ""}}`, want: `"^a" is not supported`},
		"a group in the content":        {file: `{"normalizer": {"type": "Replace", "pattern": {"Regex": "(a)b"}, "content": "$1"}}`, want: "references to groups"},
		"an empty pattern":              {file: `{"normalizer": {"type": "Replace", "pattern": {"String": ""}, "content": ""}}`, want: "pattern is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := tokenizer.Load([]byte(tc.file)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

func FuzzKinds(f *testing.F) {
	toks := kinds(f)
	for i, text := range kindTexts(f) {
		if i%25 == 0 {
			f.Add(text, i%40)
		}
	}
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(0, limit%600)
		for name, tok := range toks {
			whole, short, ends := tok.Encode(nil, text, all), tok.Encode(nil, text, limit), tok.EncodeEnds(nil, text, limit)
			none := len(tok.Encode(nil, "", 0))
			if want := max(none, min(len(whole), limit)); len(short) != want {
				t.Errorf("%s: %d of %d tokens, want %d", name, len(short), len(whole), want)
			}
			if len(ends) > max(none, limit) {
				t.Errorf("%s: %d tokens from both ends, more than %d", name, len(ends), limit)
			}
			if len(text) <= 64*(limit-none) && len(whole) <= limit && !slices.Equal(ends, whole) {
				t.Errorf("%s: the ends of what fits are %v, not %v", name, ends, whole)
			}
			for _, id := range slices.Concat(whole, ends) {
				if id < 0 || id >= tok.VocabSize() {
					t.Errorf("%s: the id %d is not below %d", name, id, tok.VocabSize())
				}
			}
		}
	})
}

// FuzzLoad: whatever the file says, Load and what it loads do not panic.
func FuzzLoad(f *testing.F) {
	files, _ := filepath.Glob("testdata/kinds/*.json")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := tokenizer.Load(data)
		if err != nil {
			return
		}
		for _, text := range []string{"", "Hello,  world! ½\u0301 ☃▁a\n<mask> it's 123", "\xff\x00"} {
			for _, id := range tok.Encode(nil, text, 64) {
				if id < 0 || id >= tok.VocabSize() {
					t.Errorf("the id %d is not below %d", id, tok.VocabSize())
				}
			}
		}
	})
}

func BenchmarkKinds(b *testing.B) {
	for name, tok := range kinds(b) {
		for language, text := range map[string]string{
			"english": strings.Repeat("Which of these would most likely give examples of mitotic cell divisions? ", 20),
			"mixed":   strings.Repeat("Привет, мир! 안녕하세요 세계 café 👩‍👩‍👧‍👦 你好 x = 42;\n", 20),
		} {
			b.Run(name+"/"+language, func(b *testing.B) {
				ids := tok.Encode(nil, text, all)
				b.SetBytes(int64(len(text)))
				b.ReportAllocs()
				for b.Loop() {
					ids = tok.Encode(ids[:0], text, all)
				}
			})
		}
	}
}

// BenchmarkEncodeEnds reads a megabyte for 256 tokens.
func BenchmarkEncodeEnds(b *testing.B) {
	text := strings.Repeat("Which of these would most likely give examples? ", 1<<20/48)
	for name, tok := range kinds(b) {
		b.Run(name, func(b *testing.B) {
			var ids []int64
			b.ReportAllocs()
			for b.Loop() {
				ids = tok.EncodeEnds(ids[:0], text, 256)
			}
		})
	}
}
