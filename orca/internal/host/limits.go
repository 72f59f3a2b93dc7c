package host

import (
	"io/fs"
	"path"
	"strings"
)

// limits are what the kernel lets the process have; 0 means no limit was found.
type limits struct {
	cores  float64
	memory uint64
}

// readLimits returns the tightest limits of all cgroups the process is in. A
// limit on any of them holds for those below it, so the whole way up to the root
// of the mounted hierarchy counts: in Kubernetes the pod's cgroup may be
// tighter than the container's.
func readLimits(root fs.FS) limits {
	var found limits
	if total, ok := parseMemTotal(read(root, "proc/meminfo")); ok {
		found.memory = total
	}
	cgroups := parseCgroups(read(root, "proc/self/cgroup"))
	for _, m := range parseMounts(read(root, "proc/self/mountinfo")) {
		// A machine may have both versions mounted, with each controller in one
		// of them. A file that is not there sets no limit.
		switch m.fstype {
		case "cgroup2":
			for _, dir := range m.levels(cgroups[""]) {
				found.tightenCores(parseCPUMax(read(root, path.Join(dir, "cpu.max"))))
				found.tightenMemory(parseBytes(read(root, path.Join(dir, "memory.max"))))
			}
		case "cgroup":
			if m.has("cpu") {
				for _, dir := range m.levels(cgroups["cpu"]) {
					found.tightenCores(parseCFS(
						read(root, path.Join(dir, "cpu.cfs_quota_us")),
						read(root, path.Join(dir, "cpu.cfs_period_us"))))
				}
			}
			if m.has("memory") {
				for _, dir := range m.levels(cgroups["memory"]) {
					found.tightenMemory(parseBytes(read(root, path.Join(dir, "memory.limit_in_bytes"))))
				}
			}
		}
	}
	return found
}

func (l *limits) tightenCores(cores float64, ok bool) {
	if ok && (l.cores == 0 || cores < l.cores) {
		l.cores = cores
	}
}

func (l *limits) tightenMemory(bytes uint64, ok bool) {
	if ok && (l.memory == 0 || bytes < l.memory) {
		l.memory = bytes
	}
}

// readResident returns the process's resident memory in bytes, or 0.
func readResident(root fs.FS, pageSize uint64) uint64 {
	pages, ok := parseResident(read(root, "proc/self/statm"))
	if !ok || pages > (1<<63)/pageSize {
		return 0
	}
	return pages * pageSize
}

// read returns the content of a file, or nothing if it cannot be read: on some
// kernels and in some sandboxes it is not there.
func read(root fs.FS, name string) string {
	content, err := fs.ReadFile(root, strings.TrimPrefix(name, "/"))
	if err != nil {
		return ""
	}
	return string(content)
}
