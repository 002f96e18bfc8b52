package main

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"semantic-epp/classifier"
	"semantic-epp/classifier/linear"
)

// writeData makes a data set that can be told apart by its words.
func writeData(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	subjects := []struct{ label, words string }{
		{"law", "court judge contract verdict appeal"},
		{"math", "integral sum matrix prime proof"},
		{"art", "canvas oil sketch portrait sculpture"},
	}
	for i, name := range []string{"train", "val", "test"} {
		var out bytes.Buffer
		for _, s := range subjects {
			for j, word := range strings.Fields(s.words) {
				for _, text := range []string{"What about the " + word, word + " please, number " + string(rune('0'+i+j))} {
					line, err := json.Marshal(question{Text: text, Label: s.label})
					if err != nil {
						t.Fatal(err)
					}
					out.Write(append(line, '\n'))
				}
			}
		}
		write(t, filepath.Join(dir, name+".jsonl"), out.String())
	}
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestASecondFolderIsLearnedFromAndMeasured(t *testing.T) {
	dir, also := writeData(t), t.TempDir()
	for _, name := range []string{"train", "val", "test"} {
		write(t, filepath.Join(also, name+".jsonl"), `{"text":"whats a sonnet `+name+`","label":"art"}`+"\n")
	}
	questions, err := sources{main: dir, also: also, times: 3}.read("train", 3)
	if err != nil {
		t.Fatal(err)
	}
	times := 0
	for _, q := range questions {
		if q.Text == "whats a sonnet train" {
			times++
		}
	}
	if times != 3 {
		t.Errorf("a question of the second folder is seen %d times, want 3", times)
	}
	var out bytes.Buffer
	if err := command(t.Context(), []string{"-data", dir, "-also", also, "-out", filepath.Join(dir, "model"), "-buckets", "1000"}, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), also+"/test.jsonl: 1 questions") {
		t.Errorf("the second folder is not measured:\n%s", out.String())
	}
	if err := command(t.Context(), []string{"-data", dir, "-times", "0", "-out", "x"}, &out); err == nil {
		t.Error("-times 0 was taken")
	}
}

