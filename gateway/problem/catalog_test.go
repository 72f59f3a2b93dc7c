package problem

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var update = flag.Bool("update", false, "write docs/problems.md anew")

// TestTheProblemsAreDocumented holds the page to the catalog.
func TestTheProblemsAreDocumented(t *testing.T) {
	const path = "../../docs/problems.md"
	var b bytes.Buffer
	fmt.Fprint(&b, `# Problems

<!-- Made from gateway/problem/catalog.go: go test ./gateway/problem -update -->

Errors are answered as problem details (RFC 9457), with the media type
`+"`application/problem+json`"+`; a stream that fails behind its first byte tells the
same object in band. The gateway answers with the problems on this page and no
others. `+"`code`"+` is the gRPC code; `+"`instance`"+` is the request's id, as in the
header X-Request-Id.

Where the gateway serves its OpenAPI document, this page is at /openapi/problems,
and `+"`type`"+` is the section there that explains the problem, relative to the first of
the servers that the document names: `+"`/openapi/problems#404-not-found`"+`. Elsewhere
it is `+"`about:blank`"+`: there is no page that it could name, and status and code say
the same (RFC 9457, section 4.2.1). A problem that is defined by others has
their type, as below, in both cases.
`)
	for _, k := range Kinds() {
		fmt.Fprintf(&b, "\n## %d %s, %s\n\n", k.Status, k.Title(), k.CodeName())
		if k.Type == TypeBlank {
			fmt.Fprintf(&b, "Type: `/openapi/problems#%s`\n\n", k.Anchor())
		} else {
			fmt.Fprintf(&b, "Type: <%s>\n\n", k.Type)
		}
		fmt.Fprintf(&b, "%s\n\n**To do:** %s\n", k.Means, k.Remedy)
	}
	if *update {
		if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(page, b.Bytes()) {
		t.Errorf("%s is not what catalog.go says: run go test ./gateway/problem -update (%v)", path, err)
	}
}

func inCatalog(httpStatus int, c codes.Code, kind string) bool {
	for _, k := range kinds {
		if k.Status == httpStatus && k.Code == c && (kind == "" || k.Type == kind) {
			return true
		}
	}
	return false
}

func TestEveryCodeThatAServiceAnswersIsInTheCatalog(t *testing.T) {
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		p := FromStatus(status.New(c, "text"))
		if !inCatalog(p.Status, c, p.Type) {
			t.Errorf("%d %v %s is not", p.Status, c, p.Type)
		}
	}
}

// TestEveryProblemThatTheGatewayMakesIsInTheCatalog reads the gateway's sources:
// whoever makes a problem with another status or code has to document it.
func TestEveryProblemThatTheGatewayMakesIsInTheCatalog(t *testing.T) {
	named := map[string]bool{}
	for _, k := range kinds {
		named[statusName(k.Status)+" "+codeName(k.Code)] = true
	}
	made, types := 0, 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if !isSelector(n.Fun, "problem", "New") || len(n.Args) < 2 {
					return true
				}
				made++
				if pair := lastName(n.Args[0]) + " " + lastName(n.Args[1]); !named[pair] {
					t.Errorf("%v: %s is not in the catalog", files.Position(n.Pos()), pair)
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if s, ok := left.(*ast.SelectorExpr); !ok || s.Sel.Name != "Type" || i >= len(n.Rhs) || !strings.HasPrefix(filepath.ToSlash(path), "../ratelimit/") {
						continue
					}
					types++
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if made < 20 || types != 1 {
		t.Errorf("%d problems and %d types of problems were found: the test does not look where they are made", made, types)
	}
}

func isSelector(e ast.Expr, from, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == from && s.Sel.Name == name
}

func lastName(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		return s.Sel.Name
	}
	return fmt.Sprintf("%T", e)
}

// statusName is how net/http calls a status.
func statusName(httpStatus int) string {
	switch httpStatus {
	case StatusClientClosedRequest:
		return "StatusClientClosedRequest"
	case 414:
		return "StatusRequestURITooLong"
	default:
		return "Status" + strings.ReplaceAll(title(httpStatus), " ", "")
	}
}

func codeName(c codes.Code) string { return c.String() }

func TestEachKindHasAnAnchorOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range kinds {
		if k.Means == "" || k.Remedy == "" || k.Title() == "" || k.Type == "" {
			t.Errorf("%+v is not complete", k)
		}
		if seen[k.Anchor()] {
			t.Errorf("%s is there twice", k.Anchor())
		}
		seen[k.Anchor()] = true
	}
}

func TestAProblemIsExplainedAtItsAnchor(t *testing.T) {
	for _, k := range kinds {
		p := New(k.Status, k.Code, "text")
		p.Type = k.Type
		p.ExplainAt("/page")
		want := "/page#" + k.Anchor()
		if k.Type != TypeBlank {
			want = k.Type
		}
		if p.Type != want {
			t.Errorf("%d %v: type %q, want %q", k.Status, k.Code, p.Type, want)
		}
		p.ExplainAt("/other")
		if p.Type != want {
			t.Errorf("%d %v: it is explained twice: %q", k.Status, k.Code, p.Type)
		}
	}
	p := New(418, codes.Internal, "no kind of the gateway's")
	if p.ExplainAt("/page"); p.Type != TypeBlank {
		t.Errorf("type %q of a problem that the page does not explain", p.Type)
	}
}
