// Package fleet says which replicas a mesh has and how they differ.
//
// A replica is named by its service and a number from 1: movie/1, movie/2. What
// a person writes about replicas on the command line is read here, and nowhere
// else:
//
//	plan, err := fleet.Parse(fleet.Spec{
//		Replicas: []string{"movie=5", "talent=2"},
//		Speed:    []string{"movie/2=0.3"},
//		Workers:  []string{"4", "movie/2=8"},
//	})
//
// Every error names the offending value and what would be accepted instead.
package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The mesh's services.
const (
	Movie      = "movie"
	Production = "production"
	Talent     = "talent"
)

// Limits and defaults of a mesh.
const (
	// DefaultReplicas is how many replicas a service has when nothing is said.
	DefaultReplicas = 3
	// MaxReplicas is how many replicas one service may have. They are processes
	// of one machine.
	MaxReplicas = 50
	// DefaultWorkers is how many virtual workers a replica has.
	DefaultWorkers = 2
	// MaxWorkers is how many virtual workers a replica may have.
	MaxWorkers = 1024
	// MinSpeed and MaxSpeed bound how fast a replica works, 1 being normal.
	MinSpeed = 0.01
	MaxSpeed = 100
	// SlowSpeed is the speed of the replica that is slow by default.
	SlowSpeed = 0.3
)

// Services returns the names of the services, in the order in which they are
// shown.
func Services() []string { return []string{Movie, Production, Talent} }

// ID names a replica.
type ID struct {
	Service string
	Number  int // from 1
}

// String returns the name as people write it, for example movie/2.
func (id ID) String() string { return id.Service + "/" + strconv.Itoa(id.Number) }

// ParseID reads the name of a replica. It does not know how many replicas there
// are.
func ParseID(s string) (ID, error) {
	service, number, ok := strings.Cut(s, "/")
	n, err := parseCount(number)
	if !ok || err != nil || n < 1 {
		return ID{}, fmt.Errorf("%q is not a replica: write a service and a number from 1, for example movie/2", s)
	}
	if err := checkService(service); err != nil {
		return ID{}, err
	}
	return ID{service, n}, nil
}

// Replica is one replica and what it is like.
type Replica struct {
	ID      ID
	Workers int     // virtual workers, 1 to MaxWorkers
	Speed   float64 // of each worker, MinSpeed to MaxSpeed; 1 is normal
}

// Spec is what the command line says of the replicas. Its zero value is the
// default mesh.
type Spec struct {
	// Replicas are entries such as movie=5.
	Replicas []string
	// Speed are entries such as movie/2=0.3, talent=2, or 0.5 for all. Without
	// any, movie/2 is slow, so that there is something to balance.
	Speed []string
	// Workers are entries such as movie/2=8, talent=4, or 2 for all.
	Workers []string
}

// Parse returns the replicas that s describes, by service and number. Of
// several entries that concern a replica the most particular one counts, and of
// two alike the last.
func Parse(s Spec) ([]Replica, error) {
	counts, err := replicaCounts(s.Replicas)
	if err != nil {
		return nil, err
	}
	speeds := settings[float64]{byReplica: map[ID]float64{}, byService: map[string]float64{}, all: 1}
	if len(s.Speed) == 0 && counts[Movie] >= 2 {
		speeds.byReplica[ID{Movie, 2}] = SlowSpeed
	}
	if err := speeds.read("--speed", s.Speed, counts, ParseSpeed); err != nil {
		return nil, err
	}
	workers := settings[int]{byReplica: map[ID]int{}, byService: map[string]int{}, all: DefaultWorkers}
	if err := workers.read("--workers", s.Workers, counts, parseWorkers); err != nil {
		return nil, err
	}

	var plan []Replica
	for _, service := range Services() {
		for n := 1; n <= counts[service]; n++ {
			id := ID{service, n}
			plan = append(plan, Replica{ID: id, Workers: workers.of(id), Speed: speeds.of(id)})
		}
	}
	return plan, nil
}

// ParseSpeed reads how fast a replica works, 1 being normal.
func ParseSpeed(s string) (float64, error) {
	v, err := strconv.ParseFloat(s, 64)
	// Written so that NaN is refused too.
	if err != nil || !(v >= MinSpeed && v <= MaxSpeed) {
		return 0, fmt.Errorf("speed %q: want a number from %v to %v, 1 being normal", s, MinSpeed, MaxSpeed)
	}
	return v, nil
}

func parseWorkers(s string) (int, error) {
	n, err := parseCount(s)
	if err != nil || n < 1 || n > MaxWorkers {
		return 0, fmt.Errorf("workers %q: want a whole number from 1 to %d", s, MaxWorkers)
	}
	return n, nil
}

func replicaCounts(entries []string) (map[string]int, error) {
	counts := map[string]int{}
	for _, service := range Services() {
		counts[service] = DefaultReplicas
	}
	for _, entry := range entries {
		service, count, ok := strings.Cut(entry, "=")
		if !ok {
			return nil, fmt.Errorf("--replicas %q: write a service and a count, for example movie=5", entry)
		}
		if err := checkService(service); err != nil {
			return nil, fmt.Errorf("--replicas %q: %w", entry, err)
		}
		n, err := parseCount(count)
		if err != nil || n < 1 || n > MaxReplicas {
			return nil, fmt.Errorf("--replicas %q: want a whole number of replicas from 1 to %d", entry, MaxReplicas)
		}
		counts[service] = n
	}
	return counts, nil
}

// settings holds one property of the replicas, said of all, of a service, or of
// one replica.
type settings[T any] struct {
	all       T
	byService map[string]T
	byReplica map[ID]T
}

func (s *settings[T]) of(id ID) T {
	if v, ok := s.byReplica[id]; ok {
		return v
	}
	if v, ok := s.byService[id.Service]; ok {
		return v
	}
	return s.all
}

func (s *settings[T]) read(flag string, entries []string, counts map[string]int, parse func(string) (T, error)) error {
	for _, entry := range entries {
		if err := s.readOne(entry, counts, parse); err != nil {
			return fmt.Errorf("%s %q: %w", flag, entry, err)
		}
	}
	return nil
}

func (s *settings[T]) readOne(entry string, counts map[string]int, parse func(string) (T, error)) error {
	whom, value, named := strings.Cut(entry, "=")
	if !named {
		v, err := parse(entry)
		if err == nil {
			s.all = v
		}
		return err
	}
	v, err := parse(value)
	if err != nil {
		return err
	}
	if !strings.Contains(whom, "/") {
		if err := checkService(whom); err != nil {
			return err
		}
		s.byService[whom] = v
		return nil
	}
	id, err := ParseID(whom)
	if err != nil {
		return err
	}
	if n := counts[id.Service]; id.Number > n {
		return fmt.Errorf("there is no %s: %s has %d replicas, %s/1 to %s/%d", id, id.Service, n, id.Service, id.Service, n)
	}
	s.byReplica[id] = v
	return nil
}

func checkService(name string) error {
	if slices.Contains(Services(), name) {
		return nil
	}
	return fmt.Errorf("there is no service %q: there are %s", name, strings.Join(Services(), ", "))
}

// parseCount reads a whole number written in plain digits, so that names have
// one spelling: neither +2 nor 02.
func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err == nil && strconv.Itoa(n) != s {
		err = fmt.Errorf("%q is not a plain number", s)
	}
	return n, err
}
