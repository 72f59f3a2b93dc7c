package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/gateway/internal/throughput/child"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/loader"
	"github.com/evenkeel/evenkeel/gateway/internal/throughput/movies"
)

// A door is one that is measured.
type door struct {
	name     string
	program  string
	flags    []string
	embedded bool // the service is in it
	tokens   bool // it wants them
	process  *child.Process
}

// stock is what all others are compared with.
const stock = "stock, 10 routes"

func doors() []*door {
	return []*door{
		{name: stock, program: "stock", flags: []string{"-routes=10"}},
		{name: "stock, 1000 routes", program: "stock", flags: []string{"-routes=1000"}},
		{name: "remote, all on, 10 routes", program: "door", flags: []string{"-routes=10"}, tokens: true},
		{name: "remote, all on, 1000 routes", program: "door", flags: []string{"-routes=1000"}, tokens: true},
		{name: "remote, all but gRPC's own metrics, 10 routes", program: "door", flags: []string{"-routes=10", "-grpc-metrics=false"}, tokens: true},
		{name: "remote, all off, 10 routes", program: "door", flags: []string{"-routes=10", "-off"}},
		{name: "embedded, all on, 10 routes", program: "door", flags: []string{"-routes=10"}, tokens: true, embedded: true},
		{name: "embedded, all on, 1000 routes", program: "door", flags: []string{"-routes=1000"}, tokens: true, embedded: true},
	}
}

// A sample is what was measured of a door at one time.
type sample struct {
	Door, Verb string
	Round      int
	PerSecond  float64
	P50, P99   time.Duration // at as many requests as are answered
	PacedP99   time.Duration // at a part of as many as stock answers
	// DoorCPU and AllCPU are of one request, AllCPU with the service's.
	DoorCPU, AllCPU time.Duration
	RSS             int64
}

// bench is a run.
type bench struct {
	options
	progress io.Writer
	doors    []*door
	backend  *child.Process
	load     *child.Process
	tokens   []string
	samples  []sample
	leftOut  int // rounds
}

// newBench builds and starts all that takes part.
func newBench(o options, folder string, progress io.Writer) (*bench, error) {
	b := &bench{options: o, progress: progress}
	only, err := regexp.Compile(o.Only)
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	build := exec.Command("go", "build", "-o", folder+string(filepath.Separator), "./backend", "./load", "./stock", "./door")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("go build: %w", err)
	}
	issuer, err := newIssuer(folder)
	if err != nil {
		return nil, err
	}
	for i := range 100 {
		token, err := issuer.token(fmt.Sprintf("caller-%d", i))
		if err != nil {
			return nil, err
		}
		b.tokens = append(b.tokens, token)
	}
	if b.backend, err = child.Start(filepath.Join(folder, "backend")); err != nil {
		return nil, errors.Join(err, b.close())
	}
	if b.load, err = child.Start(filepath.Join(folder, "load")); err != nil {
		return nil, errors.Join(err, b.close())
	}
	for _, d := range doors() {
		if d.name != stock && !only.MatchString(d.name) {
			continue
		}
		flags := d.flags
		if !d.embedded {
			flags = append(flags, "-backend="+b.backend.Address)
		}
		if d.tokens {
			flags = append(flags, "-jwks="+issuer.file, "-issuer="+issuer.name, "-audience="+issuer.audience, "-log="+o.Log)
		}
		if d.process, err = child.Start(filepath.Join(folder, d.program), flags...); err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.doors = append(b.doors, d)
	}
	return b, nil
}

// close stops all processes.
func (b *bench) close() error {
	var errs []error
	for _, d := range b.doors {
		errs = append(errs, d.process.Stop())
	}
	for _, p := range []*child.Process{b.load, b.backend} {
		if p != nil {
			errs = append(errs, p.Stop())
		}
	}
	return errors.Join(errs...)
}

var verbs = []string{"GET", "POST"}

