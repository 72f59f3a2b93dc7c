package readme

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/gateway.md's table anew")

const (
	page   = "../../docs/gateway.md"
	begins = "<!-- The rest is made from gateway/config.go: go test ./internal/readme -update -->\n"
)

// TestTheFrontDoorsConfigIsDocumented holds the page to the comments in the code.
func TestTheFrontDoorsConfigIsDocumented(t *testing.T) {
	structs := structsOf(t, "../../gateway/config.go")
	var table strings.Builder
	table.WriteString("\n| field | type | what it does |\n|---|---|---|\n")
	describe(&table, structs, "Config", "")

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

func structsOf(t *testing.T, path string) map[string]*ast.StructType {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := make(map[string]*ast.StructType)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	return structs
}

// describe writes a row for each field of a struct, and of the structs in it.
func describe(w *strings.Builder, structs map[string]*ast.StructType, name, prefix string) {
	for _, field := range structs[name].Fields.List {
		var kind strings.Builder
		_ = printer.Fprint(&kind, token.NewFileSet(), field.Type)
		for _, ident := range field.Names {
			if !ident.IsExported() {
				continue
			}
			if structs[kind.String()] != nil {
				describe(w, structs, kind.String(), prefix+ident.Name+".")
				continue
			}
			fmt.Fprintf(w, "| `%s%s` | `%s` | %s |\n", prefix, ident.Name, kind.String(), oneLine(field.Doc.Text()))
		}
	}
}

// oneLine makes a comment fit into a table's cell.
func oneLine(text string) string {
	return strings.NewReplacer("|", "\\|", "[", "", "]", "").Replace(strings.Join(strings.Fields(text), " "))
}
