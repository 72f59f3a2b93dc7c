package state

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestTheFileHasTheFieldsThatOthersReadAndIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.json")
	f := open(t, path)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("the file is there before it was written")
	}
	want := Mesh{
		REST: "http://127.0.0.1:1", Token: "t", APIKey: "k", XDS: "127.0.0.1:2", PID: 3,
		Replicas: []Replica{{Service: "movie", ID: "movie/1", Address: "127.0.0.1:4", PID: 5, State: "ready"}},
	}
	if err := f.Write(want); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		REST, Token, XDS string
		APIKey           string `json:"api_key"`
		PID              int
		Replicas         []map[string]any
	}
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	first := map[string]any{"service": "movie", "id": "movie/1", "address": "127.0.0.1:4", "pid": 5.0, "state": "ready"}
	if got.REST != want.REST || got.Token != "t" || got.APIKey != "k" || got.XDS != want.XDS || got.PID != 3 || !reflect.DeepEqual(got.Replicas, []map[string]any{first}) {
		t.Errorf("got %+v", got)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	if again, err := Read(path); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("read %+v, %v", again, err)
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("there are %d files, want 1", len(files))
	}
}

func TestRemoveLeavesTheFileOfAnotherMesh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.json")
	f := open(t, path)
	f.Write(Mesh{REST: "r", PID: 1})
	if err := f.Remove(2); err != nil {
		t.Error(err)
	}
	if _, err := Read(path); err != nil {
		t.Error(err)
	}
	if err := f.Remove(1); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("it is still there")
	}
	if err := f.Remove(1); err != nil {
		t.Errorf("the second time: %v", err)
	}
}

func TestAStaleStateFileIsRemovedAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.json")
	open(t, path).Write(Mesh{REST: "r", PID: 1})
	open(t, path)
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("it is still there")
	}
}

func TestAnEmptyFileIsNoObstacle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mesh.json")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, path)
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "thesis.json")
	if err := os.WriteFile(path, []byte(`{"chapters": 9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, dir, filepath.Join(dir, "none", "mesh.json")} {
		if _, err := Open(path); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one of one line", path, err)
		}
	}
	if data, _ := os.ReadFile(path); !strings.Contains(string(data), "chapters") {
		t.Error("the file was changed")
	}
}

func TestMeshesAreEnteredAndLeave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mesh")
	r, err := openRegistry(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{30, 4, 200} {
		if err := r.Enter(Entry{PID: pid, REST: "r", Admin: Admin{"a", "s"}}); err != nil {
			t.Fatal(err)
		}
	}
	os.WriteFile(filepath.Join(dir, "5.json"), []byte("garbage"), 0o600)
	os.WriteFile(filepath.Join(dir, "6.json"), []byte(`{"pid": 4}`), 0o600)
	if err := r.Leave(30); err != nil {
		t.Error(err)
	}
	if err := r.Leave(30); err != nil {
		t.Errorf("the second time: %v", err)
	}
	got, err := r.List()
	if err != nil || len(got) != 2 || got[0].PID != 4 || got[1].PID != 200 || got[1].Admin.Secret != "s" {
		t.Errorf("got %+v, %v", got, err)
	}
	if info, err := os.Stat(dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"rest": "r", "pid": 1, "replicas": [{"id": "movie/1"}]}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if m, err := Read(path); err == nil && (m.PID == 0 || m.REST == "") {
			t.Errorf("took %q for a state file", data)
		}
	})
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
