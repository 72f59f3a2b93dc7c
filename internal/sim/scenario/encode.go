package scenario

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Default returns a scenario that has all defaults, and no name, load, servers
// or clients yet.
func Default() *Scenario {
	s := new(Scenario)
	s.setDefaults()
	return s
}

// DefaultServer returns a group of one server with all defaults.
func DefaultServer() Server {
	var g Server
	g.setDefaults()
	return g
}

// DefaultClient returns a group of one client with all defaults.
func DefaultClient() Client {
	var c Client
	c.setDefaults()
	return c
}

// DefaultEvent returns an event with all defaults, which says neither what
// happens nor to whom.
func DefaultEvent() Event {
	var e Event
	e.setDefaults()
	return e
}

// YAML returns the scenario as a file that Parse reads to the same. Defaults
// are left out.
func (s *Scenario) YAML() []byte {
	node := encodeStruct(reflect.ValueOf(s).Elem(), reflect.ValueOf(Default()).Elem(), s)
	data, err := yaml.Marshal(node)
	if err != nil {
		panic(err) // nodes of scalars, lists and mappings can be written
	}
	return data
}

// encode returns a value's node; nil if it is as by default.
func encode(v, byDefault reflect.Value, s *Scenario) *yaml.Node {
	switch v.Kind() {
	case reflect.Slice:
		if v.Len() == 0 && byDefault.Len() == 0 {
			return nil
		}
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		// A group's reports say what differs from the scenario's.
		node := encodeStruct(v.Elem(), reflect.ValueOf(s.Reports), s)
		node.Style = yaml.FlowStyle
		return node
	}
	if reflect.DeepEqual(v.Interface(), byDefault.Interface()) {
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		node := encodeStruct(v, byDefault, s)
		node.Style = yaml.FlowStyle
		return node
	case reflect.Slice, reflect.Array:
		return encodeList(v, s)
	}
	return encodeScalar(v)
}

func encodeStruct(v, byDefault reflect.Value, s *Scenario) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		if value := encode(v.Field(i), byDefault.Field(i), s); value != nil {
			key := &yaml.Node{Kind: yaml.ScalarNode, Value: v.Type().Field(i).Tag.Get("yaml")}
			node.Content = append(node.Content, key, value)
		}
	}
	return node
}

func encodeList(v reflect.Value, s *Scenario) *yaml.Node {
	node := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		element := v.Index(i)
		if element.Kind() != reflect.Struct {
			node.Style = yaml.FlowStyle
			node.Content = append(node.Content, encodeScalar(element))
			continue
		}
		byDefault := reflect.New(element.Type())
		if d, ok := byDefault.Interface().(interface{ setDefaults() }); ok {
			d.setDefaults()
		}
		item := encodeStruct(element, byDefault.Elem(), s)
		item.Style = yaml.FlowStyle
		node.Content = append(node.Content, item)
	}
	return node
}

func encodeScalar(v reflect.Value) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode}
	switch {
	case v.Type() == durationType:
		node.Value = duration(time.Duration(v.Int()))
	case v.Kind() == reflect.String:
		node.SetString(v.String())
		if v.String() != strings.TrimLeft(v.String(), "0123456789") {
			node.Style = yaml.DoubleQuotedStyle // or "0" would be read as a number by others
		}
	case v.Kind() == reflect.Bool:
		node.Value = strconv.FormatBool(v.Bool())
	case v.Kind() == reflect.Int:
		node.Value = strconv.FormatInt(v.Int(), 10)
	case v.Kind() == reflect.Float64:
		node.Value = strconv.FormatFloat(v.Float(), 'g', -1, 64)
	}
	return node
}

// duration leaves out the zeros that Duration.String ends with.
func duration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = strings.TrimSuffix(text, zero[1:])
		}
	}
	return text
}
