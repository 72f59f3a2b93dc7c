package mesh

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc/grpclog"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/view"
)

const (
	// stopTimeout is how long the replicas may take to drain at the end.
	stopTimeout = 4 * time.Second
	// sameSignal is how close together two signals are taken for one.
	sameSignal = time.Second
	// drawEvery and printEvery are how often the table is drawn, and plain
	// lines are printed.
	drawEvery  = time.Second
	printEvery = 5 * time.Second
)

// Run runs a mesh until it is told to end.
func (c *RunCommand) Run() error {
	o, err := c.options()
	if err != nil {
		return &UsageError{err}
	}
	quietGRPC()
	ctx, force, release := signals()
	defer release()

	out := &display{file: os.Stdout}
	m, err := start(ctx, o, slog.New(out.events()))
	if err == nil {
		err = out.show(ctx, m)
	}
	if ctx.Err() != nil {
		out.print("Stopping. Once more forces it.\n")
	}
	if m != nil {
		err = errors.Join(err, m.stop(force))
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = nil // that is how it is meant to end
	}
	if force.Err() != nil {
		err = errors.Join(err, errors.New("stopped by force: calls in flight were cut"))
	}
	return err
}

// signals returns a context that ends when the process is told to, and one that
// ends when it is told so again. Signals that come close together are one: those
// who run the mesh below something else, such as timeout(1), send two.
func signals() (first, second context.Context, release func()) {
	first, cancelFirst := context.WithCancel(context.Background())
	second, cancelSecond := context.WithCancel(context.Background())
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// Whether anybody reads what is printed is seen by writing it, see display.
	signal.Ignore(syscall.SIGPIPE)
	done := make(chan struct{})
	go func() {
		var at time.Time
		for {
			select {
			case <-received:
			case <-done:
				return
			}
			switch {
			case at.IsZero():
				at = time.Now()
				cancelFirst()
			case time.Since(at) > sameSignal:
				cancelSecond()
			}
		}
	}()
	return first, second, func() {
		signal.Stop(received)
		close(done)
		cancelFirst()
		cancelSecond()
	}
}

// quietGRPC keeps gRPC's own log, which tells of every lost connection, from
// spoiling the table. Those who ask for it by gRPC's variable get it.
func quietGRPC() {
	if os.Getenv("GRPC_GO_LOG_SEVERITY_LEVEL") == "" {
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	}
}

// display shows a mesh on a terminal, or prints plain lines.
type display struct {
	file  *os.File
	log   *view.Events
	table atomic.Bool // there is a table, which shows the events too
	deaf  atomic.Bool // nobody reads any longer, as behind `| head`
}

func (d *display) print(text string) {
	if _, err := io.WriteString(d.file, text); err != nil {
		d.deaf.Store(true)
	}
}

func (d *display) events() *view.Events {
	d.log = view.NewEvents(func(line string) {
		// Before there is a table, and without one, events are lines of their own.
		if !d.table.Load() {
			d.print(line + "\n")
		}
	})
	return d.log
}

// show shows the mesh until ctx is done, the mesh breaks, or nobody looks.
func (d *display) show(ctx context.Context, m *mesh) error {
	var sampler view.Sampler
	var loads loadSampler
	sample := func() ([]view.Row, string) {
		return sampler.Rows(time.Now(), m.supervisor.Snapshot(), m.monitor.Snapshot()), loads.line(time.Now(), m)
	}
	head := banner(m.facts())
	every, draw := printEvery, func() {
		rows, load := sample()
		d.print(strings.Join(view.Lines(time.Now(), rows, load), "\n") + "\n")
	}
	if screen, ok := view.NewScreen(d.file, head); ok {
		d.table.Store(true)
		defer func() {
			screen.Close()
			d.table.Store(false)
		}()
		every, draw = drawEvery, func() {
			rows, load := sample()
			screen.Draw(func(s view.Style) []string { return view.Table(rows, load, d.log.Latest(), s) })
		}
		draw()
	} else {
		d.print(head)
		sample()
	}
	m.announce() // when it is printed where to go, so that it can be relied on

	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !d.deaf.Load() {
		select {
		case <-ctx.Done():
			return nil
		case err := <-m.failed:
			return err
		case <-ticker.C:
			draw()
			m.save()
		}
	}
	return nil
}
