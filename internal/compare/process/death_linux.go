package process

import "syscall"

// dieWithParent has the kernel kill a child when its parent is gone. A frozen
// child could not see its input end.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
