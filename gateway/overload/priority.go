package overload

import (
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// A Priority says which calls go first. The zero value is Default.
type Priority int

// The classes.
const (
	// Default is served before what is sheddable.
	Default Priority = iota
	// Critical is served as long as anything is.
	Critical
	// Sheddable is the first to be refused.
	Sheddable
	classes int = iota
)

// String returns the name of a class.
func (p Priority) String() string {
	switch p {
	case Critical:
		return "critical"
	case Default:
		return "default"
	case Sheddable:
		return "sheddable"
	default:
		return fmt.Sprintf("Priority(%d)", int(p))
	}
}

// known returns p, or Default for what is no class.
func (p Priority) known() Priority {
	if p < 0 || int(p) >= classes {
		return Default
	}
	return p
}

// Declared returns the priority that a method declares in its option
// evenkeel.gateway.v1.limits, Default if it declares none.
func Declared(method protoreflect.MethodDescriptor) (Priority, error) {
	options := method.Options()
	if options == nil || !proto.HasExtension(options, gatewayv1.E_Limits) {
		return Default, nil
	}
	limits, _ := proto.GetExtension(options, gatewayv1.E_Limits).(*gatewayv1.Limits)
	switch p := limits.GetPriority(); p {
	case gatewayv1.Priority_PRIORITY_UNSPECIFIED, gatewayv1.Priority_PRIORITY_DEFAULT:
		return Default, nil
	case gatewayv1.Priority_PRIORITY_CRITICAL:
		return Critical, nil
	case gatewayv1.Priority_PRIORITY_SHEDDABLE:
		return Sheddable, nil
	default:
		return Default, fmt.Errorf("option (evenkeel.gateway.v1.limits): priority: %v is not known here", p)
	}
}
