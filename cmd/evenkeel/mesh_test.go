//go:build unix

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// maxResident is what a replica may hold, in kB.
const maxResident = 80 << 10

func TestAMeshFromStartToStop(t *testing.T) {
	m := startMesh(t, "--replicas", "movie=3,production=2,talent=1", "--work", "2ms", "--load", "20/s", "--restart", "300ms")

	t.Run("the state file is private and tells of every process", m.checkState)
	t.Run("the curl lines that it prints work", m.checkCurlLines)
	t.Run("the API wants credentials", m.checkCredentials)
	t.Run("the API serves the films and links them", m.checkAPI)
	t.Run("a service serves REST itself", m.checkOwnDoor)
	t.Run("a replica takes nobody's word for who calls", m.checkDirectCalls)
	t.Run("a watch sees what is written through any replica", m.checkWatch)
	t.Run("a replica killed under load costs what was in flight there", m.checkKill)
	t.Run("a replica frozen under load costs what was in flight there", m.checkFreeze)
	t.Run("a replica drained under load costs nothing", m.checkDrain)
	t.Run("commands that make no sense are refused", m.checkRefusals)
	t.Run("replicas are small", m.checkMemory)
	t.Run("it ends when it is told to and leaves nothing", m.checkStop)
}

func (m *runningMesh) checkState(t *testing.T) {
	m.t = t
	info, err := os.Stat(m.stateFile())
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", info.Mode(), err)
	}
	s := m.first
	if want := []string{"movie/1", "movie/2", "movie/3", "production/1", "production/2", "talent/1"}; !slices.Equal(s.ids(), want) {
		t.Errorf("replicas %v, want %v", s.ids(), want)
	}
	if s.PID != m.cmd.Process.Pid {
		t.Errorf("pid %d, want %d", s.PID, m.cmd.Process.Pid)
	}
	seen := map[any]bool{s.PID: true}
	for _, r := range s.Replicas {
		if seen[r.PID] || seen[r.Address] || !alive(r.PID) || !strings.HasPrefix(r.ID, r.Service+"/") {
			t.Errorf("%+v", r)
		}
		seen[r.PID], seen[r.Address] = true, true
	}
	conn, err := net.Dial("tcp", s.XDS)
	if err != nil {
		t.Error(err)
	} else {
		conn.Close()
	}
}

func (m *runningMesh) checkCurlLines(t *testing.T) {
	m.t = t
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl here")
	}
	if !strings.Contains(m.output.String(), m.first.Token) {
		t.Error("the token is not printed")
	}
	lines := 0
	for line := range strings.Lines(m.output.String()) {
		if !strings.HasPrefix(line, "curl ") {
			continue
		}
		lines++
		out, err := exec.Command("sh", "-c", line).Output()
		var v map[string]any
		if jsonErr := json.Unmarshal(out, &v); err != nil || jsonErr != nil || v["movies"] == nil && v["title"] == nil {
			t.Errorf("%s: %s %v %v", line, out, err, jsonErr)
		}
	}
	if lines != 3 {
		t.Errorf("%d curl lines, want 3", lines)
	}
}

func (m *runningMesh) checkCredentials(t *testing.T) {
	m.t = t
	m.get(http.StatusUnauthorized, "/v1/movies", "X-Nothing", "")
	m.get(http.StatusUnauthorized, "/v1/movies", "Authorization", "Bearer "+m.first.Token+"x")
	m.get(http.StatusUnauthorized, "/v1/movies", "X-API-Key", "ek_guess")
	m.get(http.StatusOK, "/v1/movies", "Authorization", "Bearer "+m.first.Token)
	m.get(http.StatusOK, "/v1/movies", "X-API-Key", m.first.APIKey)
}

func (m *runningMesh) checkAPI(t *testing.T) {
	m.t = t
	if total := m.get(http.StatusOK, "/v1/movies?page_size=1")["totalSize"]; total != 3201.0 {
		t.Errorf("%v movies, want 3201", total)
	}
	page := m.get(http.StatusOK, "/v1/movies?page_size=2&filter=year%20%3E%3D%202000%20AND%20director:*&order_by=title")
	if list, _ := page["movies"].([]any); len(list) != 2 || page["nextPageToken"] == "" {
		t.Errorf("got %v", page)
	}
	// Two services more are asked for this, each over the mesh.
	movie := m.get(http.StatusOK, "/v1/movies/1235?view=VIEW_FULL")
	distributor, _ := movie["distributorDetail"].(map[string]any)
	director, _ := movie["directorDetail"].(map[string]any)
	if distributor["name"] != movie["distributor"] || director["name"] != movie["director"] || director["displayName"] == nil {
		t.Errorf("got %v", movie)
	}
	for _, path := range []string{"/v1/" + fmt.Sprint(movie["distributor"]), "/v1/" + fmt.Sprint(movie["director"])} {
		linked := m.get(http.StatusOK, path+"?view=VIEW_FULL")
		if films, _ := linked["filmography"].(map[string]any); films["movieCount"] == nil {
			t.Errorf("%s: %v", path, linked)
		}
		m.get(http.StatusOK, path+"/movies")
	}
	m.get(http.StatusNotFound, "/v1/movies/999999")
	m.get(http.StatusBadRequest, "/v1/movies?page_size=-1")
}

