package host

import (
	"io/fs"
	"math"
	"runtime"
	"testing"
	"testing/fstest"
	"time"
)

const (
	mebibyte = 1 << 20
	gibibyte = 1 << 30

	meminfo8G = "MemTotal:        8388608 kB\nMemFree:         1000000 kB\n"

	// A container with cgroup v2 and a cgroup namespace, as Docker and
	// Kubernetes make them today: it sees its own cgroup as the root.
	mountsV2 = "1001 990 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"

	// A container with cgroup v1 and no namespace: /proc/self/cgroup shows the
	// host's path, of which only the container's own part is mounted.
	mountsV1 = "1 2 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n" +
		"3 2 0:31 /docker/abc /sys/fs/cgroup/memory ro,nosuid shared:7 master:8 - cgroup cgroup rw,memory\n" +
		"4 2 0:32 /docker/abc /sys/fs/cgroup/systemd ro,nosuid - cgroup cgroup rw,name=systemd\n"
	cgroupsV1 = "12:cpu,cpuacct:/docker/abc\n7:memory:/docker/abc\n1:name=systemd:/docker/abc\n"
)

// files makes a file system of paths and contents.
func files(contents map[string]string) fs.FS {
	fsys := fstest.MapFS{}
	for name, content := range contents {
		fsys[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return fsys
}

func TestLimitsOfEveryKindOfContainer(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		want  limits
	}{
		{
			name: "v2, a fraction of a core",
			files: map[string]string{
				"proc/self/cgroup":         "0::/\n",
				"proc/self/mountinfo":      mountsV2,
				"proc/meminfo":             meminfo8G,
				"sys/fs/cgroup/cpu.max":    "25000 100000\n",
				"sys/fs/cgroup/memory.max": "268435456\n",
			},
			want: limits{cores: 0.25, memory: 256 * mebibyte},
		},
		{
			name: "v2, no limits",
			files: map[string]string{
				"proc/self/cgroup":         "0::/\n",
				"proc/self/mountinfo":      mountsV2,
				"proc/meminfo":             meminfo8G,
				"sys/fs/cgroup/cpu.max":    "max 100000\n",
				"sys/fs/cgroup/memory.max": "max\n",
			},
			want: limits{memory: 8 * gibibyte},
		},
		{
			name: "v2, the limit above is tighter",
			files: map[string]string{
				"proc/self/cgroup":                            "0::/kubepods/pod1/main\n",
				"proc/self/mountinfo":                         mountsV2,
				"proc/meminfo":                                meminfo8G,
				"sys/fs/cgroup/kubepods/pod1/main/cpu.max":    "200000 100000\n",
				"sys/fs/cgroup/kubepods/pod1/main/memory.max": "max\n",
				"sys/fs/cgroup/kubepods/pod1/cpu.max":         "150000 100000\n",
				"sys/fs/cgroup/kubepods/pod1/memory.max":      "1073741824\n",
				"sys/fs/cgroup/kubepods/cpu.max":              "max 100000\n",
				"sys/fs/cgroup/kubepods/memory.max":           "2147483648\n",
			},
			want: limits{cores: 1.5, memory: gibibyte},
		},
		{
			name: "v2, the limit below is tighter",
			files: map[string]string{
				"proc/self/cgroup":          "0::/a/b\n",
				"proc/self/mountinfo":       mountsV2,
				"sys/fs/cgroup/a/b/cpu.max": "50000 100000\n",
				"sys/fs/cgroup/a/cpu.max":   "400000 100000\n",
			},
			want: limits{cores: 0.5},
		},
		{
			name: "v2, a path outside of the namespace",
			files: map[string]string{
				"proc/self/cgroup":      "0::/../other\n",
				"proc/self/mountinfo":   mountsV2,
				"sys/fs/cgroup/cpu.max": "70000 100000\n",
			},
			want: limits{cores: 0.7},
		},
		{
			name: "v1, the host's paths",
			files: map[string]string{
				"proc/self/cgroup":    cgroupsV1,
				"proc/self/mountinfo": mountsV1,
				"proc/meminfo":        meminfo8G,
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "150000\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes":  "536870912\n",
			},
			want: limits{cores: 1.5, memory: 512 * mebibyte},
		},
		{
			name: "v1, no limits",
			files: map[string]string{
				"proc/self/cgroup":    cgroupsV1,
				"proc/self/mountinfo": mountsV1,
				"proc/meminfo":        meminfo8G,
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "-1\n",
				"sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/memory/memory.limit_in_bytes":  "9223372036854771712\n",
			},
			want: limits{memory: 8 * gibibyte},
		},
		{
			name: "v1 for cpu and v2 for memory on one machine",
			files: map[string]string{
				"proc/self/cgroup": "3:cpu:/job\n0::/job\n",
				"proc/self/mountinfo": "1 2 0:3 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n" +
					"4 2 0:5 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
				"proc/meminfo":                            meminfo8G,
				"sys/fs/cgroup/cpu/job/cpu.cfs_quota_us":  "30000\n",
				"sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
				"sys/fs/cgroup/unified/job/memory.max":    "134217728\n",
			},
			want: limits{cores: 0.3, memory: 128 * mebibyte},
		},
		{
			name: "a mount point with a space",
			files: map[string]string{
				"proc/self/cgroup":      "0::/\n",
				"proc/self/mountinfo":   `1 2 0:3 / /mnt/my\040cgroup rw - cgroup2 none rw` + "\n",
				"mnt/my cgroup/cpu.max": "10000 100000\n",
			},
			want: limits{cores: 0.1},
		},
		{
			name:  "nothing to read",
			files: nil,
			want:  limits{},
		},
		{
			name: "rubbish",
			files: map[string]string{
				"proc/self/cgroup":         "::::\n0\n\n0::/\n",
				"proc/self/mountinfo":      "x\n - \n1 2 3 4 5 6 - \n" + mountsV2,
				"proc/meminfo":             "MemTotal: many kB\n",
				"sys/fs/cgroup/cpu.max":    "half 100000\n",
				"sys/fs/cgroup/memory.max": "-5\n",
			},
			want: limits{},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := readLimits(files(test.files)); got != test.want {
				t.Errorf("limits %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestResidentMemoryIsInBytes(t *testing.T) {
	root := files(map[string]string{"proc/self/statm": "765 427 399 5 0 123 0\n"})
	if got, want := readResident(root, 4096), uint64(427*4096); got != want {
		t.Errorf("resident %d, want %d", got, want)
	}
	if got := readResident(files(nil), 4096); got != 0 {
		t.Errorf("resident %d without /proc, want 0", got)
	}
	if got := readResident(files(map[string]string{"proc/self/statm": "1 18446744073709551615\n"}), 4096); got != 0 {
		t.Errorf("resident %d of an impossible number of pages, want 0", got)
	}
}

func TestAFractionOfACoreIsTheLimit(t *testing.T) {
	r := &Reader{pageSize: 4096, root: files(map[string]string{
		"proc/self/cgroup":         "0::/\n",
		"proc/self/mountinfo":      mountsV2,
		"proc/self/statm":          "4096 1024 0 0 0 0 0\n",
		"sys/fs/cgroup/cpu.max":    "20000 100000\n",
		"sys/fs/cgroup/memory.max": "8388608\n",
	})}
	usage := r.Read(time.Unix(0, 0))
	if usage.Cores != 0.2 || usage.MemoryLimit != 8*mebibyte || usage.Resident != 4*mebibyte {
		t.Errorf("usage %+v, want 0.2 cores and 4 of 8 MiB", usage)
	}
}

func TestAQuotaAboveTheCPUsIsNotTheLimit(t *testing.T) {
	r := &Reader{pageSize: 4096, root: files(map[string]string{
		"proc/self/cgroup":      "0::/\n",
		"proc/self/mountinfo":   mountsV2,
		"sys/fs/cgroup/cpu.max": "100000000 100000\n",
	})}
	want := float64(min(runtime.NumCPU(), runtime.GOMAXPROCS(0)))
	if got := r.Read(time.Unix(0, 0)).Cores; got != want {
		t.Errorf("%v cores, want %v", got, want)
	}
}

func TestAResizedContainerIsNoticed(t *testing.T) {
	fsys := fstest.MapFS{
		"proc/self/cgroup":      {Data: []byte("0::/\n")},
		"proc/self/mountinfo":   {Data: []byte(mountsV2)},
		"sys/fs/cgroup/cpu.max": {Data: []byte("20000 100000\n")},
	}
	r := &Reader{pageSize: 4096, root: fsys}
	start := time.Unix(0, 0)
	r.Read(start)
	fsys["sys/fs/cgroup/cpu.max"] = &fstest.MapFile{Data: []byte("10000 100000\n")}

	if got := r.Read(start.Add(limitsAge - 1)).Cores; got != 0.2 {
		t.Errorf("%v cores while the limits are fresh, want 0.2", got)
	}
	if got := r.Read(start.Add(limitsAge)).Cores; got != 0.1 {
		t.Errorf("%v cores after they were read again, want 0.1", got)
	}
}

func TestMemoryIsReadOnceASecond(t *testing.T) {
	fsys := fstest.MapFS{"proc/self/statm": {Data: []byte("9 1 0\n")}}
	r := &Reader{pageSize: 4096, root: fsys}
	start := time.Unix(0, 0)
	r.Read(start)
	fsys["proc/self/statm"] = &fstest.MapFile{Data: []byte("9 2 0\n")}
	if got := r.Read(start.Add(residentAge - 1)).Resident; got != 4096 {
		t.Errorf("resident %d within the second, want 4096", got)
	}
	if got := r.Read(start.Add(residentAge)).Resident; got != 2*4096 {
		t.Errorf("resident %d after it, want 8192", got)
	}
}

func TestWithoutProcOnlyMemoryIsUnknown(t *testing.T) {
	usage := (&Reader{}).Read(time.Unix(0, 0))
	if usage.Cores < 1 || usage.Resident != 0 || usage.MemoryLimit != 0 {
		t.Errorf("usage %+v, want cores and no memory", usage)
	}
}

func TestThisProcessIsMeasured(t *testing.T) {
	switch runtime.GOOS {
	case "linux", "darwin", "windows":
	default:
		t.Skip("CPU time is not known on " + runtime.GOOS)
	}
	r := NewReader()
	before := r.Read(time.Unix(0, 0)).CPU
	// Spin until the clock of CPU time moves; on Windows it has 64 steps a second.
	for sum := 0.0; r.Read(time.Unix(0, 0)).CPU <= before; {
		for i := range 100_000 {
			sum += math.Sqrt(float64(i))
		}
		runtime.KeepAlive(sum)
	}
	usage := r.Read(time.Unix(0, 0))
	if usage.Cores <= 0 {
		t.Errorf("%v cores, want more than none", usage.Cores)
	}
	if runtime.GOOS == "linux" && (usage.Resident == 0 || usage.MemoryLimit < usage.Resident) {
		t.Errorf("resident %d of %d bytes, want a part of the limit", usage.Resident, usage.MemoryLimit)
	}
}

// FuzzLimits checks that no content of the kernel's files leads to a limit that
// could not be divided by.
func FuzzLimits(f *testing.F) {
	f.Add("0::/a/b\n", mountsV2, "50000 100000\n", "268435456\n", meminfo8G)
	f.Add(cgroupsV1, mountsV1, "max 100000", "9223372036854771712", "MemTotal: 0 kB")
	f.Add("0::/..\n", "1 2 3:4 /.. / rw - cgroup2 x rw", "0 0", "max", "")
	f.Add("0::/a\n", "1 2 3:4 /   rw - cgroup2 x rw", "1 1", "1", "")
	f.Add("1:cpu:a//b/../c\n", "1 2 3:4 // //x/ rw - cgroup x cpu", "9223372036854775807 1", "0", "MemTotal:\n")
	f.Fuzz(func(t *testing.T, cgroup, mounts, cpu, memory, meminfo string) {
		root := anyFile{
			"proc/self/cgroup":      cgroup,
			"proc/self/mountinfo":   mounts,
			"proc/meminfo":          meminfo,
			"cpu.max":               cpu,
			"cpu.cfs_quota_us":      cpu,
			"cpu.cfs_period_us":     memory,
			"memory.max":            memory,
			"memory.limit_in_bytes": memory,
		}
		got := readLimits(root)
		if got.cores < 0 || math.IsNaN(got.cores) || math.IsInf(got.cores, 0) {
			t.Errorf("%v cores", got.cores)
		}
		if got.memory > math.MaxInt64 {
			t.Errorf("%d bytes", got.memory)
		}
	})
}

// FuzzResident checks that the size in bytes never wraps.
func FuzzResident(f *testing.F) {
	f.Add("765 427 399 5 0 123 0\n")
	f.Add("1 18446744073709551615")
	f.Add("")
	f.Fuzz(func(t *testing.T, statm string) {
		got := readResident(files(map[string]string{"proc/self/statm": statm}), 4096)
		if pages, ok := parseResident(statm); ok && got != 0 && got/4096 != pages {
			t.Errorf("%d bytes for %d pages", got, pages)
		}
	})
}

// anyFile serves a file by its whole path or, wherever it is asked for, by its
// last part, so that every path a fuzzed mount leads to has limits in it.
type anyFile map[string]string

func (a anyFile) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, fs.ErrInvalid
	}
	content, ok := a[name]
	if !ok {
		for i := len(name) - 1; i >= 0; i-- {
			if name[i] == '/' {
				content, ok = a[name[i+1:]]
				break
			}
		}
	}
	if !ok {
		return nil, fs.ErrNotExist
	}
	return files(map[string]string{"f": content}).Open("f")
}

func BenchmarkRead(b *testing.B) {
	b.ReportAllocs()
	r := NewReader()
	now := time.Now()
	for b.Loop() {
		r.Read(now)
	}
}
