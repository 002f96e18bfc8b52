package source

import (
	"regexp"
	"strings"
)

// Nearest returns the candidate that a word was probably meant to be: the one
// at the smallest edit distance, at most a third of its letters. Case, "-" and
// "_" do not count, so that default_model is near defaultModel.
func Nearest(word string, candidates []string) (string, bool) {
	fold := strings.NewReplacer("-", "", "_", "", " ", "")
	folded := fold.Replace(strings.ToLower(word))
	nearest, best := "", -1
	for _, c := range candidates {
		other := fold.Replace(strings.ToLower(c))
		allowed := max(1, len(other)/3)
		if len(other) < 2 || c == word || abs(len(other)-len(folded)) > allowed {
			continue
		}
		if n := distance(folded, other); n <= allowed && (best < 0 || n < best) {
			nearest, best = c, n
		}
	}
	return nearest, best >= 0
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, last, row := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(y)]
}

func abs(n int) int { return max(n, -n) }

// listed finds a bad value and the list of good ones in a message such as
// `unknown model "x"; known models: a, b` or `"x"; use reject or pass`.
var listed = regexp.MustCompile(`(?s)^[^"]*"([^"\\]+)".*;(?: known [a-z]+:| use| it knows) (.+)$`)

// hint adds the nearest of the good values to a message that lists them.
func hint(message string) string {
	parts := listed.FindStringSubmatch(message)
	if parts == nil || strings.Contains(message, "did you mean") {
		return message
	}
	candidates := strings.Split(strings.ReplaceAll(parts[2], " or ", ", "), ", ")
	if meant, ok := Nearest(parts[1], candidates); ok {
		return message + "; did you mean " + meant + "?"
	}
	return message
}
