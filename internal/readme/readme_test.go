// Package readme holds the README to the code: its programs must build.
package readme

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

var program = regexp.MustCompile("(?s)```go\n(package main\n.*?)```")

func TestTheProgramsInTheReadmeBuild(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	programs := program.FindAllSubmatch(text, -1)
	if len(programs) != 3 {
		t.Fatalf("found %d programs, want a server, a client and a gateway", len(programs))
	}
	// An overlay puts the programs into the module without writing to it.
	dir := t.TempDir()
	overlay := map[string]string{}
	var packages []string
	for i, p := range programs {
		file := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(file, p[1], 0o600); err != nil {
			t.Fatal(err)
		}
		pkg := fmt.Sprintf("internal/readme/program%d", i)
		overlay[filepath.Join(root, filepath.FromSlash(pkg), "main.go")] = file
		packages = append(packages, "./"+pkg)
	}
	data, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlayFile, data, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", append([]string{"build", "-overlay", overlayFile, "-o", dir + string(filepath.Separator)}, packages...)...)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
