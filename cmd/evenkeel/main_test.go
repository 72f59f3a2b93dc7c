package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The test binary is also the command itself, so that the tests run real
// processes of what was just compiled.
func TestMain(m *testing.M) {
	if os.Getenv("EVENKEEL_TEST_COMMAND") != "" {
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	if path := os.Getenv("EVENKEEL_TEST_WRITER"); path != "" {
		os.Exit(holdLock(path))
	}
	os.Exit(m.Run())
}

func TestWrongCommandLinesAreOneClearLineAndExitWith2(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	thesis := filepath.Join(t.TempDir(), "thesis.txt")
	if err := os.WriteFile(thesis, []byte("chapter 1"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ line, want string }{
		{"mesh --listen " + taken.Addr().String(), "--listen " + taken.Addr().String()},
		{"mesh --listen nowhere", "--listen nowhere"},
		{"mesh --listen 127.0.0.1:0 --state " + thesis, thesis},
		{"mesh --listen 127.0.0.1:0 --state /no/such/dir/mesh.json", "/no/such/dir"},
		{"mesh --listen 127.0.0.1:0 --data " + thesis, "--data " + thesis},
		{"mesh --replicas film=3", "movie, production, talent"},
		{"mesh --replicas movie=none", "1 to 50"},
		{"mesh --speed movie/9=1", "movie/1 to movie/3"},
		{"mesh --workers movie/2=0", "1 to 1024"},
		{"mesh --load fast", "200/s"},
		{"mesh --restart=-5s", "--restart -5s"},
		{"mesh --restart soon", "soon"},
		{"mesh --work=-1s", "--work -1s"},
		{"mesh --no-such-flag", "--no-such-flag"},
		{"mesh explode movie/2", "kill, freeze, thaw, slow, drain"},
		{"mesh kill", "replica"},
		{"mesh kill movie", `"movie"`},
		{"mesh kill film/2", "movie, production, talent"},
		{"mesh slow movie/2 never", "0.01 to 100"},
		{"sim --scenario nosuch", `"nosuch"`},
		{"sim --seeds 0", "1 to 10000"},
		{"nonsense", "mesh, sim, version"},
	} {
		var stdout, stderr bytes.Buffer
		code := run(strings.Fields(tt.line), &stdout, &stderr)
		text := stderr.String()
		if code != 2 || !strings.Contains(text, tt.want) || strings.Count(text, "\n") != 1 || stdout.Len() > 0 {
			t.Errorf("%s: exit %d, stderr %q, stdout %q; want 2 and one line with %q", tt.line, code, text, stdout.String(), tt.want)
		}
	}
}

func TestWithoutAMeshCommandsSaySo(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	for _, line := range []string{"mesh kill movie/2", "mesh kill movie/2 --state " + filepath.Join(t.TempDir(), "none.json")} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(line), &stdout, &stderr); code != 1 || !strings.Contains(stderr.String(), "no mesh") {
			t.Errorf("%s: exit %d, %q", line, code, stderr.String())
		}
	}
}

func TestHelpShowsTheFlagsOfTheMeshAndTheCommands(t *testing.T) {
	for line, words := range map[string][]string{
		"":                 {"mesh", "sim", "version"},
		"--help":           {"mesh", "version"},
		"mesh --help":      {"--replicas", "--listen", "127.0.0.1:8080", "--load", "200/s", "--speed", "--workers", "--restart", "5s", "--state", "--data", "kill", "freeze", "thaw", "slow", "drain"},
		"mesh kill --help": {"movie/2", "--state"},
		"mesh slow --help": {"0.01 to 100"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(strings.Fields(line), &stdout, &stderr); code != 0 || stderr.Len() > 0 {
			t.Errorf("%q: exit %d, stderr %q", line, code, stderr.String())
		}
		for _, word := range words {
			if !strings.Contains(stdout.String(), word) {
				t.Errorf("%q does not tell of %q:\n%s", line, word, stdout.String())
			}
		}
		if strings.Contains(stdout.String(), "replica process") || strings.Contains(stdout.String(), "mesh-replica") {
			t.Errorf("%q shows what is hidden", line)
		}
	}
}

func TestVersionIsPrinted(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run([]string{"version"}, &stdout, &stderr); code != 0 || !strings.HasPrefix(stdout.String(), "evenkeel ") {
		t.Errorf("exit %d, %q", code, stdout.String())
	}
}
