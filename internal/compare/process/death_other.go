//go:build !linux

package process

import "syscall"

// dieWithParent adds nothing here: children end when their input does.
func dieWithParent() *syscall.SysProcAttr { return nil }
