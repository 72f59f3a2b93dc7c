package scenario

import (
	"embed"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed builtin/*.yaml
var files embed.FS

// builtin parses the scenarios that come with the module.
var builtin = sync.OnceValues(func() ([]*Scenario, error) {
	entries, err := files.ReadDir("builtin")
	if err != nil {
		return nil, err
	}
	var all []*Scenario
	for _, entry := range entries {
		file := path.Join("builtin", entry.Name())
		data, err := files.ReadFile(file)
		if err != nil {
			return nil, err
		}
		s, err := Parse(file, data)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	slices.SortStableFunc(all, byDesign)
	return all, nil
})

// design is the order of the rows of the design table.
var design = []string{
	"homogeneous", "two-speed", "two-speed-quiet-clients", "half-silent", "silent", "misreporting",
	"antagonist", "fail-fast", "two-slow", "cold-join", "one-worker", "large-fleet",
}

// byDesign puts the rows of the design table first.
func byDesign(a, b *Scenario) int {
	rank := func(s *Scenario) int {
		if i := slices.Index(design, s.Name); i >= 0 {
			return i
		}
		return len(design)
	}
	return rank(a) - rank(b)
}

// Builtins returns all scenarios that come with the module: the rows of the
// design table first, the others by name.
func Builtins() ([]*Scenario, error) { return builtin() }

// Builtin returns the scenario of that name.
func Builtin(name string) (*Scenario, error) {
	all, err := builtin()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("scenario %q is not known: must be a file or one of %s", name, strings.Join(names, ", "))
}

// IsDesign tells whether the scenario is a row of the design table.
func (s *Scenario) IsDesign() bool { return slices.Contains(s.Tags, "design") }