func (m *runningMesh) checkOwnDoor(t *testing.T) {
	m.t = t
	var door string
	for _, r := range m.first.Replicas {
		if (r.REST != "") != (r.Service == "talent") {
			t.Errorf("%+v", r)
		}
		if r.REST != "" {
			door = r.REST
		}
	}
	if !strings.Contains(m.output.String(), door) {
		t.Errorf("%s is not printed", door)
	}
	for token, want := range map[string]int{m.first.Token: http.StatusOK, "": http.StatusUnauthorized} {
		got, text, err := m.request(t.Context(), http.MethodGet, door+"/v1/people/1?view=VIEW_FULL", "", "Authorization", "Bearer "+token)
		if err != nil || got != want {
			t.Errorf("with token %q: %d %s %v, want %d", token, got, text, err, want)
		}
	}
}

func (m *runningMesh) checkWatch(t *testing.T) {
	m.t = t
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.first.REST+"/v1/movies:watch", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+m.first.Token)
	// The head of the answer says that the watch is on.
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	// A dozen writes, which the balancer spreads over the replicas.
	const writes = 12
	for i := range writes {
		title := fmt.Sprintf("Watched %d", i)
		status, text, err := m.request(ctx, http.MethodPatch, m.first.REST+"/v1/movies/7", fmt.Sprintf(`{"title": %q}`, title))
		if err != nil || status != http.StatusOK {
			t.Fatal(status, text, err)
		}
	}
	lines := bufio.NewScanner(answer.Body)
	for seen := 0; seen < writes; {
		if !lines.Scan() {
			t.Fatalf("the stream ended after %d changes: %v", seen, lines.Err())
		}
		// The mesh's own load rates movies meanwhile.
		if strings.Contains(lines.Text(), fmt.Sprintf(`"Watched %d"`, seen)) {
			seen++
		}
	}
}

func (m *runningMesh) checkKill(t *testing.T) {
	m.t = t
	before := m.pid("movie/1")
	const callers = 4
	traffic := m.traffic(callers, http.MethodGet, "/v1/movies/1", "")
	traffic.more(t, 50)
	// As a stranger would, from outside.
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	traffic.more(t, 200)
	eventually(t, "movie/1 is back", func() bool { pid := m.pid("movie/1"); return pid != 0 && pid != before })
	traffic.more(t, 50)
	traffic.end(t, callers) // each had one call in flight at most
}

func (m *runningMesh) checkFreeze(t *testing.T) {
	m.t = t
	const callers = 4
	traffic := m.traffic(callers, http.MethodGet, "/v1/movies/1", "")
	traffic.more(t, 100)
	m.mustCommand("freeze", "movie/3")
	if !slices.Contains(m.state().ids(), "movie/3") {
		t.Error("a frozen replica is not listed")
	}
	traffic.more(t, 400)
	// Each caller may have had a call in flight there, and a few more are sent to
	// see whether it is still silent.
	traffic.end(t, 2*callers)

	m.mustCommand("thaw", "movie/3")
	traffic = m.traffic(callers, http.MethodGet, "/v1/movies/1", "")
	traffic.more(t, 100)
	traffic.end(t, 0)
}

func (m *runningMesh) checkDrain(t *testing.T) {
	m.t = t
	pid := m.pid("movie/2")
	traffic := m.traffic(4, http.MethodGet, "/v1/movies/1", "")
	traffic.more(t, 50)
	m.mustCommand("drain", "movie/2")
	if alive(pid) || m.pid("movie/2") != 0 {
		t.Error("a drained replica is still there")
	}
	traffic.more(t, 50)
	traffic.end(t, 0)
	if out, code := m.command("thaw", "movie/2"); code != 1 || !strings.Contains(out, "it is drained") {
		t.Errorf("thaw: exit %d, %s", code, out)
	}
}

