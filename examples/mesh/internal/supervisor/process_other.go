//go:build !unix

package supervisor

import (
	"fmt"
	"runtime"
)

func (p *process) freeze() error { return errNotSupported() }

func (p *process) thaw() error { return errNotSupported() }

func errNotSupported() error {
	return fmt.Errorf("freezing is not supported on %s: it has no signal that stops a process", runtime.GOOS)
}
