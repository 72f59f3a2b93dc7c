package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEveryRuleCleansAndSaysSo(t *testing.T) {
	input, err := os.ReadFile("testdata/films.json")
	if err != nil {
		t.Fatal(err)
	}
	var table, report bytes.Buffer
	if err := clean(input, &table, &report); err != nil {
		t.Fatal(err)
	}
	golden(t, "films.csv", table.Bytes())
	golden(t, "report.txt", report.Bytes())
	for _, r := range rules {
		if strings.Contains(report.String(), "\n"+r.name+": 0\n") {
			t.Errorf("the rule %q has nothing to do in the fixture", r.name)
		}
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.ReplaceAll(want, []byte("\r\n"), []byte("\n"))) {
		t.Errorf("%s has changed; it is now\n%s", path, got)
	}
}

func TestATableOfAnotherShapeIsAnError(t *testing.T) {
	for _, input := range []string{"", "{}", `[{"Worldwide Gross": "many"}]`, "[1]"} {
		if err := clean([]byte(input), new(bytes.Buffer), new(bytes.Buffer)); err == nil {
			t.Errorf("%q was taken for a table", input)
		}
	}
}

func TestRunWritesNothingOnError(t *testing.T) {
	out := filepath.Join(t.TempDir(), "movies.csv")
	if err := run(filepath.Join(t.TempDir(), "none.json"), out, new(bytes.Buffer)); err == nil {
		t.Error("no error for a file that is not there")
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a file was written all the same")
	}
}
