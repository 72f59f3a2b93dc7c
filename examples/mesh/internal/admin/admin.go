// Package admin takes commands for a running mesh, on a loopback port and from
// those only who know its secret, which the mesh writes to files that only its
// own user may read.
package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/supervisor"
)

// Verb is what can be done to a replica.
type Verb string

// The verbs.
const (
	Kill   Verb = "kill"
	Freeze Verb = "freeze"
	Thaw   Verb = "thaw"
	Slow   Verb = "slow"
	Drain  Verb = "drain"
	// Explained asks why calls went where they went; Replica may be a service.
	Explained Verb = "explain"
)

// Request asks for something to be done to a replica.
type Request struct {
	Verb    Verb    `json:"verb"`
	Replica string  `json:"replica"`
	Speed   float64 `json:"speed,omitempty"` // for Slow
}

type response struct {
	Message string `json:"message,omitempty"`
	Error   string `json:"error,omitempty"`
	Usage   bool   `json:"usage,omitempty"`
}

// Actions are what a mesh can do to its replicas; *supervisor.Supervisor does.
type Actions interface {
	Kill(fleet.ID) error
	Freeze(fleet.ID) error
	Thaw(fleet.ID) error
	Slow(id fleet.ID, speed float64) error
	Drain(fleet.ID) error
}

const (
	// timeout is longer than a replica may take to drain.
	timeout = 30 * time.Second
	maxBody = 4096
)

// Explain answers what was decided of late about a replica, or a service.
type Explain func(of string) (text string, err error)

// Server takes commands.
type Server struct {
	admin   state.Admin
	actions Actions
	explain Explain
	http    *http.Server
	served  chan struct{}
}

// Start listens on a loopback port and takes commands until Close.
func Start(actions Actions, explain Explain) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	s := &Server{
		admin:   state.Admin{Address: listener.Addr().String(), Secret: rand.Text()},
		actions: actions,
		explain: explain,
		served:  make(chan struct{}),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /act", s.act)
	s.http = &http.Server{
		Handler:           s.guard(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		MaxHeaderBytes:    maxBody,
	}
	go func() {
		defer close(s.served)
		s.http.Serve(listener)
	}()
	return s, nil
}

// Admin is what clients need to know.
func (s *Server) Admin() state.Admin { return s.admin }

// Close stops taking commands and waits for those that are being obeyed.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	<-s.served
	return err
}

func (s *Server) guard(next http.Handler) http.Handler {
	want := "Bearer " + s.admin.Secret
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
			http.Error(w, "the secret is wrong", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) act(w http.ResponseWriter, r *http.Request) {
	var request Request
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&request); err != nil {
		answer(w, http.StatusBadRequest, response{Error: "the request cannot be read: " + err.Error(), Usage: true})
		return
	}
	message, err := s.do(request)
	var bad *Error
	switch {
	case err == nil:
		answer(w, http.StatusOK, response{Message: message})
	case errors.As(err, &bad) && bad.Usage || errors.Is(err, supervisor.ErrUnknown):
		answer(w, http.StatusBadRequest, response{Error: err.Error(), Usage: true})
	default:
		answer(w, http.StatusConflict, response{Error: err.Error()})
	}
}

func (s *Server) do(r Request) (string, error) {
	if r.Verb == Explained {
		text, err := s.explain(r.Replica)
		if err != nil {
			return "", &Error{err.Error(), true}
		}
		return text, nil
	}
	id, err := fleet.ParseID(r.Replica)
	if err != nil {
		return "", &Error{err.Error(), true}
	}
	switch r.Verb {
	case Kill:
		return id.String() + " is killed", s.actions.Kill(id)
	case Freeze:
		return id.String() + " is frozen", s.actions.Freeze(id)
	case Thaw:
		return id.String() + " is thawed", s.actions.Thaw(id)
	case Drain:
		return id.String() + " is drained", s.actions.Drain(id)
	case Slow:
		speed, err := fleet.ParseSpeed(fmt.Sprint(r.Speed))
		if err != nil {
			return "", &Error{err.Error(), true}
		}
		return fmt.Sprintf("%s works at speed %v", id, speed), s.actions.Slow(id, speed)
	default:
		return "", &Error{fmt.Sprintf("there is no %q: there are kill, freeze, thaw, slow, drain, explain", r.Verb), true}
	}
}

func answer(w http.ResponseWriter, code int, r response) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(r)
}

// Error is what a mesh answers to a command that it does not obey.
type Error struct {
	Message string
	// Usage: the command is wrong, whatever the state of the mesh.
	Usage bool
}

func (e *Error) Error() string { return e.Message }

// Act has a mesh obey a request and returns what it says of it. An *Error comes
// from the mesh; any other error means that it was not reached.
func Act(ctx context.Context, mesh state.Admin, request Request) (string, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return "", err
	}
	data, err := call(ctx, mesh, http.MethodPost, "/act", string(body))
	if err != nil {
		return "", err
	}
	var r response
	if err := json.Unmarshal(data, &r); err != nil {
		return "", fmt.Errorf("the mesh's answer cannot be read: %w", err)
	}
	if r.Error != "" {
		return "", &Error{r.Error, r.Usage}
	}
	return r.Message, nil
}

// Ping reports by a nil error that the mesh is there.
func Ping(ctx context.Context, mesh state.Admin) error {
	_, err := call(ctx, mesh, http.MethodGet, "/ping", "")
	return err
}

func call(ctx context.Context, mesh state.Admin, method, path, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+mesh.Address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+mesh.Secret)
	// No proxy, whatever the environment says, and nothing kept alive.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusUnauthorized {
		return nil, errors.New("the mesh does not know the secret: another one runs there now")
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
}
