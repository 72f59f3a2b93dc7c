package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTestsThatTheSecurityModelNamesExist: a claim whose test was renamed or
// taken out is a claim without one.
func TestTheTestsThatTheSecurityModelNamesExist(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile("`((?:gateway|examples)[a-z/]*)`: ((?:`Test\\w+`(?:, )?)+)")
	found := entry.FindAllStringSubmatch(string(text), -1)
	if len(found) < 13 {
		t.Fatalf("only %d entries name tests; the table has 13 rows", len(found))
	}
	for _, m := range found {
		files, err := filepath.Glob("../" + m[1] + "/*_test.go")
		if err != nil || len(files) == 0 {
			t.Errorf("%s has no tests: %v", m[1], err)
			continue
		}
		var all strings.Builder
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(source)
		}
		for name := range strings.SplitSeq(strings.ReplaceAll(m[2], "`", ""), ", ") {
			if !strings.Contains(all.String(), "func "+name+"(t *testing.T)") {
				t.Errorf("%s has no test %s", m[1], name)
			}
		}
	}
}
