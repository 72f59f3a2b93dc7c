// Package fieldmask makes and reads the masks of updates: which fields a JSON
// body sets, and which fields a caller's own mask means.
//
//	paths := fieldmask.FromJSON(body, book.Descriptor()) // body is {"title":"x","author":{"name":null}}
//	// []string{"author.name", "title"}
//
// A field is in the mask if its key is in the body, whatever its value: null and
// a default clear it. Objects are gone into where they are messages whose fields
// can be set apart; lists, maps and types with a JSON form of their own are set
// as a whole, and so is a message by {}.
//
// Sources: AIP-134; google/protobuf/field_mask.proto.
package fieldmask

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/gateway/internal/fieldpath"
)

// FromJSON returns the paths, in proto names and in order, of the fields that a
// JSON object sets. data must have been decoded as a message of type md; keys
// that the message does not have are left out.
func FromJSON(data []byte, md protoreflect.MessageDescriptor) []string {
	var paths []string
	collect(&paths, "", data, md)
	slices.Sort(paths)
	return slices.Compact(paths)
}

func collect(paths *[]string, prefix string, data []byte, md protoreflect.MessageDescriptor) {
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return
	}
	for name, value := range members {
		fd := fieldpath.Field(md, name)
		if fd == nil {
			continue
		}
		path := fieldpath.Append(prefix, string(fd.Name()))
		if canSetApart(fd) && !isEmptyObject(value) && value[0] == '{' {
			collect(paths, path, value, fd.Message())
			continue
		}
		*paths = append(*paths, path)
	}
}

// canSetApart reports whether the fields within a field can be set one by one.
func canSetApart(fd protoreflect.FieldDescriptor) bool {
	return fd.Message() != nil && fd.Cardinality() != protoreflect.Repeated && !fieldpath.HasOwnJSON(fd.Message())
}

func isEmptyObject(value []byte) bool {
	return len(value) >= 2 && value[0] == '{' && len(bytes.TrimSpace(value[1:len(value)-1])) == 0
}

// Normalize returns a mask's paths in proto names, or the first that means no
// field of md. `*` means all and stands as it is; what lies within maps and
// types with a JSON form of their own is left to the service.
func Normalize(paths []string, md protoreflect.MessageDescriptor) (normal []string, unknown string) {
	for _, path := range paths {
		p, ok := normalize(path, md)
		if !ok {
			return nil, path
		}
		normal = append(normal, p)
	}
	return normal, ""
}

func normalize(path string, md protoreflect.MessageDescriptor) (string, bool) {
	if path == "*" {
		return path, true
	}
	var out string
	for rest, more := path, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ".")
		if name == "*" && !more {
			return fieldpath.Append(out, name), true
		}
		fd := fieldpath.Field(md, name)
		if fd == nil {
			return "", false
		}
		out = fieldpath.Append(out, string(fd.Name()))
		switch {
		case !more:
		case canSetApart(fd), fd.IsList() && fd.Message() != nil:
			md = fd.Message()
		case fd.Message() != nil:
			return out + "." + rest, true
		default:
			return "", false
		}
	}
	return out, true
}

// A Tree is a mask by fields. A nil one has nothing in it.
type Tree struct {
	whole  bool
	fields map[string]*Tree
}

// NewTree returns the tree of a mask's paths, in proto names as [FromJSON] and
// [Normalize] return them.
func NewTree(paths []string) *Tree {
	root := &Tree{}
	for _, path := range paths {
		at := root
		for name := range strings.SplitSeq(path, ".") {
			if name == "*" {
				break
			}
			if at.fields == nil {
				at.fields = map[string]*Tree{}
			}
			if at.fields[name] == nil {
				at.fields[name] = &Tree{}
			}
			at = at.fields[name]
		}
		at.whole = true
	}
	return root
}

// Whole reports whether all of it is in the mask.
func (t *Tree) Whole() bool { return t != nil && t.whole }

// Field returns what of a field is in the mask, by its proto name; nil for
// nothing.
func (t *Tree) Field(name protoreflect.Name) *Tree {
	if t == nil {
		return nil
	}
	return t.fields[string(name)]
}
