package admin

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
	"github.com/evenkeel/evenkeel/internal/leaktest"
)

func TestEachVerbIsObeyed(t *testing.T) {
	s, mesh := start(t)
	for _, verb := range []Verb{Kill, Freeze, Thaw, Drain, Slow} {
		message, err := Act(t.Context(), s.Admin(), Request{Verb: verb, Replica: "movie/2", Speed: 0.5})
		if err != nil || !strings.HasPrefix(message, "movie/2 ") {
			t.Errorf("%s: %q, %v", verb, message, err)
		}
	}
	if want := "[kill movie/2 freeze movie/2 thaw movie/2 drain movie/2 slow movie/2 0.5]"; fmt.Sprint(mesh.done) != want {
		t.Errorf("done %v, want %s", mesh.done, want)
	}
	if err := Ping(t.Context(), s.Admin()); err != nil {
		t.Error(err)
	}
}

func TestWrongCommandsAreToldFromRefusals(t *testing.T) {
	s, mesh := start(t)
	for _, tt := range []struct {
		request Request
		fails   error
		usage   bool
		want    string
	}{
		{Request{Verb: "shake", Replica: "movie/2"}, nil, true, "kill, freeze, thaw, slow, drain"},
		{Request{Verb: Kill, Replica: "movie"}, nil, true, "movie/2"},
		{Request{Verb: Kill, Replica: "film/2"}, nil, true, "movie, production, talent"},
		{Request{Verb: Slow, Replica: "movie/2"}, nil, true, "0.01 to 100"},
		{Request{Verb: Kill, Replica: "movie/9"}, fmt.Errorf("%w as movie/9", supervisor.ErrUnknown), true, "movie/9"},
		{Request{Verb: Kill, Replica: "movie/2"}, errors.New("it is down"), false, "it is down"},
	} {
		mesh.fails = tt.fails
		_, err := Act(t.Context(), s.Admin(), tt.request)
		var refused *Error
		if !errors.As(err, &refused) || refused.Usage != tt.usage || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %#v, want usage %v and %q", tt.request, err, tt.usage, tt.want)
		}
	}
}

func TestWhoDoesNotKnowTheSecretIsNotObeyed(t *testing.T) {
	s, mesh := start(t)
	stranger := s.Admin()
	stranger.Secret = "guess"
	if _, err := Act(t.Context(), stranger, Request{Verb: Kill, Replica: "movie/2"}); err == nil || errors.As(err, new(*Error)) {
		t.Errorf("got %v", err)
	}
	answer, err := http.Post("http://"+s.Admin().Address+"/act", "application/json", strings.NewReader(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %s", answer.Status)
	}
	if len(mesh.done) != 0 {
		t.Errorf("done %v", mesh.done)
	}
}

func TestAMeshThatIsGoneIsNoMesh(t *testing.T) {
	s, _ := start(t)
	s.Close()
	if err := Ping(t.Context(), s.Admin()); err == nil {
		t.Error("it answers")
	}
}

func TestDecisionsAreExplained(t *testing.T) {
	s, _ := start(t)
	if text, err := Act(t.Context(), s.Admin(), Request{Verb: Explained, Replica: "movie"}); err != nil || text != "movie/1 wins" {
		t.Errorf("%q, %v", text, err)
	}
	var refused *Error
	if _, err := Act(t.Context(), s.Admin(), Request{Verb: Explained, Replica: "film"}); !errors.As(err, &refused) || !refused.Usage {
		t.Errorf("%v", err)
	}
}

type fakeMesh struct {
	done  []string
	fails error
}

func (m *fakeMesh) do(what string, id fleet.ID) error {
	if m.fails == nil {
		m.done = append(m.done, what+" "+id.String())
	}
	return m.fails
}

func (m *fakeMesh) Kill(id fleet.ID) error   { return m.do("kill", id) }
func (m *fakeMesh) Freeze(id fleet.ID) error { return m.do("freeze", id) }
func (m *fakeMesh) Thaw(id fleet.ID) error   { return m.do("thaw", id) }
func (m *fakeMesh) Drain(id fleet.ID) error  { return m.do("drain", id) }
func (m *fakeMesh) Slow(id fleet.ID, speed float64) error {
	err := m.do("slow", id)
	if err == nil {
		m.done[len(m.done)-1] += fmt.Sprint(" ", speed)
	}
	return err
}

func start(t *testing.T) (*Server, *fakeMesh) {
	t.Helper()
	leaktest.Check(t)
	mesh := &fakeMesh{}
	s, err := Start(mesh, func(of string) (string, error) {
		if of != "movie" {
			return "", errors.New("write movie")
		}
		return "movie/1 wins", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, mesh
}
