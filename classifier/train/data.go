package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A question is a line of a data set.
type question struct {
	Text  string `json:"text"`
	Label string `json:"label"`
	Lang  string `json:"lang"` // ISO 639-1, or "" where the data set does not tell
}

// sources are the folders of a training.
type sources struct {
	main, also string // also may be empty
	times      int    // how often also's questions count
}

func (s sources) folders() []string {
	if s.also == "" {
		return []string{s.main}
	}
	return []string{s.main, s.also}
}

// read returns the questions of a part of both folders, those of the second
// the given number of times.
func (s sources) read(part string, times int) ([]question, error) {
	all, err := readQuestions(s.main, part)
	if err != nil || s.also == "" {
		return all, err
	}
	more, err := readQuestions(s.also, part)
	for range times {
		all = append(all, more...)
	}
	return all, err
}

// readWords reads DIR/words.tsv where there is one: on each line a language, a
// label and words with commas between. Every word is a question.
func readWords(dir string) ([]question, error) {
	path := filepath.Join(dir, "words.tsv")
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read words: %w", err)
	}
	var all []question
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("read words: %s: line %d has %d fields, not language, label and words", path, number, len(fields))
		}
		for word := range strings.SplitSeq(fields[2], ",") {
			all = append(all, question{Text: strings.TrimSpace(word), Label: fields[1]})
		}
	}
	return all, nil
}

// readQuestions reads DIR/NAME.jsonl.
func readQuestions(dir, name string) ([]question, error) {
	path := filepath.Join(dir, name+".jsonl")
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read questions: %w", err)
	}
	defer f.Close()
	var all []question
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			return nil, fmt.Errorf("read questions: %s: line %d: %w", path, len(all)+1, err)
		}
		if q.Text == "" || q.Label == "" {
			return nil, fmt.Errorf("read questions: %s: line %d has no text or no label", path, len(all)+1)
		}
		all = append(all, q)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read questions: %s: %w", path, err)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("read questions: %s is empty", path)
	}
	return all, nil
}
