//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long anything may take that takes no time on a machine that is
// not busy.
const patience = 60 * time.Second

// runningMesh is a mesh of real processes.
type runningMesh struct {
	t      *testing.T
	cmd    *exec.Cmd
	dir    string // its temporary directory, its cache, its state file
	output *lockedBuffer
	ended  chan struct{}
	first  meshState // as it was when the mesh was ready
}

// meshState is what a state file says, to those who read it.
type meshState struct {
	REST     string `json:"rest"`
	Token    string `json:"token"`
	APIKey   string `json:"api_key"`
	XDS      string `json:"xds"`
	PID      int    `json:"pid"`
	Replicas []struct {
		Service string `json:"service"`
		ID      string `json:"id"`
		Address string `json:"address"`
		PID     int    `json:"pid"`
		State   string `json:"state"`
		REST    string `json:"rest"`
	} `json:"replicas"`
}

func startMesh(t *testing.T, args ...string) *runningMesh {
	t.Helper()
	m := &runningMesh{t: t, dir: t.TempDir(), output: &lockedBuffer{}, ended: make(chan struct{})}
	args = append([]string{"mesh", "--listen", "127.0.0.1:0", "--state", m.stateFile()}, args...)
	m.cmd = exec.Command(os.Args[0], args...)
	m.cmd.Env = m.env()
	m.cmd.Stdout, m.cmd.Stderr = m.output, m.output
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		m.cmd.Wait()
		close(m.ended)
	}()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the mesh wrote:\n%s", m.output)
		}
		m.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-m.ended:
		case <-time.After(patience):
			m.cmd.Process.Kill()
		}
	})
	eventually(t, "the mesh is ready", func() bool {
		select {
		case <-m.ended:
			t.Fatalf("the mesh ended: %v", m.cmd.ProcessState)
		default:
		}
		_, err := os.Stat(m.stateFile())
		return err == nil
	})
	m.first = m.state()
	return m
}

func (m *runningMesh) stateFile() string { return filepath.Join(m.dir, "mesh.json") }

func (m *runningMesh) env() []string {
	return append(os.Environ(), "EVENKEEL_TEST_COMMAND=1", "GORACE=atexit_sleep_ms=0",
		"TMPDIR="+m.dir, "HOME="+m.dir, "XDG_CACHE_HOME="+m.dir)
}

func (m *runningMesh) state() (s meshState) {
	m.t.Helper()
	data, err := os.ReadFile(m.stateFile())
	if err == nil {
		err = json.Unmarshal(data, &s)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// pid returns the process of a replica, 0 if it has none.
func (m *runningMesh) pid(id string) int {
	m.t.Helper()
	for _, r := range m.state().Replicas {
		if r.ID == id {
			return r.PID
		}
	}
	return 0
}

// command runs `evenkeel mesh …` on this mesh.
func (m *runningMesh) command(args ...string) (output string, code int) {
	m.t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"mesh"}, args...)...)
	cmd.Env = m.env()
	out, err := cmd.CombinedOutput()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		m.t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func (m *runningMesh) mustCommand(args ...string) {
	m.t.Helper()
	if out, code := m.command(args...); code != 0 {
		m.t.Fatalf("%v: exit %d: %s", args, code, out)
	}
}

// request sends a request with the token, unless headers say otherwise.
func (m *runningMesh) request(ctx context.Context, method, url, body string, headers ...string) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	if len(headers) == 0 {
		headers = []string{"Authorization", "Bearer " + m.first.Token}
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Grpc-Timeout", "5S")
	answer, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text), err
}

// client talks to the meshes of all tests.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 50}}

// get expects an answer of the given status.
func (m *runningMesh) get(status int, path string, headers ...string) map[string]any {
	m.t.Helper()
	got, text, err := m.request(m.t.Context(), http.MethodGet, m.first.REST+path, "", headers...)
	if err != nil || got != status {
		m.t.Fatalf("GET %s: %d %s %v; want %d", path, got, text, err, status)
	}
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		m.t.Fatalf("GET %s: %s: %v", path, text, err)
	}
	return v
}

// traffic is a steady stream of one request by a few callers, each with one under
// way at most.
type traffic struct {
	sent, failed atomic.Int64
	mu           sync.Mutex
	failures     []string
	stop         context.CancelFunc
	callers      sync.WaitGroup
}

func (m *runningMesh) traffic(callers int, method, path, body string) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	tr := &traffic{stop: cancel}
	for range callers {
		tr.callers.Go(func() {
			for ctx.Err() == nil {
				// Its own context, so that no request is cut in the end.
				status, text, err := m.request(context.Background(), method, m.first.REST+path, body)
				tr.sent.Add(1)
				if err != nil || status != http.StatusOK {
					tr.failed.Add(1)
					tr.mu.Lock()
					tr.failures = append(tr.failures, fmt.Sprint(time.Now().Format(time.StampMilli), " ", status, " ", text, " ", err))
					tr.mu.Unlock()
				}
			}
		})
	}
	return tr
}

// more waits until n more requests have been answered.
func (tr *traffic) more(t *testing.T, n int64) {
	t.Helper()
	until := tr.sent.Load() + n
	eventually(t, fmt.Sprintf("%d requests are answered", n), func() bool { return tr.sent.Load() >= until })
}

// end ends the traffic and expects at most so many failures.
func (tr *traffic) end(t *testing.T, most int64) {
	t.Helper()
	tr.stop()
	tr.callers.Wait()
	if failed := tr.failed.Load(); failed > most {
		t.Errorf("%d of %d requests failed, want at most %d:\n%s", failed, tr.sent.Load(), most, strings.Join(tr.failures, "\n"))
	}
}

// eventually polls: what it waits for happens in other processes.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	// Where there is /proc: an orphan that nobody reaps counts as gone.
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return !os.IsNotExist(err) || !exists("/proc/self/stat")
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func (s meshState) ids() []string {
	var ids []string
	for _, r := range s.Replicas {
		ids = append(ids, r.ID)
	}
	slices.Sort(ids)
	return ids
}

// lockedBuffer is written by one goroutine and read by another.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
