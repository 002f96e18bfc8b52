package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"semantic-epp/classifier"
	"semantic-epp/classifier/builtin"
	"semantic-epp/classifier/linear"
)

func main() {
	if err := command(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "train:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("train", flag.ContinueOnError)
	var s settings
	var data sources
	flags.StringVar(&data.main, "data", "classifier/train/exam", "folder with train.jsonl, val.jsonl and test.jsonl")
	flags.StringVar(&data.also, "also", "classifier/train/chat", "second such folder, to learn from and be measured on as well; with a words.tsv, from that too")
	flags.IntVar(&data.times, "times", 1, "how often the questions of -also are seen for once of -data's")
	out := flags.String("out", "", "file to write the model to")
	eval := flags.String("eval", "", "do not train, measure a built-in model: onnx, small or linear")
	mixture := flags.String("fit", "", "do not train, find the powers of a built-in mixture: onnx or small")
	library := flags.String("library", "", "path of libonnxruntime.so, for -eval onnx and small; \"\" to search")
	flags.IntVar(&s.buckets, "buckets", 262144, "hash buckets; one takes a byte for each label")
	flags.IntVar(&s.epochs, "epochs", 8, "how often every question is seen")
	flags.Float64Var(&s.rate, "rate", 0.3, "learning rate")
	flags.Float64Var(&s.decay, "decay", 0.0003, "L2 regularization")
	flags.Float64Var(&s.smooth, "smooth", 0.1, "label smoothing, 0 to 1")
	flags.Uint64Var(&s.seed, "seed", 1, "seed of the order of questions")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	given := 0
	for _, f := range []string{*out, *eval, *mixture} {
		if f != "" {
			given++
		}
	}
	if data.main == "" || given != 1 {
		return errors.New("give -data and one of -out, -eval and -fit")
	}
	if data.times < 1 {
		return fmt.Errorf("-times is %d, below 1", data.times)
	}
	if err := s.check(); err != nil {
		return err
	}
	if *mixture != "" {
		return fit(ctx, *mixture, *library, data, stdout)
	}
	if *eval != "" {
		model, err := builtin.Open(builtin.Options{Model: *eval, Library: *library})
		if err != nil {
			return err
		}
		return errors.Join(measure(ctx, model, data, stdout), model.Close())
	}
	return train(ctx, s, data, *out, stdout)
}

func train(ctx context.Context, s settings, data sources, out string, stdout io.Writer) error {
	questions, err := data.read("train", data.times)
	if err != nil {
		return err
	}
	words, err := readWords(data.also)
	if err != nil {
		return err
	}
	questions = append(questions, words...)
	unseen, err := data.read("val", 1)
	if err != nil {
		return err
	}
	labels := labelsOf(questions)
	examples, err := s.examples(questions, labels)
	if err != nil {
		return err
	}
	p := s.fit(examples, labels)
	if examples, err = s.examples(unseen, labels); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "trained on %d questions; temperature %.3f\n", len(questions), calibrate(&p, examples))
	file, err := p.Encode()
	if err != nil {
		return err
	}
	model, err := linear.Load(file)
	if err != nil {
		return err
	}
	if err := measure(ctx, model, data, stdout); err != nil {
		return err
	}
	if err := os.WriteFile(out, file, 0o644); err != nil {
		return fmt.Errorf("write the model: %w", err)
	}
	fmt.Fprintf(stdout, "wrote %d bytes to %s\n", len(file), out)
	return nil
}

func measure(ctx context.Context, m classifier.Model, data sources, stdout io.Writer) error {
	fmt.Fprintf(stdout, "%s, revision %s\n", m.Info().Name, m.Info().Revision)
	for _, dir := range data.folders() {
		for _, name := range []string{"val", "test"} {
			questions, err := readQuestions(dir, name)
			if err != nil {
				return err
			}
			r, err := evaluate(ctx, m, questions)
			if err != nil {
				return fmt.Errorf("%s/%s.jsonl: %w", dir, name, err)
			}
			fmt.Fprintf(stdout, "%s/%s.jsonl: %v\n", dir, name, r)
			if name != "test" {
				continue
			}
			if err := r.tables(stdout); err != nil {
				return err
			}
		}
	}
	return nil
}