// requests returns what is sent to a door, one for each caller.
func (b *bench) requests(d *door, verb string) [][]byte {
	path, body := "/v1/movies/2811", ""
	if verb == "POST" {
		path, body = "/v1/movies", movies.New
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: throughput\r\nAccept: application/json\r\n", verb, path, d.process.Address)
	if body != "" {
		head.WriteString("Content-Type: application/json\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	if !d.tokens {
		return [][]byte{[]byte(head.String() + "\r\n" + body)}
	}
	var all [][]byte
	for _, token := range b.tokens {
		all = append(all, []byte(head.String()+"Authorization: Bearer "+token+"\r\n\r\n"+body))
	}
	return all
}

// compareAnswers makes sure that all doors answer the same. Stock grpc-gateway
// writes null for messages that are not set. Only the first answer of one connection is
// waited for, however long it takes: nothing is measured yet.
func (b *bench) compareAnswers() error {
	for _, verb := range verbs {
		var first map[string]any
		for _, d := range b.doors {
			result, _, err := b.apply(d, verb, loader.Task{Connections: 1})
			if err != nil {
				return err
			}
			var answer map[string]any
			dec := json.NewDecoder(bytes.NewReader(result.FirstBody))
			dec.UseNumber()
			if err := dec.Decode(&answer); err != nil {
				return fmt.Errorf("%s %s: %w in %s", d.name, verb, err, result.FirstBody)
			}
			for key, value := range answer {
				if value == nil {
					delete(answer, key)
				}
			}
			if first == nil {
				first = answer
			}
			if fmt.Sprint(first) != fmt.Sprint(answer) {
				return fmt.Errorf("%s %s answers %v, and not %v", d.name, verb, answer, first)
			}
			fmt.Fprintf(b.progress, "%-45s %-4s answers %d bytes\n", d.name, verb, len(result.FirstBody))
		}
	}
	return nil
}

// used is what was used while a load was applied.
type used struct{ door, backend time.Duration }

// slice returns the load of one measurement: rate requests a second, or if that is 0 as
// many as are answered.
func (b *bench) slice(rate float64) loader.Task {
	return loader.Task{Connections: b.Connections, Rate: rate, Warmup: b.Warmup, Duration: b.Slice}
}

// apply applies a load of one verb to a door. Where there was a time to measure, an
// error that wraps errBusy says that nothing can be told of it.
func (b *bench) apply(d *door, verb string, task loader.Task) (loader.Result, used, error) {
	var (
		event  loader.Event
		result loader.Result
		before [2]child.Usage
		after  [2]child.Usage
	)
	ask := func(usage *[2]child.Usage) error {
		return errors.Join(d.process.Ask(child.Question{}, &usage[0]), b.backend.Ask(child.Question{}, &usage[1]))
	}
	task.Address, task.Requests = d.process.Address, b.requests(d, verb)
	err := b.load.Ask(task, &event)
	if err == nil {
		err = ask(&before)
	}
	if err == nil {
		err = b.load.Hear(&event)
	}
	if err == nil {
		err = ask(&after)
	}
	if err == nil {
		err = b.load.Hear(&result)
	}
	if err == nil && result.Shed {
		err = fmt.Errorf("%w: the door answered 503", errBusy)
	}
	if err == nil && result.Failed != "" {
		err = errors.New(result.Failed)
	}
	if err == nil && result.Requests == 0 && task.Duration > 0 {
		err = fmt.Errorf("%w: not one request was answered in %v", errBusy, task.Duration)
	}
	if err != nil {
		return result, used{}, fmt.Errorf("%s %s: %w", d.name, verb, err)
	}
	return result, used{door: after[0].CPU - before[0].CPU, backend: after[1].CPU - before[1].CPU}, nil
}

// errBusy says that something else kept the machine busy: a door refused calls because
// they took too long, or none was answered.
var errBusy = errors.New("the machine is too busy")

// round measures each door once. A round in which one could not be is left out, counted
// and done again; more than there are rounds, and more than five, are too many.
func (b *bench) round(number int) error {
	for {
		measured := len(b.samples)
		err := b.measureAll(number)
		if !errors.Is(err, errBusy) || b.leftOut == max(b.Rounds, 5) {
			return err
		}
		fmt.Fprintf(b.progress, "round %d is left out and done again: %v\n", number+1, err)
		b.samples, b.leftOut = b.samples[:measured], b.leftOut+1
	}
}

func (b *bench) measureAll(number int) error {
	fmt.Fprintf(b.progress, "round %d of %d\n", number+1, b.Rounds)
	order := rand.Perm(len(b.doors))
	for _, verb := range verbs {
		for _, i := range order {
			d := b.doors[i]
			result, cost, err := b.apply(d, verb, b.slice(0))
			if err != nil {
				return err
			}
			var usage child.Usage
			if err := d.process.Ask(child.Question{}, &usage); err != nil {
				return err
			}
			n := time.Duration(result.Requests)
			s := sample{
				Door: d.name, Verb: verb, Round: number, PerSecond: float64(n) / result.Elapsed.Seconds(),
				P50: result.P50, P99: result.P99, DoorCPU: cost.door / n, AllCPU: cost.door / n, RSS: usage.RSS,
			}
			if !d.embedded {
				s.AllCPU = (cost.door + cost.backend) / n
			}
			b.samples = append(b.samples, s)
		}
		if err := b.measurePaced(number, verb, order); err != nil {
			return err
		}
	}
	return nil
}

// measurePaced measures how long answers take where all doors are sent as many requests.
// At as many as each answers, one that answers more has more to do.
func (b *bench) measurePaced(number int, verb string, order []int) error {
	of := map[string]*sample{}
	for i := range b.samples {
		if s := &b.samples[i]; s.Round == number && s.Verb == verb {
			of[s.Door] = s
		}
	}
	for _, i := range order {
		d := b.doors[i]
		result, _, err := b.apply(d, verb, b.slice(b.Paced*of[stock].PerSecond))
		if err != nil {
			return err
		}
		of[d.name].PacedP99 = result.P99
	}
	return nil
}

// profile takes a CPU profile of each door.
func (b *bench) profile() error {
	if err := os.MkdirAll(b.Profiles, 0o750); err != nil {
		return err
	}
	for _, d := range b.doors {
		for _, verb := range verbs {
			name := strings.NewReplacer(", ", "-", " ", "-", "'", "").Replace(d.name) + "-" + verb + ".pprof"
			var usage child.Usage
			if err := d.process.Ask(child.Question{Profile: filepath.Join(b.Profiles, name)}, &usage); err != nil {
				return err
			}
			if _, _, err := b.apply(d, verb, loader.Task{Connections: b.Connections, Duration: 5 * time.Second}); err != nil {
				return err
			}
			if err := d.process.Ask(child.Question{Profile: "-"}, &usage); err != nil {
				return err
			}
			fmt.Fprintln(b.progress, "profile", filepath.Join(b.Profiles, name))
		}
	}
	return nil
}
