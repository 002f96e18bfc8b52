package tokenizer_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"semantic-epp/classifier/tokenizer"
)

const (
	cls = 101
	sep = 102
)

func load(tb testing.TB) *tokenizer.Tokenizer {
	tb.Helper()
	t, err := tokenizer.Load(read(tb))
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func read(tb testing.TB) []byte {
	tb.Helper()
	data, err := os.ReadFile("../builtin/tokenizer.json")
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

type fixture struct {
	Text string  `json:"text"`
	Max  int     `json:"max"`
	IDs  []int64 `json:"ids"`
}

func fixtures(tb testing.TB) (all []fixture) {
	tb.Helper()
	f, err := os.Open("testdata/texts.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var x fixture
		if err := json.Unmarshal(lines.Bytes(), &x); err != nil {
			tb.Fatal(err)
		}
		all = append(all, x)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	if len(all) < 900 {
		tb.Fatalf("only %d texts in testdata/texts.jsonl", len(all))
	}
	return all
}

func TestEncodeEqualsUpstream(t *testing.T) {
	tok := load(t)
	for _, f := range fixtures(t) {
		if got := tok.Encode(nil, f.Text, f.Max); !slices.Equal(got, f.IDs) {
			t.Errorf("%.200q, at most %d tokens:\n got %v\nwant %v", f.Text, f.Max, got, f.IDs)
		}
	}
}

func TestEncodeAppends(t *testing.T) {
	tok := load(t)
	got := tok.Encode([]int64{7}, "hello", 8)
	if want := []int64{7, cls, 7592, sep}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestEncodeOfBrokenUTF8(t *testing.T) {
	tok := load(t)
	for name, broken := range map[string]string{
		"a byte that begins nothing": "hel\xfflo world",
		"a rune cut short":           "hello world\xe4\xbd",
		"a surrogate":                "hello \xed\xa0\x80world",
	} {
		got, want := tok.Encode(nil, broken, 16), tok.Encode(nil, "hello world", 16)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want it dropped: %v", name, got, want)
		}
	}
}

func TestEncodeEnds(t *testing.T) {
	tok := load(t)
	head, tail := strings.Repeat("alpha ", 500), strings.Repeat(" omega", 500)
	whole := func(s string) []int64 {
		ids := tok.Encode(nil, s, len(s)+2)
		return ids[1 : len(ids)-1]
	}
	alpha, omega := whole("alpha"), whole("omega")
	tests := map[string]struct {
		text string
		max  int
		want []int64
	}{
		"a short text is whole":          {text: "alpha omega", max: 16, want: slices.Concat(alpha, omega)},
		"a text that just fits is whole": {text: strings.Repeat("alpha ", 14), max: 16, want: slices.Repeat(alpha, 14)},
		"a long text keeps both ends":    {text: head + tail, max: 18, want: slices.Concat(slices.Repeat(alpha, 12), slices.Repeat(omega, 4))},
		"few tokens for many bytes":      {text: "alpha" + strings.Repeat(" ", 5000) + "omega", max: 18, want: slices.Concat(alpha, omega)},
		"no room for a tail":             {text: head + tail, max: 5, want: slices.Repeat(alpha, 3)},
		"no room for anything":           {text: head + tail, max: 2, want: nil},
		"a tail may be one unknown word": {text: head + strings.Repeat("ᚠ", 5000), max: 18, want: append(slices.Repeat(alpha, 12), 100)},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := tok.EncodeEnds(nil, tc.text, tc.max)
			if want := slices.Concat([]int64{cls}, tc.want, []int64{sep}); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// A megabyte that is made to be slow takes well under a second; a scan that is
// quadratic in it would outlast the test's own time limit.
func TestEncodeTimeIsLinear(t *testing.T) {
	tok := load(t)
	for name, unit := range map[string]string{
		"one letter": "a", "one word": "the", "spaces": " ", "NULs": "\x00", "accents": "\u0301", "brackets": "[",
		"nearly special": "[SEP", "emoji": "👩‍👩‍👧‍👦", "ideographs": "好", "syllables": "힣", "words of 100 letters": strings.Repeat("z", 100) + " ",
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat(unit, 1<<20/len(unit))
			ids := tok.Encode(nil, text, len(text)+2)
			if len(ids) > len(text)+2 || ids[len(ids)-1] != sep {
				t.Errorf("1 MiB became %d tokens, the last of which is %d", len(ids), ids[len(ids)-1])
			}
		})
	}
}

// What stands between the ends is not read: it may be anything, of any length.
func TestEncodeEndsIgnoresTheMiddle(t *testing.T) {
	tok := load(t)
	const maxTokens = 16
	for name, ends := range map[string]struct{ head, tail string }{
		"tokens enough": {head: strings.Repeat("alpha ", 20), tail: strings.Repeat(" omega", 20)},
		"no tokens":     {head: strings.Repeat(" ", 64*maxTokens), tail: strings.Repeat("\u0301", 16*maxTokens)},
		"one word":      {head: strings.Repeat("a", 64*maxTokens), tail: strings.Repeat("z", 16*maxTokens)},
	} {
		t.Run(name, func(t *testing.T) {
			want := tok.EncodeEnds(nil, ends.head+strings.Repeat("x", 1<<10)+ends.tail, maxTokens)
			for _, middle := range []string{strings.Repeat("[SEP] word ", 1<<10), strings.Repeat("\x00\xff", 1<<20)} {
				if got := tok.EncodeEnds(nil, ends.head+middle+ends.tail, maxTokens); !slices.Equal(got, want) {
					t.Errorf("with %d bytes between the ends: got %v, want %v", len(middle), got, want)
				}
			}
		})
	}
}

// TestCodePoints takes what upstream's normalizer and pre-tokenizer do with
// code points and predicts the ids from it, with a vocabulary in which
// nothing but the letter x is known.
func TestCodePoints(t *testing.T) {
	count := 0
	steps := func(f func(c string, clean, mark, ideograph, cut string)) {
		data, err := os.ReadFile("testdata/codepoints.tsv")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var first, last rune
			var clean, mark, ideograph, cut string
			if _, err := fmt.Sscanf(line, "%x\t%x\t%s\t%s\t%s\t%s", &first, &last, &clean, &mark, &ideograph, &cut); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			for r := first; r <= last; r++ {
				count++
				if r < 0x30000 || r == first || r == last || r%251 == 0 { // beyond, nearly nothing is assigned
					f(string(r), clean, mark, ideograph, cut)
				}
			}
		}
	}
	configured := func(clean, strip, chinese bool) *tokenizer.Tokenizer {
		tok, err := tokenizer.Load(fmt.Appendf(nil, `{
			"normalizer": {"type": "BertNormalizer", "clean_text": %v, "strip_accents": %v, "handle_chinese_chars": %v, "lowercase": false},
			"pre_tokenizer": {"type": "BertPreTokenizer"},
			"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}]},
			"model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##", "max_input_chars_per_word": 10,
			          "vocab": {"?": 0, "x": 1, "##x": 2}}}`, clean, strip, chinese))
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	joined, apart, unknown, alone := []int64{1, 2}, []int64{1, 1}, []int64{0}, []int64{1, 0, 1}
	check := func(step string, tok *tokenizer.Tokenizer, c string, want []int64) {
		if got := tok.Encode(nil, "x"+c+"x", 8); !slices.Equal(got, want) && c != "x" {
			t.Errorf("%s of %+q: got %v, want %v", step, c, got, want)
		}
	}
	cutOnly, cleanToo, stripToo, chineseToo := configured(false, false, false), configured(true, false, false), configured(false, true, false), configured(false, false, true)
	steps(func(c, clean, mark, ideograph, cut string) {
		want := map[string][]int64{"word": unknown, "space": apart, "punctuation": alone}[cut]
		check("pre-tokenizer", cutOnly, c, want)
		check("clean_text", cleanToo, c, map[string][]int64{"keep": want, "drop": joined, "space": apart}[clean])
		if mark == "mark" {
			check("strip_accents", stripToo, c, joined)
		} else if got := stripToo.Encode(nil, "x"+c+"x", 8); slices.Equal(got, joined) && c != "x" {
			t.Errorf("strip_accents drops %+q", c)
		}
		if ideograph == "ideograph" {
			want = alone
		}
		check("handle_chinese_chars", chineseToo, c, want)
	})
	if want := utf8.MaxRune + 1 - 0x800; rune(count) != want {
		t.Errorf("testdata/codepoints.tsv tells about %d code points, want %d", count, want)
	}
}

func TestLoadRefuses(t *testing.T) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, read(t)); err != nil {
		t.Fatal(err)
	}
	good := compact.String()
	tests := map[string]struct{ old, new, want string }{
		"no JSON":                     {old: "{", new: "", want: "read tokenizer.json"},
		"another model":               {old: `"WordPiece","unk_token"`, new: `"WordLevel","unk_token"`, want: `model is of kind "WordLevel": only WordPiece, BPE and Unigram`},
		"no model":                    {old: `"model"`, new: `"was_model"`, want: "model is missing"},
		"BPE with prefixes":           {old: `"WordPiece","unk_token"`, new: `"BPE","unk_token"`, want: `model BPE: continuing_subword_prefix "##"`},
		"another normalizer":          {old: `"BertNormalizer"`, new: `"Nmt"`, want: `normalizer of kind "Nmt" is not supported`},
		"another pre-tokenizer":       {old: `"BertPreTokenizer"`, new: `"UnicodeScripts"`, want: `pre_tokenizer of kind "UnicodeScripts"`},
		"bytes for WordPiece":         {old: `"BertPreTokenizer"`, new: `"ByteLevel"`, want: "it goes with BPE only"},
		"a part without a kind":       {old: `"BertPreTokenizer"`, new: `""`, want: `pre_tokenizer of kind ""`},
		"another post-processor":      {old: `"TemplateProcessing"`, new: `"Mystery"`, want: `post_processor of kind "Mystery"`},
		"RoBERTa without its tokens":  {old: `"TemplateProcessing"`, new: `"RobertaProcessing"`, want: "cls or sep has no id"},
		"a template without the text": {old: `"id":"A"`, new: `"id":"B"`, want: "single template"},
		"words without end":           {old: `"max_input_chars_per_word":100`, new: `"max_input_chars_per_word":100000`, want: "max_input_chars_per_word is 100000"},
		"an unknown unknown token":    {old: `"unk_token":"[UNK]"`, new: `"unk_token":"[NO]"`, want: `unk_token "[NO]"`},
		"an id below zero":            {old: `"[PAD]":0`, new: `"[PAD]":-1`, want: `"[PAD]"`},
		"a special token of two ids":  {old: `"id":101,"special"`, new: `"id":7,"special"`, want: `"[CLS]" has the id 7, but 101`},
		"an added token without text": {old: `"content":"[SEP]"`, new: `"content":""`, want: "added token 102 is empty"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			bad := strings.Replace(good, tc.old, tc.new, 1)
			if bad == good {
				t.Fatalf("%s is not in tokenizer.json", tc.old)
			}
			_, err := tokenizer.Load([]byte(bad))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// Everything that is wrong is reported, in Sequences, too.
func TestLoadReportsAllFaults(t *testing.T) {
	_, err := tokenizer.Load([]byte(`{
		"normalizer": {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "(?<=a)b"}, "content": ""}]},
		"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "Split", "pattern": {"Regex": "x(?!y)"}, "behavior": "Isolated"}]},
		"model": {"type": "WordLevel"},
		"post_processor": {"type": "Mystery"}}`))
	for _, want := range []string{"Nmt", "(?<=a)b", "Digits", "x(?!y)", "WordLevel", "Mystery"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

func FuzzEncode(f *testing.F) {
	tok := load(f)
	for i, x := range fixtures(f) {
		if i%10 == 0 {
			f.Add(x.Text, x.Max)
		}
	}
	f.Fuzz(func(t *testing.T, text string, maxTokens int) {
		maxTokens = max(0, maxTokens%600)
		for name, encode := range map[string]func([]int64, string, int) []int64{"Encode": tok.Encode, "EncodeEnds": tok.EncodeEnds} {
			ids := encode(nil, text, maxTokens)
			if again := encode(nil, text, maxTokens); !slices.Equal(ids, again) {
				t.Errorf("%s is not deterministic: %v, then %v", name, ids, again)
			}
			if len(ids) < 2 || len(ids) > max(2, maxTokens) || ids[0] != cls || ids[len(ids)-1] != sep {
				t.Errorf("%s with at most %d tokens: %v", name, maxTokens, ids)
			}
			for _, id := range ids {
				if id < 0 || id >= tok.VocabSize() {
					t.Errorf("%s: the id %d is not below %d", name, id, tok.VocabSize())
				}
			}
		}
		long, short := tok.Encode(nil, text, 600), tok.Encode(nil, text, maxTokens)
		if n := len(short) - 1; !slices.Equal(long[:n], short[:n]) {
			t.Errorf("a smaller limit changes what comes before it: %v, %v", long, short)
		}
	})
}

func ExampleTokenizer_Encode() {
	data, err := os.ReadFile("../builtin/tokenizer.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	tok, err := tokenizer.Load(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(tok.Encode(nil, "Hello, world!", 512))
	// Output: [101 7592 1010 2088 999 102]
}

func BenchmarkEncode(b *testing.B) {
	tok := load(b)
	for name, text := range map[string]string{
		"short":   "What is the derivative of f(x) = x^3?",
		"english": strings.Repeat("Which of these would most likely give examples of mitotic cell divisions? ", 20),
		"russian": strings.Repeat("Привет, мир! Как дела у тебя сегодня? ", 20),
		"korean":  strings.Repeat("안녕하세요 세계 한국어 텍스트 ", 20),
		"emoji":   strings.Repeat("👩‍👩‍👧‍👦 ", 100),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ids := make([]int64, 0, 1024)
			for b.Loop() {
				ids = tok.Encode(ids[:0], text, 512)
			}
			b.ReportMetric(float64(len(ids)*b.N)/b.Elapsed().Seconds()/1e6, "Mtok/s")
		})
	}
}

func BenchmarkLoad(b *testing.B) {
	data := read(b)
	for b.Loop() {
		if _, err := tokenizer.Load(data); err != nil {
			b.Fatal(err)
		}
	}
}
