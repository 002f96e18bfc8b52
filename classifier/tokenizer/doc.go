// Package tokenizer turns text into the token ids that a BERT-like model
// reads.
//
// It reads the tokenizer.json of the Hugging Face tokenizers library, of one
// kind: BertNormalizer, BertPreTokenizer, WordPiece, TemplateProcessing.
// [Load] refuses every other kind by name, since a tokenizer that is only
// nearly right makes a model wrong without a sign. Ids are equal to those of
// PyPI tokenizers 0.23.3; testdata/fixtures.py makes the texts and the tables
// of code points that the tests compare with.
//
// A text may be anything a client can send: the time is linear in its length,
// reading stops once enough tokens are made, and no byte, NUL included, ends
// it early.
package tokenizer
