package process

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/internal/compare/backend"
)

func TestWhenTheParentIsKilledItsFrozenChildEndsToo(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PROCESS_TEST=parent")
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ready backend.Ready
	if err := json.NewDecoder(stdout).Decode(&ready); err != nil {
		t.Fatal(err)
	}
	cmd.Process.Kill()
	cmd.Wait()
	// A frozen process's listener takes connections; one that is gone refuses them.
	for {
		conn, err := net.Dial("tcp", ready.Address)
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(2 * time.Millisecond) // polls another process
	}
}
