//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows)

package host

import "time"

// processCPU is not known on this system.
func processCPU() time.Duration { return 0 }
