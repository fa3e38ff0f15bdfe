package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Block is a fenced block of a document.
type Block struct {
	Page      string // relative to the project's directory
	Line      int    // of its fence
	Language  string
	Text      string
	Elsewhere string // why it can only be carried out on another host; "": it can here
}

// The languages of blocks. Those of commands are carried out by TestDocumentedCommands of
// make e2e.
const (
	Shell      = "sh"      // commands, for bash
	Transcript = "console" // commands behind "$ ", and what they print
)

var otherLanguages = []string{"text", "json", "sql", "mermaid"}

// Commands are the block's commands, for bash.
func (b Block) Commands() string {
	switch b.Language {
	case Shell:
		return b.Text
	case Transcript:
		var all strings.Builder
		for line := range strings.Lines(b.Text) {
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				all.WriteString(command)
			}
		}
		return all.String()
	}
	return ""
}

// Documents are the pages that readers follow, relative to the project's directory.
func Documents() (pages []string, err error) {
	for _, pattern := range []string{"*.md", "deploy/*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(Project, pattern))
		if err != nil {
			return nil, err
		}
		for _, page := range found {
			relative, err := filepath.Rel(Project, page)
			if err != nil {
				return nil, err
			}
			pages = append(pages, relative)
		}
	}
	return pages, nil
}

var (
	fence     = regexp.MustCompile("^( *)```(.*)$")
	elsewhere = regexp.MustCompile(`^ *<!-- elsewhere: (.+) -->$`)
)

// BlocksOf are a page's blocks, in its order. An error tells of one without a known language,
// or of a remark "elsewhere" that is not directly above a block of commands.
func BlocksOf(page string) (blocks []Block, err error) {
	text, err := os.ReadFile(filepath.Join(Project, page))
	if err != nil {
		return nil, err
	}
	var within *Block
	indent, reason := "", ""
	for i, line := range strings.Split(string(text), "\n") {
		mark := fence.FindStringSubmatch(line)
		switch {
		case within != nil && mark != nil:
			blocks = append(blocks, *within)
			within = nil
		case within != nil:
			within.Text += strings.TrimPrefix(line, indent) + "\n"
		case mark != nil:
			b := Block{Page: page, Line: i + 1, Language: mark[2], Elsewhere: reason}
			commands := b.Language == Shell || b.Language == Transcript
			if !commands && (reason != "" || !slices.Contains(otherLanguages, b.Language)) {
				return nil, fmt.Errorf("%s:%d: a block of %q, elsewhere: %q", page, i+1, b.Language, reason)
			}
			within, indent, reason = &b, mark[1], ""
		case reason != "":
			return nil, fmt.Errorf("%s:%d: a remark without a block below it", page, i)
		default:
			if remark := elsewhere.FindStringSubmatch(line); remark != nil {
				reason = remark[1]
			}
		}
	}
	if within != nil || reason != "" {
		return nil, fmt.Errorf("%s: its last block has no end", page)
	}
	return blocks, nil
}

// Examples are the commands that the help of the relay's own commands shows, in the order of
// docs/commands.md.
func Examples() (all []string, err error) {
	text, err := os.ReadFile(filepath.Join(Project, "docs/commands.md"))
	if err != nil {
		return nil, err
	}
	whole := regexp.MustCompile(`\s*\\\n\s*`).ReplaceAllString(string(text), " ")
	for _, found := range example.FindAllStringSubmatch(whole, -1) {
		all = append(all, found[1])
	}
	return all, nil
}

// An example has no explanation behind it, as the lists of commands have.
var example = regexp.MustCompile(`(?m)^  ((?:docker exec audiences /|source <\()?audiences(?: \S+)*)$`)