func TestTrain(t *testing.T) {
	dir := writeData(t)
	var files [2][]byte
	var out bytes.Buffer
	for i := range files {
		path := filepath.Join(dir, "model")
		out.Reset()
		if err := command(t.Context(), []string{"-data", dir, "-also", "", "-out", path, "-buckets", "1000"}, &out); err != nil {
			t.Fatal(err)
		}
		var err error
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(files[0], files[1]) {
		t.Error("the same data and flags give another file")
	}
	if !strings.Contains(out.String(), "test.jsonl: 30 questions: accuracy 1.000") {
		t.Errorf("it does not tell words apart:\n%s", &out)
	}
	model, err := linear.Load(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if r, err := model.Classify(t.Context(), "a sketch, a portrait"); err != nil || r.Category != "art" {
		t.Errorf("got %+v, %v; want art", r, err)
	}
}

func TestCommandRefuses(t *testing.T) {
	good := writeData(t)
	with := func(name, content string) string {
		dir := writeData(t)
		write(t, filepath.Join(dir, name), content)
		return dir
	}
	out := filepath.Join(good, "model")
	tests := map[string]struct {
		args []string
		want string
	}{
		"no data":              {args: []string{"-data", "", "-out", out}, want: "give -data"},
		"nothing to do":        {args: []string{"-data", good}, want: "one of -out, -eval and -fit"},
		"both":                 {args: []string{"-data", good, "-out", out, "-eval", "linear"}, want: "one of -out, -eval and -fit"},
		"two things to do":     {args: []string{"-data", good, "-fit", "onnx", "-eval", "linear"}, want: "one of -out, -eval and -fit"},
		"a strange mixture":    {args: []string{"-data", good, "-fit", "bert"}, want: `"bert"`},
		"a strange model":      {args: []string{"-data", good, "-eval", "bert"}, want: `"bert"`},
		"no such folder":       {args: []string{"-data", "/no/such", "-also", "", "-out", out}, want: "/no/such/train.jsonl"},
		"a broken line":        {args: []string{"-data", with("train.jsonl", "{}\n{"), "-also", "", "-out", out}, want: "line 1 has no text or no label"},
		"no JSON":              {args: []string{"-data", with("val.jsonl", "{"), "-also", "", "-out", out}, want: "val.jsonl: line 1"},
		"an empty file":        {args: []string{"-data", with("train.jsonl", ""), "-also", "", "-out", out}, want: "is empty"},
		"a label out of place": {args: []string{"-data", with("val.jsonl", `{"text": "a", "label": "cooking"}`), "-also", "", "-out", out}, want: `"cooking"`},
		"no place to write":    {args: []string{"-data", good, "-also", "", "-out", "/no/such/model"}, want: "write the model"},
		"buckets below one":    {args: []string{"-data", good, "-also", "", "-out", out, "-buckets", "0"}, want: "-buckets"},
		"epochs below one":     {args: []string{"-data", good, "-also", "", "-out", out, "-epochs", "0", "-rate", "-1"}, want: "-rate"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if err := command(t.Context(), tc.args, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestEvaluate(t *testing.T) {
	// Two answers at .9, one of them right; two at .5, both right.
	answers := map[string]classifier.Result{
		"a": {Category: "x", Confidence: .9}, "b": {Category: "x", Confidence: .9},
		"c": {Category: "x", Confidence: .5}, "d": {Category: "x", Confidence: .5},
	}
	c := classifier.Func(func(_ context.Context, text string) (classifier.Result, error) { return answers[text], nil })
	got, err := evaluate(t.Context(), c, []question{
		{Text: "a", Label: "x", Lang: "en"}, {Text: "b", Label: "y", Lang: "de"}, {Text: "c", Label: "x", Lang: "en"}, {Text: "d", Label: "x"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.right != 3 || math.Abs(got.error-(.5*.4+.5*.5)) > 1e-9 || got.above[8] != (tally{2, 1}) || got.above[5] != (tally{4, 3}) {
		t.Errorf("got %+v", got)
	}
	var tables strings.Builder
	if err := got.tables(&tables); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(tables.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	if want := []string{
		"category questions accuracy answered right",
		"x 3 1.000 4 0.750",
		"y 1 0.000 0 0.000",
		"",
		"language questions accuracy",
		"de 1 0.000",
		"en 2 1.000",
	}; !slices.Equal(rows, want) {
		t.Errorf("got %q, want %q", rows, want)
	}
}

// The temperature makes up for parameters that are too sure of themselves.
func TestCalibrate(t *testing.T) {
	p := linear.Parameters{Labels: []string{"a", "b"}, Buckets: 1, Bias: []float32{0, 0}, Weights: []float32{8, 0}}
	examples := []example{{[]uint32{0}, 0}, {[]uint32{0}, 0}, {[]uint32{0}, 0}, {[]uint32{0}, 1}}
	temperature := calibrate(&p, examples)
	if want := 8 / math.Log(3); math.Abs(temperature-want) > .02 { // three in four: the logit is log 3
		t.Errorf("got %v, want %v", temperature, want)
	}
	if got := float64(p.Weights[0]); math.Abs(got-math.Log(3)) > .01 {
		t.Errorf("the weight is %v, want %v", got, math.Log(3))
	}
}

func TestWordsAreQuestions(t *testing.T) {
	dir := t.TempDir()
	if words, err := readWords(dir); err != nil || words != nil {
		t.Errorf("a folder without words gives %v, %v", words, err)
	}
	write(t, filepath.Join(dir, "words.tsv"), "es\tlaw\tcontrato, juez\nfr\tart\tpeintre\n")
	words, err := readWords(dir)
	if want := []question{{Text: "contrato", Label: "law"}, {Text: "juez", Label: "law"}, {Text: "peintre", Label: "art"}}; err != nil || !slices.Equal(words, want) {
		t.Errorf("got %v, %v; want %v", words, err, want)
	}
	write(t, filepath.Join(dir, "words.tsv"), "es\tlaw\tcontrato\nes law\n")
	if _, err := readWords(dir); err == nil || !strings.Contains(err.Error(), "line 2 has 1 fields") {
		t.Errorf("a line without tabs gives %v", err)
	}
}
