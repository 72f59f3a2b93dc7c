package mesh

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/state"
)

// announce lets others find the mesh, from now until it stops.
func (m *mesh) announce() {
	m.mu.Lock()
	m.ready = true
	m.mu.Unlock()
	m.save()
}

// save writes the state file and enters the mesh in the registry, if it is
// announced and something has changed.
func (m *mesh) save() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.ready {
		return
	}
	f := m.facts()
	encoded, err := json.Marshal(f)
	if err != nil || string(encoded) == string(m.saved) {
		return
	}
	if m.file != nil {
		err = m.file.Write(f)
	}
	if m.registry != nil {
		err = errors.Join(err, m.registry.Enter(state.Entry{PID: f.PID, REST: f.REST, Admin: f.Admin}))
	}
	if err != nil {
		m.log.Error("state not written", "cause", err)
		return
	}
	m.saved = encoded
}

// facts are what others may know of the mesh.
func (m *mesh) facts() state.Mesh {
	token, err := m.keys.Token(time.Now())
	if err != nil {
		m.log.Error("no token", "cause", err)
	}
	f := state.Mesh{
		REST: m.restURL, Inside: m.insideURL, Token: token, APIKey: m.keys.APIKey(), XDS: m.plane.Address(),
		PID: os.Getpid(), Admin: m.admin.Admin(), Replicas: []state.Replica{},
	}
	for _, r := range m.supervisor.Snapshot() {
		if r.Listed() {
			f.Replicas = append(f.Replicas, state.Replica{
				Service: r.ID.Service, ID: r.ID.String(), Address: r.Address, PID: r.PID, State: string(r.State), REST: r.REST,
			})
		}
	}
	return f
}
