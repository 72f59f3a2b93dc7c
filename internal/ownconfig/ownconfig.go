// Package ownconfig reads the config of choice_of_two where a person has given it on
// a command line. gRPC ignores fields that it does not know, as service configs are
// read by older programs too; there a field that is not known is a slip, and what is
// measured is not what was meant.
package ownconfig

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

// Parse reads a config in JSON; empty is the default.
func Parse(text string) (choiceoftwo.Config, error) {
	if text == "" {
		text = "{}"
	}
	c, err := choiceoftwo.ParseConfig([]byte(text))
	if err != nil {
		return choiceoftwo.Config{}, err
	}
	written, err := json.Marshal(c)
	if err != nil {
		return choiceoftwo.Config{}, err
	}
	// What was understood is written again. What is not there was not.
	var given, understood map[string]any
	if err := errors.Join(json.Unmarshal([]byte(text), &given), json.Unmarshal(written, &understood)); err != nil {
		return choiceoftwo.Config{}, fmt.Errorf("%s: %w", choiceoftwo.Name, err)
	}
	if path := unknown("", given, understood); path != "" {
		return choiceoftwo.Config{}, fmt.Errorf("%s: there is no field %s: docs/configuration.md lists them", choiceoftwo.Name, path)
	}
	return c, nil
}

// CheckUsed refuses a config on a command line where the policy is not among those
// that are compared.
func CheckUsed(config string, among bool) error {
	if config == "" || among {
		return nil
	}
	return fmt.Errorf("--config is that of %s, which is not among --policy: leave it out", choiceoftwo.Name)
}

// unknown is the path of a field that was given and not understood, or "".
func unknown(path string, given, understood map[string]any) string {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		at := name
		if path != "" {
			at = path + "." + name
		}
		value, known := find(understood, name)
		if fields, ok := given[name].(map[string]any); ok {
			below, _ := value.(map[string]any)
			if bad := unknown(at, fields, below); bad != "" {
				return bad
			}
			known = known || len(fields) == 0
		}
		if !known && !isEmpty(given[name]) {
			return at
		}
	}
	return ""
}

// find looks a field up as package json does: the case of its name does not matter.
func find(fields map[string]any, name string) (any, bool) {
	for n, v := range fields {
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return nil, false
}

// isEmpty tells whether a value may be left out where it is written.
func isEmpty(v any) bool {
	list, isList := v.([]any)
	return v == nil || v == false || isList && len(list) == 0
}
