// Package loader sends requests to a door over connections that are kept alive, each
// with one at a time: as many as are answered, or so many a second. It spends as little
// as it can on that, since it runs on the same machine.
package loader

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// A Task is a load.
type Task struct {
	Address     string
	Requests    [][]byte // as they are sent; each connection sends all in turn
	Connections int
	Rate        float64       // requests a second; 0 for as many as are answered
	Warmup      time.Duration // not measured
	Duration    time.Duration
}

// A Result is what came of it.
type Result struct {
	Requests  int           // in the time that was measured
	Elapsed   time.Duration // that time
	P50, P99  time.Duration
	Failed    string // why, if it failed
	Shed      bool   // it failed because the door answered 503
	FirstBody []byte // of the answers
}

// An Event is told while a load is applied.
type Event struct{ Now string }

// The events: what is measured begins and ends.
const (
	Started = "started"
	Ended   = "ended"
)

// Run applies a load. It begins when each connection has had an answer, so that
// to connect is not measured. started is called when the warm-up is over, ended
// when the time is.
func Run(t Task, started, ended func()) Result {
	var (
		all    = make([]connection, t.Connections)
		group  sync.WaitGroup
		result Result
	)
	for i := range all {
		c := &all[i]
		c.task, c.next = &t, i*len(t.Requests)/t.Connections
		if t.Rate > 0 {
			c.pace.period = time.Duration(float64(t.Connections) / t.Rate * float64(time.Second))
		}
		group.Go(func() { c.err = c.open() })
	}
	group.Wait()
	from := time.Now().Add(t.Warmup)
	until := from.Add(t.Duration)
	for i := range all {
		if c := &all[i]; c.err == nil {
			group.Go(func() { c.err = c.run(from, until) })
		}
	}
	time.Sleep(time.Until(from))
	started()
	time.Sleep(time.Until(until))
	ended()
	group.Wait()
	var took []time.Duration
	for i := range all {
		all[i].close()
		if all[i].err != nil && result.Failed == "" {
			result.Failed, result.Shed = all[i].err.Error(), errors.Is(all[i].err, errShed)
		}
		took = append(took, all[i].took...)
	}
	result.FirstBody, result.Elapsed, result.Requests = all[0].first, t.Duration, len(took)
	if len(took) > 0 {
		slices.Sort(took)
		result.P50, result.P99 = took[len(took)/2], took[len(took)*99/100]
	}
	return result
}

// connection sends one request after the other.
type connection struct {
	task  *Task
	pace  pace
	conn  net.Conn
	r     *bufio.Reader
	next  int
	first []byte // the body of its first answer
	took  []time.Duration
	err   error
}

// patience is how long a door may take: one that hangs must not hang the run.
const patience = 10 * time.Second

// open connects and reads the first answer.
func (c *connection) open() (err error) {
	if c.conn, err = net.DialTimeout("tcp", c.task.Address, patience); err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c.r = bufio.NewReaderSize(c.conn, 16<<10)
	return c.look()
}

func (c *connection) close() {
	if c.conn != nil {
		_ = c.conn.Close()
	}
}

func (c *connection) run(from, until time.Time) error {
	if err := c.conn.SetDeadline(until.Add(patience)); err != nil {
		return err
	}
	for start := c.pace.begin(); start.Before(until); {
		if _, err := c.conn.Write(c.request()); err != nil {
			return err
		}
		if err := skipAnswer(c.r); err != nil {
			return err
		}
		end := time.Now()
		if !start.Before(from) && end.Before(until) {
			c.took = append(c.took, end.Sub(start))
		}
		start = c.pace.next(end)
	}
	return nil
}

func (c *connection) request() []byte {
	r := c.task.Requests[c.next%len(c.task.Requests)]
	c.next++
	return r
}

// look reads the first answer as a whole.
func (c *connection) look() error {
	if _, err := c.conn.Write(c.request()); err != nil {
		return err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if c.first, err = io.ReadAll(answer.Body); err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode == http.StatusServiceUnavailable {
		return errShed
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d: %s", answer.StatusCode, c.first)
	}
	return nil
}

var errShed = errors.New("answered 503")

var (
	statusShed    = []byte("HTTP/1.1 503 ")
	statusOK      = []byte("HTTP/1.1 200 ")
	contentLength = []byte("Content-Length: ")
)

// skipAnswer reads an answer that must be 200 and tell its length.
func skipAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if bytes.HasPrefix(line, statusShed) {
		return errShed
	}
	if !bytes.HasPrefix(line, statusOK) {
		return fmt.Errorf("not answered 200: %q", line)
	}
	length := -1
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer does not tell its length")
	}
	_, err = r.Discard(length)
	return err
}
