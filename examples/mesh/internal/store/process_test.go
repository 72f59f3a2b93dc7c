//go:build unix

package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary starts itself again as another replica's process, in a role.
const roleVariable, pathVariable = "STORE_TEST_ROLE", "STORE_TEST_PATH"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := play(role, os.Getenv(pathVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func play(role, path string) error {
	db, err := Open(context.Background(), path)
	if err != nil {
		return err
	}
	switch role {
	case "hold": // the write lock, until told to go on
		return db.Write(context.Background(), func(tx *Tx) error {
			fmt.Println("held")
			_, err := io.ReadAll(os.Stdin)
			return err
		})
	case "write": // and acknowledge each write, until killed
		for i := 0; ; i++ {
			text := fmt.Sprintf("%d-%d", os.Getpid(), i)
			if err := add(context.Background(), db, text); err != nil {
				return err
			}
			fmt.Println(text)
		}
	}
	return errors.New("no such role: " + role)
}

type process struct {
	*exec.Cmd
	stdin  io.Closer
	stdout *bufio.Reader
}

func start(t *testing.T, role, path string) process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+role, pathVariable+"="+path)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return process{cmd, stdin, bufio.NewReader(stdout)}
}

func TestNoAcknowledgedWriteIsLostWhenAWriterIsKilled(t *testing.T) {
	path := create(t)
	witness := open(t, path)
	var acknowledged []string
	for round := range 3 {
		// Two writers at once; both are killed in the midst of it, each time a little later.
		writers := []process{start(t, "write", path), start(t, "write", path)}
		for i, w := range writers {
			for range 20 + 30*round + 5*i {
				line, err := w.stdout.ReadString('\n')
				if err != nil {
					t.Fatal(err)
				}
				acknowledged = append(acknowledged, strings.TrimSpace(line))
			}
		}
		for _, w := range writers {
			w.Process.Kill()
			rest, err := io.ReadAll(w.stdout) // what was acknowledged before the kill
			if err != nil {
				t.Fatal(err)
			}
			lines := strings.Split(string(rest), "\n")
			acknowledged = append(acknowledged, lines[:len(lines)-1]...)
			w.Wait()
		}
		there := make(map[string]bool)
		for _, text := range entries(t, witness) {
			there[text] = true
		}
		for _, text := range acknowledged {
			if !there[text] {
				t.Fatalf("round %d: %s was acknowledged and is lost", round, text)
			}
		}
	}
	if err := add(t.Context(), witness, "after"); err != nil {
		t.Errorf("a write after the kills: %v", err)
	}
	var state string
	if err := witness.readers.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&state); err != nil || state != "ok" {
		t.Errorf("integrity check: %s, %v", state, err)
	}
	t.Log(strconv.Itoa(len(acknowledged)) + " acknowledged writes, none lost")
}

func TestAFrozenWriterCostsWritesButNoReads(t *testing.T) {
	path := create(t)
	db := open(t, path)
	holder := start(t, "hold", path)
	if _, err := holder.stdout.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if err := holder.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	if err := add(ctx, db, "x"); !errors.Is(err, ErrBusy) {
		t.Errorf("a write: %v, want ErrBusy", err)
	}
	if ctx.Err() != nil {
		t.Error("the write failed after its caller's deadline")
	}
	if got := len(entries(t, db)); got != 1 {
		t.Errorf("read %d entries", got)
	}
	if got := len(entries(t, open(t, path))); got != 1 {
		t.Errorf("a replica that starts now reads %d entries", got)
	}

	// Thawed, the writer finishes and the others have their turn.
	if err := holder.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	holder.stdin.Close()
	if err := add(t.Context(), db, "y"); err != nil {
		t.Errorf("a write after the thaw: %v", err)
	}
}

func TestKillingAFrozenWriterFreesTheLock(t *testing.T) {
	path := create(t)
	db := open(t, path)
	holder := start(t, "hold", path)
	if _, err := holder.stdout.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	holder.Process.Signal(syscall.SIGSTOP)
	holder.Process.Kill()
	holder.Wait()
	if err := add(t.Context(), db, "y"); err != nil {
		t.Error(err)
	}
}

func TestChangesOfAnotherProcessAreSeen(t *testing.T) {
	path := create(t)
	db := open(t, path)
	writer := start(t, "write", path)
	var seen []string
	for change, err := range db.Changes(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if seen = append(seen, string(change.Resource)); len(seen) == 50 {
			break
		}
	}
	for i, text := range seen {
		if want := fmt.Sprintf("%d-%d", writer.Process.Pid, i); text != want {
			t.Fatalf("change %d is %s, want %s", i, text, want)
		}
	}
}
