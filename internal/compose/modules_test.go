package compose

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const thisModule = "github.com/evenkeel/evenkeel"

// embedded are the packages that others embed, and those of this module that
// they and their tests import.
var embedded = []string{"balancer/choiceoftwo", "orca", "internal/choice", "internal/orcametric", "internal/leaktest"}

// What an embedder inherits are the modules of what a package and its tests
// import. It may be no more than he has by gRPC itself.
func TestAnEmbedderInheritsNoModule(t *testing.T) {
	root := checkout(t)
	allowed := append(modulesOfGRPC(t, root), thisModule)
	found := dependencies(t, root, "{{with .Module}}{{.Path}}{{end}}")
	if !slices.Contains(found, grpcModule) || !slices.Contains(found, thisModule) {
		t.Fatalf("go list found only %v", found)
	}
	for _, module := range found {
		if !slices.Contains(allowed, module) {
			t.Errorf("%s would be inherited, and gRPC does not need it: find out by whom with\n\tgo mod why -m %s", module, module)
		}
	}
}

// gRPC's xDS client would more than double the size of a small program.
func TestAnEmbedderLinksNoXDS(t *testing.T) {
	for _, path := range dependencies(t, checkout(t), "{{.ImportPath}}") {
		if path == grpcModule+"/xds" || strings.HasPrefix(path, grpcModule+"/internal/xds/") {
			t.Errorf("%s would be linked", path)
		}
	}
}

// dependencies lists, by a template, all packages that the embedded ones and
// their tests import, directly or not.
func dependencies(t *testing.T, root, format string) []string {
	t.Helper()
	args := []string{"list", "-deps", "-test", "-f", format}
	for _, dir := range embedded {
		touch(t, filepath.Join(root, dir))
		args = append(args, "./"+dir+"/...")
	}
	found := strings.Fields(goCommand(t, root, offline, args...))
	slices.Sort(found)
	return slices.Compact(found)
}

// What an embedder inherits, by trying it. It asks the module proxy, and so is run on demand:
//
//	EVENKEEL_EMPTY_MODULE=1 go test -count=1 -run TestAnEmptyModule ./internal/compose
func TestAnEmptyModuleListsNoModuleThatGRPCDoesNotNeed(t *testing.T) {
	if os.Getenv("EVENKEEL_EMPTY_MODULE") == "" {
		t.Skip("needs the network: set EVENKEEL_EMPTY_MODULE=1")
	}
	root := checkout(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.go"), `package main

import (
	_ "`+thisModule+`/balancer/choiceoftwo"
	_ "`+thisModule+`/orca"
)

func main() {}
`)
	goCommand(t, dir, nil, "mod", "init", "example.com/empty")
	goCommand(t, dir, nil, "mod", "edit",
		"-require="+thisModule+"@v0.0.0", "-replace="+thisModule+"="+root)
	goCommand(t, dir, nil, "mod", "tidy")
	goCommand(t, dir, nil, "vet", ".") // it compiles with what it lists

	listed := required(t, goCommand(t, dir, nil, "mod", "edit", "-json"))
	t.Logf("listed: %s", strings.Join(listed, " "))
	if !slices.Contains(listed, grpcModule) || !slices.Contains(listed, thisModule) {
		t.Fatalf("go mod tidy listed only %v", listed)
	}
	allowed := append(modulesOfGRPC(t, root), thisModule)
	for _, module := range listed {
		if !slices.Contains(allowed, module) {
			t.Errorf("%s is listed, and gRPC does not need it", module)
		}
	}
}

const grpcModule = "google.golang.org/grpc"

// modulesOfGRPC are gRPC and what its own go.mod requires.
func modulesOfGRPC(t *testing.T, root string) []string {
	t.Helper()
	dir := strings.TrimSpace(goCommand(t, root, offline, "list", "-m", "-f", "{{.Dir}}", grpcModule))
	modules := required(t, goCommand(t, dir, offline, "mod", "edit", "-json", filepath.Join(dir, "go.mod")))
	if len(modules) == 0 {
		t.Fatalf("%s requires nothing: is it gRPC?", dir)
	}
	return append(modules, grpcModule)
}

// required are the modules that a go.mod, as JSON, requires.
func required(t *testing.T, goMod string) (modules []string) {
	t.Helper()
	var parsed struct{ Require []struct{ Path string } }
	if err := json.Unmarshal([]byte(goMod), &parsed); err != nil {
		t.Fatal(err)
	}
	for _, r := range parsed.Require {
		modules = append(modules, r.Path)
	}
	return modules
}

// offline settings hold a command to what is there, and let it change nothing.
var offline = []string{"GOFLAGS=-mod=readonly", "GOPROXY=off"}

func goCommand(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	// No workspace, wherever the checkout lies.
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.Bytes())
	}
	return string(out)
}

// checkout is the root of this module.
func checkout(t *testing.T) string {
	t.Helper()
	return filepath.Dir(strings.TrimSpace(goCommand(t, ".", offline, "env", "GOMOD")))
}

// touch opens all that another process will read, so that a result of this test
// is not taken from the test cache when a file has changed.
func touch(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		_, err = os.Stat(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
