package scenario

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

func TestEveryFieldIsDocumented(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{Scenario{}, Cost{}, Server{}, Client{}, Network{}, Point{}, Reports{}, Wrong{}, Event{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			tag := typ.Field(i).Tag.Get("yaml")
			if tag == "" || !(strings.Contains(string(readme), "`"+tag+"`") || strings.Contains(string(readme), tag+",") || strings.Contains(string(readme), tag+"}")) {
				t.Errorf("%s.%s (%q) is not in README.md", typ.Name(), typ.Field(i).Name, tag)
			}
		}
	}
	for _, do := range []string{SlowDown, Freeze, FailFast, FailSlow, Join, Drain, Restart, Pause, Antagonist} {
		if !strings.Contains(string(readme), "| `"+do+"` |") {
			t.Errorf("the event %s is not in README.md", do)
		}
	}
}
