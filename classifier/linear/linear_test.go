package linear_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"semantic-epp/classifier"
	"semantic-epp/classifier/linear"
)

const buckets = 512

// encoded is a model in which the features of each label's text speak for it.
func encoded(tb testing.TB, texts map[string]string) []byte {
	tb.Helper()
	p := linear.Parameters{Buckets: buckets}
	for label := range texts {
		p.Labels = append(p.Labels, label)
	}
	slices.Sort(p.Labels)
	p.Bias = make([]float32, len(p.Labels))
	p.Weights = make([]float32, buckets*len(p.Labels))
	x := linear.NewExtractor(buckets)
	for i, label := range p.Labels {
		for _, b := range x.Features(texts[label], buckets) {
			p.Weights[int(b)*len(p.Labels)+i] = 1
		}
	}
	file, err := p.Encode()
	if err != nil {
		tb.Fatal(err)
	}
	return file
}

func small(tb testing.TB) *linear.Classifier {
	tb.Helper()
	c, err := linear.Load(encoded(tb, map[string]string{"law": "the court and its judge", "math": "an integral of x^2", "art": "oil on canvas"}))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestClassify(t *testing.T) {
	c := small(t)
	for text, want := range map[string]string{
		"An INTEGRAL of x^2?":                                   "math",
		"courts, judges":                                        "law",
		"painted in oil on a canvas":                            "art",
		"the court \x00 its judge":                              "law",
		strings.Repeat("? ", 20000) + "the court and its judge": "law", // the tail counts
	} {
		got, err := c.Classify(t.Context(), text)
		if err != nil || got.Category != want || got.Revision != c.Info().Revision {
			t.Errorf("%.40q: got %+v, %v; want %s", text, got, err, want)
		}
	}
}

// A model whose every number is known: two labels, one feature.
func TestClassifyComputesSoftmax(t *testing.T) {
	x := linear.NewExtractor(buckets)
	features := x.Features("a", buckets)
	if len(features) != 2 {
		t.Fatalf("one letter has the features %v, want the word and its pair with nothing", features)
	}
	p := linear.Parameters{Labels: []string{"no", "yes"}, Buckets: buckets, Bias: []float32{.5, 0}, Weights: make([]float32, 2*buckets)}
	p.Weights[2*features[0]+1] = 2
	file, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	c, err := linear.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.Classify(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	want := 1 / (1 + math.Exp(.5-2/math.Sqrt(float64(len(features)))))
	for _, q := range got.Probabilities {
		if q.Category == "yes" && math.Abs(q.P-want) > 1e-6 {
			t.Errorf("got %v, want %v", q.P, want)
		}
	}
}

func TestClassifyHasNoOpinionAboutNothing(t *testing.T) {
	for _, text := range []string{"", " \t\n", "\x00"} {
		if _, err := small(t).Classify(t.Context(), text); !errors.Is(err, classifier.ErrNoMatch) {
			t.Errorf("%q: got %v, want ErrNoMatch", text, err)
		}
	}
}

func TestClassifyGivesUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := small(t).Classify(ctx, "hello"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestClassifyConcurrently(t *testing.T) {
	c := small(t)
	texts := []string{"an integral", "the court", "oil", strings.Repeat("canvas and judge ", 100)}
	var callers sync.WaitGroup
	for _, text := range texts {
		want, err := c.Classify(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		callers.Go(func() {
			for range 200 {
				if got, err := c.Classify(t.Context(), text); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%.20q: got %+v, %v; alone %+v", text, got, err, want)
				}
			}
		})
	}
	callers.Wait()
}

// Changing the features makes all files wrong without a sign, so these stay as
// they are, or the version in the magic changes.
func TestFeaturesStayAsTheyAre(t *testing.T) {
	x := linear.NewExtractor(1 << 20)
	for text, want := range map[string]string{
		"Hi!":        "[39754 100410 863347 533098 919180 691712]",
		"É 你好 x":     "[899401 696459 287195 17632 302219 1023937 330743 505706 468373 945640 1023435 511245 127897 917396 1009515 277533 330872 708307 992963 680271 649495 691017 594400]",
		"\xff\x00ab": "[625661 323184 667864 936315 294284 611932 424188 307097 132734 724563 439774]",
	} {
		if got := fmt.Sprint(x.Features(text, 1<<20)); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	good := encoded(t, map[string]string{"law": "court", "math": "integral"})
	resum := func(body []byte) []byte {
		sum := sha256.Sum256(body)
		return append(body, sum[:]...)
	}
	body := func() []byte { return bytes.Clone(good[:len(good)-sha256.Size]) }
	const afterMagic = 8
	tests := map[string]struct {
		file []byte
		want string
	}{
		"nothing":           {file: nil, want: "not a linear model"},
		"another file":      {file: bytes.Repeat([]byte("{}"), 100), want: "not a linear model"},
		"another version":   {file: edit(good, 7, 9), want: "version 9, this program reads version 1"},
		"a flipped bit":     {file: edit(good, len(good)/2, 0x55), want: "checksum"},
		"a missing end":     {file: good[:len(good)-100], want: "checksum"},
		"too few weights":   {file: resum(body()[:len(good)-sha256.Size-10]), want: "bytes of parameters, not 1040"},
		"too many weights":  {file: resum(append(body(), 1, 2, 3)), want: "1043 bytes of parameters, not 1040"},
		"no labels":         {file: resum(put32(body(), afterMagic, 0)), want: "0 labels"},
		"buckets no end":    {file: resum(put32(body(), afterMagic+4, math.MaxUint32)), want: "4294967295 buckets"},
		"a label twice":     {file: resum(bytes.Replace(body(), []byte("\x03law\x04math"), []byte("\x03law\x03lawx"), 1)), want: `label "law" is there twice`},
		"a bias like none":  {file: resum(put32(body(), afterMagic+8+4+5, math.Float32bits(float32(math.NaN())))), want: `bias or scale of "law" is NaN`},
		"half a header":     {file: resum(body()[:afterMagic+3]), want: "header"},
		"half a label list": {file: resum(body()[:afterMagic+10]), want: "label 0 is cut short"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := linear.Load(tc.file); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func edit(file []byte, at int, xor byte) []byte {
	out := bytes.Clone(file)
	if at == 7 {
		out[at] = xor
	} else {
		out[at] ^= xor
	}
	return out
}

func put32(file []byte, at int, v uint32) []byte {
	binary.LittleEndian.PutUint32(file[at:], v)
	return file
}

func TestEncodeRefuses(t *testing.T) {
	for name, p := range map[string]linear.Parameters{
		"too few weights": {Labels: []string{"a"}, Buckets: 2, Bias: []float32{0}, Weights: []float32{0}},
		"an empty label":  {Labels: []string{""}, Buckets: 1, Bias: []float32{0}, Weights: []float32{0}},
	} {
		if _, err := p.Encode(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzClassify(f *testing.F) {
	c := small(f)
	for _, seed := range []string{"", "an integral of x^2", "\xff\x00", "İÉ你好 👩‍👩‍👧‍👦", strings.Repeat("a", 20000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := c.Classify(t.Context(), text)
		if again, _ := c.Classify(t.Context(), text); !reflect.DeepEqual(got, again) {
			t.Errorf("not deterministic: %+v, then %+v", got, again)
		}
		if err != nil {
			if !errors.Is(err, classifier.ErrNoMatch) {
				t.Error(err)
			}
			return
		}
		sum := 0.0
		for _, p := range got.Probabilities {
			sum += p.P
		}
		if math.Abs(sum-1) > 1e-9 || got.Confidence <= 0 || got.Confidence > 1 || got.Margin < 0 || len(got.Probabilities) != 3 {
			t.Errorf("no error, yet %+v", got)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add(encoded(f, map[string]string{"law": "court"}))
	f.Add([]byte("sepplin\x01"))
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > sha256.Size { // or no input gets past the checksum
			body := file[:len(file)-sha256.Size]
			sum := sha256.Sum256(body)
			file = append(bytes.Clone(body), sum[:]...)
		}
		c, err := linear.Load(file)
		if err != nil {
			return
		}
		if _, err := c.Classify(t.Context(), "a court"); err != nil {
			t.Errorf("loaded, yet %v", err)
		}
	})
}
