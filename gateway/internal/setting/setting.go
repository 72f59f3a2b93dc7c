// Package setting completes and checks the fields of a config struct, for all
// parts of the front door alike:
//
//	setting.Default(&c.Window, time.Second)
//	return cmp.Or(setting.InRange("Window", c.Window, time.Millisecond, time.Minute), …)
package setting

import (
	"cmp"
	"fmt"
)

// Default sets a field that has its zero value.
func Default[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// InRange returns an error that names the field unless the value is from least to
// most.
func InRange[T cmp.Ordered](field string, value, least, most T) error {
	// Written so that a number that is none is out of range.
	if !(value >= least && value <= most) {
		return fmt.Errorf("%s: %v is out of range; %v to %v", field, value, least, most)
	}
	return nil
}
