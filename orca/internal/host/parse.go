package host

import (
	"math"
	"path"
	"strconv"
	"strings"
)

// mount is one line of /proc/self/mountinfo.
type mount struct {
	root    string // the part of the hierarchy that is mounted
	point   string // where it is mounted
	fstype  string
	options string // of the superblock; for cgroup v1 the controllers
}

// parseMounts reads /proc/self/mountinfo, of which a line is
//
//	36 35 98:0 /root /point rw,noatime shared:1 - cgroup cgroup rw,cpu,cpuacct
//
// with any number of fields where "shared:1" stands. Broken lines are skipped.
func parseMounts(content string) []mount {
	var mounts []mount
	for line := range strings.Lines(content) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 6 || len(right) < 3 || !path.IsAbs(left[4]) {
			continue
		}
		mounts = append(mounts, mount{
			root:    unescape(left[3]),
			point:   path.Clean(unescape(left[4])),
			fstype:  right[0],
			options: right[2],
		})
	}
	return mounts
}

// unescape undoes what mountinfo does to spaces, tabs, newlines and backslashes.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// has tells whether a cgroup v1 mount has the controller.
func (m mount) has(controller string) bool {
	for option := range strings.SplitSeq(m.options, ",") {
		if option == controller {
			return true
		}
	}
	return false
}

// levels returns the directories of a cgroup and all above it within the mount,
// the innermost first.
func (m mount) levels(cgroup string) []string {
	dir := path.Join(m.point, m.below(cgroup))
	levels := []string{dir}
	for len(dir) > len(m.point) {
		dir = path.Dir(dir)
		levels = append(levels, dir)
	}
	return levels
}

// below returns cgroup's path relative to the mount's root. A container that
// sees the host's paths in /proc/self/cgroup has only its own part mounted, and
// one with a cgroup namespace may see a path with "..": both have their own
// cgroup at the mount's root.
func (m mount) below(cgroup string) string {
	if strings.Contains(cgroup, "..") {
		return ""
	}
	if m.root == "/" {
		return cgroup
	}
	rest, ok := strings.CutPrefix(cgroup, m.root)
	if !ok || (rest != "" && rest[0] != '/') {
		return ""
	}
	return rest
}

// parseCgroups reads /proc/self/cgroup, lines of "4:cpu,cpuacct:/path", into the
// path of each v1 controller; that of v2, "0::/path", is under "".
func parseCgroups(content string) map[string]string {
	paths := make(map[string]string)
	for line := range strings.Lines(content) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for controller := range strings.SplitSeq(fields[1], ",") {
			paths[controller] = fields[2]
		}
	}
	return paths
}

// parseCPUMax reads cgroup v2's cpu.max, "50000 100000" or "max 100000", in
// microseconds each period. The second value is false if that is no limit.
func parseCPUMax(content string) (cores float64, ok bool) {
	quota, period, ok := strings.Cut(strings.TrimSpace(content), " ")
	if !ok {
		return 0, false
	}
	return parseCFS(quota, period)
}

// parseCFS reads a quota and a period in microseconds; a quota that is not
// positive or not a number ("max") is no limit.
func parseCFS(quota, period string) (cores float64, ok bool) {
	q, err := strconv.ParseInt(strings.TrimSpace(quota), 10, 64)
	if err != nil || q <= 0 {
		return 0, false
	}
	p, err := strconv.ParseInt(strings.TrimSpace(period), 10, 64)
	if err != nil || p <= 0 {
		return 0, false
	}
	return float64(q) / float64(p), true
}

// parseBytes reads memory.max or memory.limit_in_bytes. "max", and v1's way to
// say it, the largest number of whole pages, are no limit.
func parseBytes(content string) (bytes uint64, ok bool) {
	n, err := strconv.ParseUint(strings.TrimSpace(content), 10, 64)
	if err != nil || n == 0 || n >= math.MaxInt64-(1<<20) {
		return 0, false
	}
	return n, true
}

// parseMemTotal reads the first line of /proc/meminfo, "MemTotal: 24683620 kB".
func parseMemTotal(content string) (bytes uint64, ok bool) {
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[0] != "MemTotal:" || fields[2] != "kB" {
			continue
		}
		kilobytes, err := strconv.ParseUint(fields[1], 10, 64)
		if err != nil || kilobytes == 0 || kilobytes > math.MaxInt64/1024 {
			return 0, false
		}
		return kilobytes * 1024, true
	}
	return 0, false
}

// parseResident reads the second number of /proc/self/statm, in pages.
func parseResident(content string) (pages uint64, ok bool) {
	fields := strings.Fields(content)
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages, err == nil
}
