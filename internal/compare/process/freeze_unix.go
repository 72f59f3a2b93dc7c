//go:build unix

package process

import "syscall"

// CanFreeze says that this system can stop a process and let it go on.
const CanFreeze = true

// Freeze stops the process. It keeps its connections.
func (p *Process) Freeze() error { return p.cmd.Process.Signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return p.cmd.Process.Signal(syscall.SIGCONT) }
