// Package protocol is what a mesh's parent process and its replicas say to each
// other, over the pipes between them: JSON values, one after the other.
package protocol

import (
	"fmt"
	"time"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/fleet"
)

// Config is the first JSON value on a replica's standard input. It holds a
// private key, hence the pipe: neither arguments nor environment are private.
type Config struct {
	// ID names the replica, for example movie/1.
	ID string `json:"id"`
	// Listen is the address to serve gRPC at. If it is taken, any other port of
	// the same host does.
	Listen string `json:"listen"`
	// REST is the address to serve REST at, in the same way; empty for none.
	REST string `json:"rest,omitempty"`
	// Database is the file that holds the service's data.
	Database string `json:"database"`

	// CA, Cert and Key are the replica's identity, in PEM.
	CA   []byte `json:"ca"`
	Cert []byte `json:"cert"`
	Key  []byte `json:"key"`
	// JWKSFile and APIKeySHA256 say whose credentials hold at the REST address.
	JWKSFile     string `json:"jwksFile"`
	APIKeySHA256 string `json:"apiKeySHA256"`

	// Workers, Speed and ServiceTime describe the virtual work.
	Workers     int           `json:"workers"`
	Speed       float64       `json:"speed"`
	ServiceTime time.Duration `json:"serviceTime"` // nanoseconds
}

// Validate checks what can be checked here and returns the ID.
func (c *Config) Validate() (fleet.ID, error) {
	id, err := fleet.ParseID(c.ID)
	switch {
	case err != nil:
		return id, fmt.Errorf("id: %w", err)
	case c.Listen == "":
		return id, fmt.Errorf("listen: empty; want an address such as 127.0.0.1:0")
	case c.Database == "":
		return id, fmt.Errorf("database: empty; want a file")
	}
	return id, nil
}

// Event is what a replica says on its standard output, one JSON value each.
type Event struct {
	// Ready is said once, when the replica answers calls.
	Ready *Ready `json:"ready,omitempty"`
}

// Ready tells where a replica answers.
type Ready struct {
	Address string `json:"address"`
	REST    string `json:"rest,omitempty"`
}

// Command is what a replica is told on its standard input, after its Config.
// The end of the input tells it that its parent is gone, and to end at once.
type Command struct {
	// Speed changes how fast the virtual workers are.
	Speed *float64 `json:"speed,omitempty"`
	// Drain ends the replica when its calls in flight have ended, or after that
	// long. Nanoseconds.
	Drain *time.Duration `json:"drain,omitempty"`
}
