package choiceoftwo

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// methods remembers which methods are streams. gRPC does not tell a picker, so
// the linked descriptors are asked; a method without one counts as unary.
type methods struct {
	recent [recentMethods]atomic.Pointer[method]
	known  atomic.Pointer[map[string]bool]
	mu     sync.Mutex // serializes additions
}

// maxMethods bounds what is remembered: a proxy may be called with any name.
const maxMethods = 4096

type method struct {
	name   string
	stream bool
}

// recentMethods is how many methods are found without a look into a map. Names
// are constants of generated code, so that to compare them takes no time.
const recentMethods = 32

// stream tells whether a method, "/package.Service/Method", is a stream.
func (m *methods) stream(name string) bool {
	if name == "" {
		return false
	}
	slot := &m.recent[(len(name)+int(name[len(name)-1])+7*int(name[len(name)/2]))%recentMethods]
	if recent := slot.Load(); recent != nil && recent.name == name {
		return recent.stream
	}
	stream := m.look(name)
	if slot.Load() == nil {
		slot.Store(&method{name, stream})
	}
	return stream
}

func (m *methods) look(method string) bool {
	if known := m.known.Load(); known != nil {
		if stream, ok := (*known)[method]; ok {
			return stream
		}
	}
	return m.learn(method)
}

func (m *methods) learn(method string) bool {
	stream := isStream(method)
	m.mu.Lock()
	defer m.mu.Unlock()
	var known map[string]bool
	if old := m.known.Load(); old != nil {
		if len(*old) >= maxMethods {
			return stream
		}
		known = maps.Clone(*old)
	} else {
		known = make(map[string]bool)
	}
	known[method] = stream
	m.known.Store(&known)
	return stream
}

func isStream(method string) bool {
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return false
	}
	md, ok := d.(protoreflect.MethodDescriptor)
	return ok && (md.IsStreamingClient() || md.IsStreamingServer())
}
