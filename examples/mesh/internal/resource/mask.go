package resource

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
)

// masked is the columns that an update changes. Fields that callers do not set are
// passed over in a mask, as AIP-203 wants, so that what was read can be sent back.
func (k *Kind[M]) masked(m M, mask *fieldmaskpb.FieldMask) ([]column, error) {
	paths := mask.GetPaths()
	if len(paths) == 0 {
		return slices.DeleteFunc(slices.Clone(k.columns), func(c column) bool {
			return !m.ProtoReflect().Has(c.field)
		}), nil
	}
	if slices.Contains(paths, "*") {
		if len(paths) > 1 {
			return nil, InvalidArgument("update_mask", `"*" stands alone`)
		}
		return k.columns, nil
	}
	var columns []column
	for _, path := range paths {
		fd, err := resolve(k.message.Descriptor(), path)
		if err != nil {
			return nil, InvalidArgument("update_mask", fmt.Sprintf("%v; there are: %s, *", err, k.settableNames()))
		}
		i := slices.IndexFunc(k.columns, func(c column) bool { return c.field == fd })
		if i >= 0 && !slices.ContainsFunc(columns, func(c column) bool { return c.field == fd }) {
			columns = append(columns, k.columns[i])
		}
	}
	return columns, nil
}

// resolve finds the field that a path names, by its name in the protos or in JSON.
func resolve(message protoreflect.MessageDescriptor, path string) (fd protoreflect.FieldDescriptor, err error) {
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil, fmt.Errorf("%q: %s has no fields", path, fd.Name())
		}
		if fd = message.Fields().ByName(protoreflect.Name(name)); fd == nil {
			fd = message.Fields().ByJSONName(name)
		}
		if fd == nil {
			return nil, fmt.Errorf("%q is no field of a %s", path, message.Name())
		}
		message = fd.Message()
	}
	return fd, nil
}

func (k *Kind[M]) settableNames() string {
	names := make([]string, len(k.columns))
	for i, c := range k.columns {
		names[i] = string(c.field.Name())
	}
	return strings.Join(names, ", ")
}

// merge sets columns of target to what they are in source, or clears them.
func (k *Kind[M]) merge(target, source M, columns []column) {
	to, from := target.ProtoReflect(), source.ProtoReflect()
	for _, c := range columns {
		if from.Has(c.field) {
			to.Set(c.field, from.Get(c.field))
		} else {
			to.Clear(c.field)
		}
	}
}

// complain refuses a write that leaves a required field empty.
func (k *Kind[M]) complain(m M, columns []column) error {
	r := m.ProtoReflect()
	for _, c := range columns {
		if c.required && r.Get(c.field).String() == "" {
			name := strings.ToLower(string(k.message.Descriptor().Name()))
			return InvalidArgument(name+"."+string(c.field.Name()), "must be set")
		}
	}
	return nil
}
