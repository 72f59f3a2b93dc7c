// Package state lets other programs of the same user find a running mesh: by the
// file that `--state FILE` names, and by an entry in a directory of the user's
// own, so that `evenkeel mesh kill movie/2` needs no file named.
//
// Both hold secrets. They are readable by their owner only, and are replaced as a
// whole, so that a reader never sees half of one.
package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Mesh is what there is to know about a running mesh.
type Mesh struct {
	// REST is the URL of the front door.
	REST string `json:"rest"`
	// Inside is the URL of the front door's admin pages.
	Inside string `json:"inside"`
	// Token is a bearer token that may do everything; it is replaced before it
	// expires.
	Token string `json:"token"`
	// APIKey is a key that may do the same.
	APIKey string `json:"api_key"`
	// XDS is the address of the control plane.
	XDS string `json:"xds"`
	// PID is the mesh's parent process.
	PID int `json:"pid"`
	// Replicas are those that have a process, by service and number.
	Replicas []Replica `json:"replicas"`
	// Admin is how to act on the mesh.
	Admin Admin `json:"admin"`
}

// Replica is one replica.
type Replica struct {
	Service string `json:"service"`
	ID      string `json:"id"` // for example movie/1
	Address string `json:"address"`
	PID     int    `json:"pid"`
	State   string `json:"state"`
	// REST is the URL of the door that the replica keeps for itself, if it does.
	REST string `json:"rest,omitempty"`
}

// Admin is where a mesh takes commands, and the secret that proves that one may
// give them.
type Admin struct {
	Address string `json:"address"`
	Secret  string `json:"secret"`
}

// File is a state file.
type File struct{ path string }

// Open prepares a state file without writing it. What is there already is removed
// if it is the state of another mesh that did not clean up, or empty; anything
// else is left alone and an error.
func Open(path string) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	f := &File{path}
	switch old, err := os.ReadFile(path); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case len(old) > 0 && !isState(old):
		return nil, fmt.Errorf("%s is there already and is no state file: name another, or remove it", path)
	default:
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	// Better now than when the mesh is up.
	probe, err := os.CreateTemp(filepath.Dir(path), ".evenkeel-*")
	if err != nil {
		return nil, err
	}
	return f, errors.Join(probe.Close(), os.Remove(probe.Name()))
}

func isState(data []byte) bool {
	var m Mesh
	return json.Unmarshal(data, &m) == nil && m.PID != 0 && m.REST != ""
}

// Write replaces the file's content.
func (f *File) Write(m Mesh) error { return writeJSON(f.path, m) }

// Remove removes the file, if it still is that of the mesh with the given process
// ID.
func (f *File) Remove(pid int) error {
	m, err := Read(f.path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && m.PID != pid {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Remove(f.path)
}

// Read reads a state file.
func Read(path string) (Mesh, error) {
	var m Mesh
	data, err := os.ReadFile(path)
	if err != nil {
		return m, err
	}
	if !isState(data) {
		return m, fmt.Errorf("%s is no state file of a mesh", path)
	}
	return m, json.Unmarshal(data, &m)
}

// writeJSON replaces a file that only its owner may read.
func writeJSON(path string, v any) (err error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	// Beside the file, so that it can be renamed; CreateTemp makes it 0600.
	temp, err := os.CreateTemp(filepath.Dir(path), ".evenkeel-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp.Name())
		}
	}()
	_, err = temp.Write(append(data, '\n'))
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), path)
}
