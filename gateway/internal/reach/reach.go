// Package reach goes through the types that a message can hold.
package reach

import (
	"iter"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Messages yields md and every message that it can hold, however deep, each
// once. It takes as long as there are fields in them, not as there are ways to
// them.
func Messages(md protoreflect.MessageDescriptor) iter.Seq[protoreflect.MessageDescriptor] {
	return func(yield func(protoreflect.MessageDescriptor) bool) {
		seen := map[protoreflect.FullName]bool{md.FullName(): true}
		for queue := []protoreflect.MessageDescriptor{md}; len(queue) > 0; queue = queue[1:] {
			if !yield(queue[0]) {
				return
			}
			fields := queue[0].Fields()
			for i := range fields.Len() {
				if below := Element(fields.Get(i)); below != nil && !seen[below.FullName()] {
					seen[below.FullName()] = true
					queue = append(queue, below)
				}
			}
		}
	}
}

// Element returns the type of the messages in a field, also of those in a list
// or a map; nil if there are none, or if fd is.
func Element(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	switch {
	case fd == nil:
		return nil
	case fd.IsMap():
		return fd.MapValue().Message()
	default:
		return fd.Message()
	}
}
