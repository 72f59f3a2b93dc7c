//go:build unix

package main

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The writer that freezes is a process of its own beside the replicas, since no
// replica can be frozen at a chosen moment of a write. To the others it is one of
// them: a process that holds the lock of the data that they share.
func TestWithAWriterFrozenWritesFailInTimeAndReadsGoOn(t *testing.T) {
	data := t.TempDir()
	m := startMesh(t, "--replicas", "movie=2,production=1,talent=1", "--load", "0", "--data", data)
	write := func() (int, string) {
		status, text, err := m.request(t.Context(), http.MethodPatch, m.first.REST+"/v1/movies/7", `{"title": "Written"}`)
		if err != nil {
			t.Fatal(err)
		}
		return status, text
	}
	if status, text := write(); status != http.StatusOK {
		t.Fatal(status, text)
	}

	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), "EVENKEEL_TEST_WRITER="+filepath.Join(data, "movie.db"))
	writer.Stderr = t.Output()
	if _, err := writer.StdinPipe(); err != nil { // open until it is killed
		t.Fatal(err)
	}
	stdout, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	defer writer.Wait()
	defer writer.Process.Kill()
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatal(line, err)
	}
	if err := writer.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	reads := m.traffic(4, http.MethodGet, "/v1/movies/7", "")
	for range 2 {
		// The caller's deadline would be answered 504.
		if status, text := write(); status != http.StatusServiceUnavailable || !strings.Contains(text, "UNAVAILABLE") {
			t.Errorf("a write: %d %s, want 503 UNAVAILABLE", status, text)
		}
	}
	reads.more(t, 20)
	reads.end(t, 0)

	// The lock of a process that is gone is gone too.
	if err := writer.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	writer.Wait()
	if status, text := write(); status != http.StatusOK {
		t.Errorf("after that: %d %s", status, text)
	}
}
