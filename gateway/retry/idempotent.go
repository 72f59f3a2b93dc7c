package retry

import (
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Idempotent reports whether a method says of itself that making it twice is as
// good as once: by idempotency_level, or by a google.api.http binding to GET,
// which by HTTP is safe.
func Idempotent(method protoreflect.MethodDescriptor) bool {
	options, ok := method.Options().(*descriptorpb.MethodOptions)
	if !ok || options == nil {
		return false
	}
	if options.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN {
		return true
	}
	if !proto.HasExtension(options, annotations.E_Http) {
		return false
	}
	rule, _ := proto.GetExtension(options, annotations.E_Http).(*annotations.HttpRule)
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		if binding.GetGet() != "" {
			return true
		}
	}
	return false
}

// methods remembers which are idempotent. It grows with the methods that are
// declared or linked in, not with what is called.
type methods struct{ known sync.Map }

func newMethods(declared []string) *methods {
	m := &methods{}
	for _, method := range declared {
		m.known.Store(method, true)
	}
	return m
}

func (m *methods) idempotent(fullMethod string) bool {
	if known, ok := m.known.Load(fullMethod); ok {
		return known.(bool)
	}
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	method, ok := descriptor.(protoreflect.MethodDescriptor)
	if err != nil || !ok {
		return false
	}
	idempotent := Idempotent(method)
	m.known.Store(fullMethod, idempotent)
	return idempotent
}
