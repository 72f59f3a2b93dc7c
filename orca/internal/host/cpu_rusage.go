//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package host

import (
	"syscall"
	"time"
)

// processCPU returns the CPU time of this process. Unlike /proc/self/stat, which
// counts in hundredths of a second, getrusage counts in microseconds: a tenth of
// a second is enough to measure over.
func processCPU() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
