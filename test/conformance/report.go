package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// tally counts verdicts, and the MUSTs among the failures.
func tally(results []result) (passed, failed, skipped, broken int) {
	for _, r := range results {
		switch r.verdict {
		case pass:
			passed++
		case skip:
			skipped++
		case fail:
			failed++
			if r.check.level == must {
				broken++
			}
		}
	}
	return passed, failed, skipped, broken
}

// writeTable writes a line a check, and under each failure and skip its reason.
func writeTable(w io.Writer, results []result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "RESULT\tLEVEL\tCHECK\tSOURCE\tWHAT IT SAYS")
	for _, r := range results {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", r.verdict, r.check.level, r.check.id, r.check.source, r.check.says)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, v := range []verdict{fail, skip} {
		for _, r := range results {
			if r.verdict == v {
				fmt.Fprintf(w, "\n%s %s: %s", v, r.check.id, r.detail)
			}
		}
	}
	passed, failed, skipped, broken := tally(results)
	_, err := fmt.Fprintf(w, "\n\n%d pass, %d fail (%d of them MUST), %d skipped\n", passed, failed, broken, skipped)
	return err
}

// writeJSON writes the results as an array.
func writeJSON(w io.Writer, results []result) error {
	type line struct {
		ID      string  `json:"id"`
		Level   level   `json:"level"`
		Source  source  `json:"source"`
		Says    string  `json:"says"`
		Result  verdict `json:"result"`
		Detail  string  `json:"detail,omitempty"`
		Seconds float64 `json:"seconds"`
	}
	lines := make([]line, 0, len(results))
	for _, r := range results {
		lines = append(lines, line{r.check.id, r.check.level, r.check.source, r.check.says, r.verdict, r.detail, r.took.Seconds()})
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	out.SetEscapeHTML(false)
	return out.Encode(lines)
}

// writeJUnit writes the results as CI servers read them: a broken SHOULD is a
// skipped test there, since it must not fail a build.
func writeJUnit(w io.Writer, results []result) error {
	type message struct {
		Text string `xml:"message,attr"`
	}
	type testcase struct {
		Class   string   `xml:"classname,attr"`
		Name    string   `xml:"name,attr"`
		Seconds string   `xml:"time,attr"`
		Failure *message `xml:"failure"`
		Skipped *message `xml:"skipped"`
	}
	type testsuite struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	suite := testsuite{Name: "endpoint picker conformance", Tests: len(results)}
	for _, r := range results {
		c := testcase{Class: string(r.check.level), Name: r.check.id, Seconds: fmt.Sprintf("%.3f", r.took.Seconds())}
		switch {
		case r.verdict == fail && r.check.level == must:
			suite.Failures++
			c.Failure = &message{r.check.says + " " + r.detail}
		case r.verdict == fail:
			suite.Skipped++
			c.Skipped = &message{"SHOULD: " + r.check.says + " " + r.detail}
		case r.verdict == skip:
			suite.Skipped++
			c.Skipped = &message{r.detail}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	out := xml.NewEncoder(w)
	out.Indent("", "  ")
	if err := out.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// writeMarkdown writes a table with a column for every picker, as in
// docs/conformance.md.
func writeMarkdown(w io.Writer, names []string, columns [][]result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "| check | level | source | what it says | %s |\n|---|---|---|---|%s\n",
		strings.Join(names, " | "), strings.Repeat("---|", len(names)))
	for i, r := range columns[0] {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |", r.check.id, r.check.level, r.check.source, r.check.says)
		for _, column := range columns {
			switch v := column[i].verdict; v {
			case fail:
				b.WriteString(" **fail** |")
			default:
				fmt.Fprintf(&b, " %s |", v)
			}
		}
		b.WriteString("\n")
	}
	for j, column := range columns {
		passed, failed, skipped, broken := tally(column)
		fmt.Fprintf(&b, "\n%s: %d pass, %d fail (%d of them MUST), %d skipped.\n", names[j], passed, failed, broken, skipped)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
