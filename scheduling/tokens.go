package scheduling

import "unicode/utf8"

// EstimateTokens estimates how many tokens a language model reads a text as: a
// quarter of a token for each ASCII character, half of one for each letter of
// other alphabets, and one for each other character, such as a Chinese one.
//
// Against the vocabularies o200k_base (GPT-4o) and cl100k_base (GPT-4) on chat
// prompts, it says 8 and 6 % too much for English, between 5 % too much and
// 15 % too little for German, Spanish, French and Portuguese, and up to 20 %
// too much or 25 % too little for Chinese and Japanese. Vocabularies differ
// most on other scripts: Russian, Arabic, Hindi and Bengali get up to 56 % too
// much for the first, up to 63 % too little for the second.
func EstimateTokens(text string) int {
	eighths := 0
	for i := 0; i < len(text); {
		if text[i] < utf8.RuneSelf {
			eighths += 2
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if inWord(r) {
			eighths += 4
		} else {
			eighths += 8
		}
		i += size
	}
	return (eighths + 7) / 8
}
