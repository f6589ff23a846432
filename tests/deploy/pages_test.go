package deploy

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// block is a ```yaml block of a page.
type block struct {
	where string
	lines []string
}

// pages are all that have blocks: README.md, docs/ and deploy/.
func pages(t *testing.T) []string {
	return append(files(t, []string{"docs", "deploy"}, ".md"), "README.md")
}

// blocks of a page, without the indentation that a list gives them.
func blocks(t *testing.T, path string) (found []block) {
	t.Helper()
	var open *block
	indent := ""
	for at, line := range strings.Split(string(read(t, path)), "\n") {
		bare := strings.TrimSpace(line)
		switch {
		case open == nil && (bare == "```yaml" || bare == "```yml"):
			indent = line[:strings.Index(line, "`")]
			open = &block{where: fmt.Sprintf("%s:%d", path, at+1)}
		case open != nil && bare == "```":
			found = append(found, *open)
			open = nil
		case open != nil:
			open.lines = append(open.lines, strings.TrimPrefix(line, indent))
		}
	}
	if open != nil {
		t.Errorf("%s: the block has no end", open.where)
	}
	return found
}

// Every YAML block of a page is a file under test: a whole manifest is decoded strictly, as those in
// deploy/ are, and so is what `dapr-rdkafka topics` reads; a part stands, line by line, in a YAML file
// of deploy/ or components/, which is under test itself. (Its indentation is its own.)
func TestBlocksInPagesAreUnderTest(t *testing.T) {
	var texts []string
	for _, path := range files(t, []string{"deploy", "components"}, ".yaml", ".yml") {
		texts = append(texts, flat(strings.Split(string(read(t, path)), "\n")))
	}
	for _, page := range pages(t) {
		for _, block := range blocks(t, page) {
			found, err := documents(block.where, []byte(strings.Join(block.lines, "\n")))
			if err != nil {
				t.Error(err)
				continue
			}
			for _, doc := range found {
				if doc.kind != " " {
					if err := decode(doc); err != nil {
						t.Errorf("%s: %v", doc.where, err)
					}
				} else if _, err := topicsIn(doc.text); err != nil && !containsAny(texts, flat(block.lines)) {
					t.Errorf("%s: it is no manifest, stands in no file of deploy/ or components/, and names no topics (%v):\n%s",
						block.where, err, strings.Join(block.lines, "\n"))
				}
			}
		}
	}
}

// flat is a text whose lines stand at the margin, without empty ones and comments. Each line begins
// with a line's end, so that a part matches whole lines.
func flat(lines []string) string {
	var flat strings.Builder
	for _, line := range lines {
		if bare := strings.TrimSpace(line); bare != "" && !strings.HasPrefix(bare, "#") {
			flat.WriteString("\n" + bare)
		}
	}
	return flat.String() + "\n"
}

func containsAny(texts []string, part string) bool {
	for _, text := range texts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}

// A block that is nobody's is noticed.
func TestABlockThatIsNobodysIsNoticed(t *testing.T) {
	texts := []string{flat([]string{"a: 1", "  # why", "  b: 2", "c: 3"})}
	for part, there := range map[string]bool{"b: 2": true, "a: 1\nb: 2": true, "b: 3": false, "c: 3\na: 1": false, ": 2": false} {
		if containsAny(texts, flat(strings.Split(part, "\n"))) != there {
			t.Errorf("%q: %t", part, !there)
		}
	}
}

// deploy/README.md has a command that puts the reader's registry into manifests: into all that name one.
func TestTheRegistryIsReplacedEverywhere(t *testing.T) {
	_, command, _ := strings.Cut(string(read(t, "deploy/README.md")), `sed -i "s|registry.example.com|$REGISTRY|" `)
	command, _, _ = strings.Cut(command, "\n")
	var named []string
	for _, pattern := range strings.Fields(command) {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Errorf("the command names %s: %v", pattern, err)
		}
		for _, file := range found {
			named = append(named, strings.TrimPrefix(filepath.ToSlash(file), root+"/"))
		}
	}
	for _, path := range files(t, []string{"deploy"}, ".yaml") {
		if strings.Contains(string(read(t, path)), "registry.example.com") && !slices.Contains(named, path) {
			t.Errorf("%s: the command leaves it out", path)
		}
	}
}
