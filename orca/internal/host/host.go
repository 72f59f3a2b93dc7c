// Package host reads what this process uses of its machine, or of the container
// it runs in, and how much it may use.
//
// CPU time comes from the operating system (getrusage, GetProcessTimes). On
// Linux the limits come from cgroup v2 (cpu.max, memory.max) and v1
// (cpu.cfs_quota_us, memory.limit_in_bytes), of the process's own cgroup and all
// above it that can be seen, and memory from /proc. Elsewhere memory is not
// known and the CPU limit is GOMAXPROCS.
//
// Sources: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2, and
// proc(5).
package host

import (
	"io/fs"
	"os"
	"runtime"
	"time"
)

// How long what was read of files is taken to hold: reading them costs ten times
// what the rest does. Limits change only when somebody resizes the container.
const (
	limitsAge   = 10 * time.Second
	residentAge = time.Second
)

// Usage is what the process has used, and what it may use at most. A field is 0
// if it is not known here.
type Usage struct {
	// CPU is the time that all threads of the process have computed since its
	// start, user and system together.
	CPU time.Duration
	// Cores is how many seconds of CPU the process can get each second: the
	// least of GOMAXPROCS, the CPUs it may run on and the cgroups' quotas. It
	// may be a fraction.
	Cores float64
	// Resident is the memory the process holds, in bytes.
	Resident uint64
	// MemoryLimit is the least of the cgroups' limits and the machine's memory,
	// in bytes.
	MemoryLimit uint64
}

// Reader reads Usage. It is for one goroutine at a time.
type Reader struct {
	root     fs.FS // the file system's root; nil where there is no /proc
	pageSize uint64

	limits     limits
	limitsAt   time.Time
	resident   uint64
	residentAt time.Time
}

// NewReader returns a Reader for this process.
func NewReader() *Reader {
	if runtime.GOOS != "linux" {
		return &Reader{}
	}
	return &Reader{root: os.DirFS("/"), pageSize: uint64(os.Getpagesize())}
}

// Read returns the present usage. What cannot be read is left at 0.
func (r *Reader) Read(now time.Time) Usage {
	usage := Usage{
		CPU:   processCPU(),
		Cores: float64(min(runtime.NumCPU(), runtime.GOMAXPROCS(0))),
	}
	if r.root == nil {
		return usage
	}
	if isOld(r.limitsAt, now, limitsAge) {
		r.limits, r.limitsAt = readLimits(r.root), now
	}
	if isOld(r.residentAt, now, residentAge) {
		r.resident, r.residentAt = readResident(r.root, r.pageSize), now
	}
	if quota := r.limits.cores; quota > 0 {
		usage.Cores = min(usage.Cores, quota)
	}
	usage.MemoryLimit = r.limits.memory
	usage.Resident = r.resident
	return usage
}

// isOld tells whether what was read at a time, or never, is to be read again.
func isOld(at, now time.Time, age time.Duration) bool {
	return at.IsZero() || now.Sub(at) >= age
}
