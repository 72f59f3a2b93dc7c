package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

var durationType = reflect.TypeFor[time.Duration]()

// decode reads a node into a value that has its defaults already. Other than
// yaml's own decoder it names the path of what is wrong.
func decode(path string, node *yaml.Node, v reflect.Value) error {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	switch {
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null" && path != "":
		return fmt.Errorf("%s (line %d): is empty: must be given, or left out", path, node.Line)
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		return decode(path, node, v.Elem())
	case v.Type() == durationType:
		return decodeDuration(path, node, v)
	case v.Kind() == reflect.Struct:
		return decodeStruct(path, node, v)
	case v.Kind() == reflect.Slice, v.Kind() == reflect.Array:
		return decodeList(path, node, v)
	}
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("%s (line %d): must be a %s", path, node.Line, name(v.Kind()))
	}
	if err := node.Decode(v.Addr().Interface()); err != nil {
		return fmt.Errorf("%s is %q (line %d): must be a %s", path, node.Value, node.Line, name(v.Kind()))
	}
	return nil
}

func name(k reflect.Kind) string {
	switch k {
	case reflect.Float64:
		return "number"
	case reflect.Int:
		return "whole number"
	case reflect.Bool:
		return "true or false"
	}
	return k.String()
}

func decodeDuration(path string, node *yaml.Node, v reflect.Value) error {
	d, err := time.ParseDuration(node.Value)
	if err != nil || node.Kind != yaml.ScalarNode {
		return fmt.Errorf("%s is %q (line %d): must be a duration such as 20ms or 1.5s", path, node.Value, node.Line)
	}
	v.SetInt(int64(d))
	return nil
}

func decodeStruct(path string, node *yaml.Node, v reflect.Value) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("%s (line %d): must be a mapping of fields", orTop(path), node.Line)
	}
	fields := map[string]reflect.Value{}
	var known []string
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("yaml")
		fields[key] = v.Field(i)
		known = append(known, key)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i].Value
		at := join(path, key)
		field, ok := fields[key]
		switch {
		case !ok:
			slices.Sort(known)
			return fmt.Errorf("%s (line %d): no such field; there are %s", at, node.Content[i].Line, strings.Join(known, ", "))
		case seen[key]:
			return fmt.Errorf("%s (line %d): is there twice", at, node.Content[i].Line)
		}
		seen[key] = true
		if err := decode(at, node.Content[i+1], field); err != nil {
			return err
		}
	}
	return nil
}

func decodeList(path string, node *yaml.Node, v reflect.Value) error {
	if node.Kind != yaml.SequenceNode {
		return fmt.Errorf("%s (line %d): must be a list", path, node.Line)
	}
	n := len(node.Content)
	if v.Kind() == reflect.Array {
		if n != v.Len() {
			return fmt.Errorf("%s (line %d): must be a list of %d, not of %d", path, node.Line, v.Len(), n)
		}
	} else {
		v.Set(reflect.MakeSlice(v.Type(), n, n))
	}
	for i := range n {
		element := v.Index(i)
		if d, ok := element.Addr().Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		if err := decode(fmt.Sprintf("%s[%d]", path, i), node.Content[i], element); err != nil {
			return err
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orTop(path string) string {
	if path == "" {
		return "a scenario"
	}
	return path
}

// Parse reads a scenario, fills in the defaults and checks it. The file's name
// is for errors.
func Parse(file string, data []byte) (*Scenario, error) {
	document, err := oneDocument(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	s := &Scenario{}
	s.setDefaults()
	// A group's own reports begin as the scenario's, whichever comes first in
	// the file: so the scenario's are read twice.
	root := document.Content[0]
	if err := decode("", root, reflect.ValueOf(s).Elem()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := s.inheritReports(root); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// oneDocument reads YAML that must be one document.
func oneDocument(data []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("is empty")
	case err != nil:
		return nil, err
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
		return &document, nil
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("there is a second document (line %d): must be one scenario a file", second.Line)
}

// inheritReports gives each group that has reports of its own the scenario's
// for what it does not say.
func (s *Scenario) inheritReports(root *yaml.Node) error {
	servers := child(root, "servers")
	if servers == nil {
		return errors.New("servers: there are none")
	}
	for i := range s.Servers {
		own := child(servers.Content[i], "reports")
		if own == nil {
			continue
		}
		r := s.Reports
		if err := decode(fmt.Sprintf("servers[%d].reports", i), own, reflect.ValueOf(&r).Elem()); err != nil {
			return err
		}
		s.Servers[i].Reports = &r
	}
	return nil
}

// child is the value of a mapping's key.
func child(node *yaml.Node, key string) *yaml.Node {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == key {
			c := node.Content[i+1]
			for c.Kind == yaml.AliasNode {
				c = c.Alias
			}
			return c
		}
	}
	return nil
}
