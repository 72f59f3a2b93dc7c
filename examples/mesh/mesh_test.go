package mesh

import (
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
)

func TestTheMeshThatIsMeantIsChosen(t *testing.T) {
	one := state.Entry{PID: 1, REST: "http://one", Admin: state.Admin{Address: "a"}}
	two := state.Entry{PID: 2, REST: "http://two", Admin: state.Admin{Address: "b"}}
	for _, tt := range []struct {
		running []state.Entry
		pid     int
		want    string // its address
		fails   string // or what the error says
		usage   bool
	}{
		{[]state.Entry{one}, 0, "a", "", false},
		{[]state.Entry{one, two}, 2, "b", "", false},
		{nil, 0, "", "no mesh is running", false},
		{nil, 1, "", "no mesh is running", false},
		{[]state.Entry{one, two}, 0, "", "--mesh PID or --state FILE: 1 (http://one), 2 (http://two)", true},
		{[]state.Entry{one, two}, 3, "", "--mesh 3", true},
	} {
		got, err := choose(tt.running, tt.pid)
		if got.Address != tt.want || (err == nil) != (tt.fails == "") || err != nil && !strings.Contains(err.Error(), tt.fails) || errors.As(err, new(*UsageError)) != tt.usage {
			t.Errorf("%v of %v: %v, %v", tt.pid, tt.running, got, err)
		}
	}
}

func TestReplicasGetTheMeshsBootstrapConfigAndNoOther(t *testing.T) {
	got := replicaEnv([]string{"PATH=/bin", "GRPC_XDS_BOOTSTRAP=/etc/xds.json", "GRPC_XDS_BOOTSTRAP_CONFIG={}", "HOME=/"}, []byte(`{"node": 1}`))
	if want := []string{"PATH=/bin", "HOME=/", `GRPC_XDS_BOOTSTRAP_CONFIG={"node": 1}`}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTheURLIsOneThatWorksHere(t *testing.T) {
	for address, want := range map[string]string{
		"127.0.0.1:8080": "http://127.0.0.1:8080",
		"[::1]:8080":     "http://[::1]:8080",
		"0.0.0.0:8080":   "http://127.0.0.1:8080",
		"[::]:8080":      "http://127.0.0.1:8080",
	} {
		at, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := restURL(at); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}

func TestReplicasAreSpreadOverZones(t *testing.T) {
	seen := map[string]int{}
	for n := 1; n <= 6; n++ {
		seen[zone(fleet.ID{Service: "movie", Number: n})]++
	}
	if len(seen) != 3 || seen["zone-a"] != 2 || seen["zone-b"] != 2 || seen["zone-c"] != 2 {
		t.Errorf("got %v", seen)
	}
}

func TestTheLineOfTheLoadCountsSinceTheLastOne(t *testing.T) {
	m := &mesh{}
	if got := new(loadSampler).line(time.Now(), m); got != "load: none" {
		t.Errorf("got %q", got)
	}
}
