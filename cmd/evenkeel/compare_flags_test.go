package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestWrongFlagsOfAComparisonAreOneClearLineAndExitWith2(t *testing.T) {
	for line, want := range map[string]string{
		"compare --rounds 0":                         "--rounds is 0: must be from 1 to 1000",
		"compare --rounds many":                      "--rounds",
		"compare --scenario nosuch":                  "two-speed, noisy, freeze, crash, rolling-restart, cold-start",
		"compare --policy nosuch":                    "choice_of_two, round_robin",
		"compare --duration 1ms":                     "--duration is 1ms: must be from 1s",
		"compare --format xml":                       "json",
		"compare --config {":                         "choice_of_two",
		"compare two-speed":                          "two-speed",
		"compare --scenario two-speed --max-busy=-3": "--max-busy is -3",
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(line), &stdout, &stderr)
		if text := stderr.String(); code != 2 || !strings.Contains(text, want) || strings.Count(text, "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%s: exit %d, stderr %q, stdout %q; want 2 and one line with %q", line, code, text, stdout.String(), want)
		}
	}
}
