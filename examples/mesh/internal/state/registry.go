package state

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
)

// Registry is the directory in which the running meshes of a user are entered.
type Registry struct{ dir string }

// Entry is a mesh in the registry.
type Entry struct {
	PID   int    `json:"pid"`
	REST  string `json:"rest"`
	Admin Admin  `json:"admin"`
}

// OpenRegistry returns the user's registry, made if it is not there.
func OpenRegistry() (*Registry, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find a directory for the list of running meshes: %w", err)
	}
	return openRegistry(filepath.Join(cache, "evenkeel", "mesh"))
}

func openRegistry(dir string) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	// It may have been made by somebody more generous.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	return &Registry{dir}, nil
}

// Enter adds a mesh, or replaces its entry.
func (r *Registry) Enter(e Entry) error { return writeJSON(r.path(e.PID), e) }

// Leave removes a mesh. It is no error if it is not there.
func (r *Registry) Leave(pid int) error {
	err := os.Remove(r.path(pid))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// List returns all entries by process ID. Meshes that were killed outright are
// still among them.
func (r *Registry) List() ([]Entry, error) {
	files, err := filepath.Glob(filepath.Join(r.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // It left meanwhile.
		}
		var e Entry
		if json.Unmarshal(data, &e) == nil && r.path(e.PID) == file {
			entries = append(entries, e)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return a.PID - b.PID })
	return entries, nil
}

func (r *Registry) path(pid int) string {
	return filepath.Join(r.dir, strconv.Itoa(pid)+".json")
}
