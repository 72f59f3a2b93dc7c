// Command clean makes the mesh's movies.csv of the movies table that comes with the
// npm package vega-datasets, and says what it did to it.
//
//	go run ./examples/mesh/data/clean -o examples/mesh/data/movies.csv package/data/movies.json
//
// The table is meant for teaching and has errors on purpose (see SOURCE.md). The
// program corrects what the table itself shows to be wrong and how, leaves unset what
// is not known, and invents nothing: what is merely doubtful stays, and is counted.
// Every film stays. The same input gives the same output, byte by byte.
//
// The report goes to standard output: for each rule, why there is one, how many values
// it changed, and every one of the changes.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	out := flag.String("o", "", "write the cleaned table to this `file`")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: clean -o movies.csv movies.json")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *out, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "clean:", err)
		os.Exit(1)
	}
}

func run(in, out string, report io.Writer) error {
	input, err := os.ReadFile(in)
	if err != nil {
		return err
	}
	var table bytes.Buffer
	if err := clean(input, &table, report); err != nil {
		return fmt.Errorf("%s: %w", in, err)
	}
	return os.WriteFile(out, table.Bytes(), 0o644)
}
