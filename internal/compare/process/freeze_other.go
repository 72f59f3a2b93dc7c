//go:build !unix

package process

import "errors"

// CanFreeze says that this system has no signal that stops a process.
const CanFreeze = false

// Freeze is not possible here.
func (p *Process) Freeze() error { return errors.ErrUnsupported }

// Thaw is not possible here.
func (p *Process) Thaw() error { return errors.ErrUnsupported }
