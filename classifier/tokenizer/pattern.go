package tokenizer

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// compile reads a regex that upstream reads as Oniguruma's. It accepts only
// what means the same in both: no anchors, no lookaround, no flags, no back
// references, no possessive repetition.
func compile(pattern string) (*regexp.Regexp, error) {
	translated, ok := translate(pattern)
	if !ok {
		return nil, fmt.Errorf("the regex %q is not supported", pattern)
	}
	re, err := regexp.Compile(translated)
	if err != nil {
		return nil, fmt.Errorf("the regex %q is not supported: %w", pattern, err)
	}
	if re.MatchString("") {
		return nil, fmt.Errorf("the regex %q matches nothing at all", pattern)
	}
	return re, nil
}

// translate writes the pattern for regexp, with Unicode's meaning of classes.
func translate(pattern string) (string, bool) {
	var out strings.Builder
	inClass := false
	for i := 0; i < len(pattern); i++ {
		rest := pattern[i:]
		switch {
		case rest[0] == '\\' && len(rest) > 1:
			escaped, size := translateEscape(rest, inClass)
			if size == 0 {
				return "", false
			}
			out.WriteString(escaped)
			i += size - 1
			continue
		case inClass && (rest[0] == '[' || strings.HasPrefix(rest, "&&")):
			return "", false
		case rest[0] == '[':
			inClass = true
		case rest[0] == ']':
			inClass = false
		case inClass:
		case rest[0] == '^', rest[0] == '$', strings.HasPrefix(rest, "(?") && !strings.HasPrefix(rest, "(?:"), strings.HasPrefix(rest, "{,"):
			return "", false
		case strings.IndexByte("*+?}", rest[0]) >= 0 && len(rest) > 1 && rest[1] == '+': // possessive
			return "", false
		}
		out.WriteByte(rest[0])
	}
	return out.String(), !inClass
}

// classes are the parts of a class that an escape stands for.
var classes = map[string]string{
	`\s`:    `\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`,
	`\d`:    `\p{Nd}` + ranges(addedNumbers), // which are digits, all of them
	`\p{N}`: `\p{N}` + ranges(addedNumbers),
	`\p{L}`: `\p{L}` + ranges(addedLetters),
}

func ranges(table *unicode.RangeTable) string {
	var out strings.Builder
	for _, r := range table.R16 {
		fmt.Fprintf(&out, `\x{%x}-\x{%x}`, r.Lo, r.Hi)
	}
	for _, r := range table.R32 {
		fmt.Fprintf(&out, `\x{%x}-\x{%x}`, r.Lo, r.Hi)
	}
	return out.String()
}

// translateEscape writes the escape that pattern begins with; size is its
// length in the pattern, or 0 where it may mean something else in regexp.
func translateEscape(pattern string, inClass bool) (escaped string, size int) {
	for name, class := range classes {
		negative := strings.ToUpper(name[:2]) + name[2:]
		switch {
		case strings.HasPrefix(pattern, name) && inClass:
			return class, len(name)
		case strings.HasPrefix(pattern, name):
			return "[" + class + "]", len(name)
		case strings.HasPrefix(pattern, negative):
			return "[^" + class + "]", ifOutside(inClass, len(name))
		}
	}
	switch c := pattern[1]; {
	case strings.IndexByte("nrtfvpP", c) >= 0, c < utf8.RuneSelf && !isAlphanumeric(c):
		return pattern[:2], 2
	}
	return "", 0
}

// ifOutside is size, but 0 in a class, where regexp knows no class.
func ifOutside(inClass bool, size int) int {
	if inClass {
		return 0
	}
	return size
}
