package gateway_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheSecurityModelNamesTestsThatThereAre: a row of docs/security.md without
// its test would be a promise only.
func TestTheSecurityModelNamesTestsThatThereAre(t *testing.T) {
	text, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, pattern := range []string{"*_test.go", "*/*_test.go", "../examples/mesh/internal/*/*_test.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
				there[string(m[1])] = true
			}
		}
	}
	named := map[string]bool{}
	for _, m := range regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(string(text), -1) {
		named[m[1]] = true
		if m[1] != "TestAttack" && !there[m[1]] {
			t.Errorf("docs/security.md names %s, which there is not", m[1])
		}
	}
	for name := range there {
		if strings.HasPrefix(name, "TestAttack") && !named[name] {
			t.Errorf("docs/security.md does not name %s", name)
		}
	}
}
