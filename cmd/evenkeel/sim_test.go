package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestSimIsACommand(t *testing.T) {
	for line, words := range map[string][]string{
		"--help":     {"  sim  "},
		"sim --help": {"evenkeel sim --list", "--scenario", "two-speed", "--policy", "--seeds", "--format", "--plot"},
		"sim --list": {"two-speed", "choice_of_two"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(line), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%q: exit %d, stderr %q", line, code, stderr.String())
		}
		for _, word := range words {
			if !strings.Contains(stdout.String(), word) {
				t.Errorf("%q does not tell of %q:\n%s", line, word, stdout.String())
			}
		}
	}
}

func TestSimWritesJSONAndNothingElseToItsOutput(t *testing.T) {
	var stdout, stderr bytes.Buffer
	line := "sim --scenario two-servers --policy choice_of_two --seeds 1 --duration 1s --format json"
	if code := run(strings.Fields(line), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("exit %d, stderr %q", code, stderr.String())
	}
	var rows []struct{ Policy string }
	if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil || len(rows) != 1 || rows[0].Policy != "choice_of_two" {
		t.Errorf("%v: %s", err, stdout.String())
	}
}
