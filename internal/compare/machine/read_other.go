//go:build !linux

package machine

import "errors"

// Read is not possible here.
func Read() (Reading, error) { return Reading{}, errors.ErrUnsupported }
