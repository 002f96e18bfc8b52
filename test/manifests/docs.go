package manifests

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	link      = regexp.MustCompile(`\]\(([^)#\s]*)(#[^)\s]*)?\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.+)$`)
	shell     = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	pathInUse = regexp.MustCompile(`(?:^|[\s"'=])((?:manifests|test|docs|config|deps)/[\w./-]+)`)
	applied   = regexp.MustCompile(`(?:apply|delete|kustomize|diff) .*-k ([\w./-]+)|kubectl kustomize ([\w./-]+)`)
)

// Page checks a page of the repository at root: its links lead somewhere, and
// its commands name files that are there.
func Page(root, page string) []string {
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		return []string{err.Error()}
	}
	var problems []string
	report := func(format string, args ...any) {
		problems = append(problems, page+": "+fmt.Sprintf(format, args...))
	}
	prose := regexp.MustCompile("(?ms)^```.*?^```").ReplaceAllString(string(text), "")
	for _, match := range link.FindAllStringSubmatch(prose, -1) {
		if strings.Contains(match[1], "://") {
			continue
		}
		target := filepath.Join(root, filepath.Dir(page), match[1])
		if match[1] == "" {
			target = filepath.Join(root, page)
		}
		if wrong := broken(target, match[2]); wrong != "" {
			report("link %s%s: %s", match[1], match[2], wrong)
		}
	}
	for _, block := range shell.FindAllStringSubmatch(string(text), -1) {
		for _, match := range pathInUse.FindAllStringSubmatch(block[1], -1) {
			if _, err := os.Stat(filepath.Join(root, match[1])); err != nil {
				report("a command names %s: %v", match[1], errors.Unwrap(err))
			}
		}
		for _, match := range applied.FindAllStringSubmatch(block[1], -1) {
			dir := match[1] + match[2]
			if _, err := os.Stat(filepath.Join(root, dir, "kustomization.yaml")); err != nil {
				report("%s is no kustomization", dir)
			}
		}
	}
	return problems
}

func broken(file, anchor string) string {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return "there is no such file"
	}
	if err != nil || anchor == "" { // a folder has no anchors
		return ""
	}
	for _, match := range heading.FindAllStringSubmatch(string(text), -1) {
		if "#"+slug(match[1]) == anchor {
			return ""
		}
	}
	return "there is no such heading"
}

// slug is GitHub's anchor of a heading.
func slug(heading string) string {
	heading = regexp.MustCompile(`[^\w\- ]`).ReplaceAllString(strings.ToLower(heading), "")
	return strings.ReplaceAll(heading, " ", "-")
}