func (m *runningMesh) checkRefusals(t *testing.T) {
	m.t = t
	for _, tt := range []struct {
		line string
		code int
		want string
	}{
		{"kill movie/9", 2, "movie/1, movie/2, movie/3"},
		{"thaw movie/1", 1, "it is ready"},
		{"slow movie/1 0", 2, "0.01 to 100"},
		{"slow movie/1", 0, "0.3"},
		{"slow movie/1 1", 0, "speed 1"},
		{"kill movie/1 --mesh 1", 2, strconv.Itoa(m.first.PID)},
		{"thaw movie/1 --mesh " + strconv.Itoa(m.first.PID), 1, "it is ready"},
		{"thaw movie/1 --state " + m.stateFile(), 1, "it is ready"},
	} {
		if out, code := m.command(strings.Fields(tt.line)...); code != tt.code || !strings.Contains(out, tt.want) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: exit %d, %q; want %d and one line with %q", tt.line, code, out, tt.code, tt.want)
		}
	}
}

func (m *runningMesh) checkMemory(t *testing.T) {
	m.t = t
	if runtime.GOOS != "linux" || raceEnabled {
		t.Skip("measured on Linux, without the race detector")
	}
	for _, r := range m.state().Replicas {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.PID))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kB, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil || kB == 0 || kB > maxResident {
			t.Errorf("%s holds %d kB (%v), want at most %d", r.ID, kB, err, maxResident)
		}
	}
}

func (m *runningMesh) checkStop(t *testing.T) {
	m.t = t
	replicas := m.state().Replicas
	m.cmd.Process.Signal(syscall.SIGTERM)
	<-m.ended
	if code := m.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	for _, r := range replicas {
		if alive(r.PID) {
			t.Errorf("%s is still there", r.ID)
		}
	}
	left, err := filepath.Glob(filepath.Join(m.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	// The cache is the user's, and stays; what it lists is gone.
	left = slices.DeleteFunc(left, func(path string) bool { return filepath.Base(path) == "evenkeel" })
	entries, _ := filepath.Glob(filepath.Join(m.dir, "evenkeel", "mesh", "*"))
	if len(left)+len(entries) > 0 {
		t.Errorf("it left %v %v", left, entries)
	}
}

func TestWhenTheParentIsKilledTheChildrenEndTheFrozenToo(t *testing.T) {
	m := startMesh(t, "--replicas", "movie=2,production=1,talent=1", "--load", "0")
	if runtime.GOOS == "linux" { // elsewhere it ends when it is thawed
		m.mustCommand("freeze", "movie/1")
	}
	replicas := m.state().Replicas
	m.cmd.Process.Kill()
	<-m.ended
	for _, r := range replicas {
		eventually(t, r.ID+" ends", func() bool { return !alive(r.PID) })
	}
	if out, code := m.command("kill", "movie/1"); code != 1 || !strings.Contains(out, "no mesh is running") {
		t.Errorf("exit %d, %s", code, out)
	}
}

func TestDataIsKeptWhereItIsToldTo(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	args := []string{"--replicas", "movie=1,production=1,talent=1", "--load", "0", "--data", data}
	m := startMesh(t, args...)
	status, text, err := m.request(t.Context(), http.MethodPatch, m.first.REST+"/v1/movies/7", `{"title": "Kept"}`)
	if err != nil || status != http.StatusOK {
		t.Fatal(status, text, err)
	}
	// No acknowledged write is lost, however the mesh ends.
	m.cmd.Process.Kill()
	<-m.ended
	for _, r := range m.first.Replicas {
		eventually(t, r.ID+" ends", func() bool { return !alive(r.PID) })
	}
	m = startMesh(t, args...)
	if movie := m.get(http.StatusOK, "/v1/movies/7"); movie["title"] != "Kept" {
		t.Errorf("got %v", movie)
	}
	// An interrupt from a terminal reaches all processes of the group.
	for _, r := range m.first.Replicas {
		syscall.Kill(r.PID, syscall.SIGINT)
	}
	m.cmd.Process.Signal(syscall.SIGINT)
	<-m.ended
	if code := m.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

func TestTheMeshEndsInOrderWhenNobodyReadsItsOutput(t *testing.T) {
	m := &runningMesh{t: t, dir: t.TempDir()}
	cmd := exec.Command(os.Args[0], "mesh", "--listen", "127.0.0.1:0", "--state", m.stateFile(), "--replicas", "movie=1,production=1,talent=1")
	cmd.Env = m.env()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // for when the test stops half-way
	if _, err := bufio.NewReader(stdout).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stdout.Close()
	if err := cmd.Wait(); err != nil || exists(m.stateFile()) {
		t.Errorf("it ended with %v; the state file is there: %v", err, exists(m.stateFile()))
	}
}
