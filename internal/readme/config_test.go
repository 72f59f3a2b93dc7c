package readme

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/gateway.md's table anew")

const (
	page   = "../../docs/gateway.md"
	begins = "<!-- The rest is made from gateway/config.go and what it refers to: go test ./internal/readme -update -->\n"
)

// TestTheFrontDoorsConfigIsDocumented holds the page to the comments in the code.
func TestTheFrontDoorsConfigIsDocumented(t *testing.T) {
	structs := map[string]*ast.StructType{}
	addStructs(t, structs, "", "../../gateway/config.go", "../../gateway/config_forms.go", "../../gateway/openapi.go")
	addStructs(t, structs, "policy.", "../../gateway/policy/engine.go")
	addStructs(t, structs, "ratelimit.", "../../gateway/ratelimit/limiter.go")
	addStructs(t, structs, "", "../../gateway/mount.go")
	addStructs(t, structs, "retry.", "../../gateway/retry/config.go") // with its Budget
	addStructs(t, structs, "overload.", "../../gateway/overload/config.go")
	var table strings.Builder
	const columns = "\n| field | type | what it does |\n|---|---|---|\n"
	table.WriteString(columns)
	describe(&table, structs, "Config", "")
	table.WriteString("\n## What a service is mounted with\n\nThe fields of `gateway.Service`, and those of the limiter that it may have.\n" + columns)
	describe(&table, structs, "Service", "")
	describe(&table, structs, "overload.Config", "overload.Config.")

	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begins)
	if !found {
		t.Fatalf("%s has no line %q", page, begins)
	}
	if rest == table.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not what gateway/config.go says: run go test ./internal/readme -update", page)
	}
	if err := os.WriteFile(page, []byte(head+begins+table.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// addStructs adds those of files, by their names behind that of their package.
func addStructs(t *testing.T, to map[string]*ast.StructType, from string, paths ...string) {
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					to[from+spec.Name.Name] = s
				}
			}
			return true
		})
	}
}

// describe writes a row for each field of a struct, and of the structs in it and
// behind it. A field without a comment is under that of the one before it.
func describe(w *strings.Builder, structs map[string]*ast.StructType, name, prefix string) {
	from, _, _ := strings.Cut(name, ".")
	if from == name {
		from = ""
	} else {
		from += "."
	}
	doc := ""
	for _, field := range structs[name].Fields.List {
		var kind strings.Builder
		_ = printer.Fprint(&kind, token.NewFileSet(), field.Type)
		if field.Doc != nil {
			doc = oneLine(field.Doc.Text())
		}
		below := strings.TrimPrefix(kind.String(), "*")
		if structs[below] == nil {
			below = from + below
		}
		for _, ident := range field.Names {
			if !ident.IsExported() {
				continue
			}
			// One that may be nil, or is another package's, is told of itself, too.
			if structs[below] == nil || strings.ContainsAny(kind.String(), "*.") {
				fmt.Fprintf(w, "| `%s%s` | `%s` | %s |\n", prefix, ident.Name, kind.String(), doc)
			}
			if structs[below] != nil {
				describe(w, structs, below, prefix+ident.Name+".")
			}
		}
	}
}

// docLink is a name in brackets, as comments in Go have them.
var docLink = regexp.MustCompile(`\[([\w.]+)\]`)

// oneLine makes a comment fit into a table's cell.
func oneLine(text string) string {
	text = docLink.ReplaceAllString(strings.Join(strings.Fields(text), " "), "$1")
	return strings.ReplaceAll(text, "|", "\\|")
}
