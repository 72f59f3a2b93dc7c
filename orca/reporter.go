package orca

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	grpcorca "google.golang.org/grpc/orca"

	v3orcaservicegrpc "github.com/cncf/xds/go/xds/service/orca/v3"

	"github.com/evenkeel/evenkeel/internal/latencies"
)

// Reporter measures a server and tells its clients. Make one for each
// grpc.Server, when the server starts: its age is what is reported as uptime.
// All methods may be called at any time by any goroutine.
type Reporter struct {
	config *config
	start  time.Time

	// Written by every call, without a lock.
	inFlight atomic.Int64
	finished tally
	took     latencies.History

	// current is what is said now; nil once the reporter is closed.
	current atomic.Pointer[report]

	// Of the goroutine in run alone.
	sampler sampler

	// closing is closed to stop run, and run closes stopped when it ends.
	closing   chan struct{}
	stopped   chan struct{}
	closeOnce sync.Once

	// drainBegun is closed when clients are to be told, and streamsOver when no
	// out-of-band stream is to stay open.
	drainBegun  chan struct{}
	drainOnce   sync.Once
	streamsOver chan struct{}
	overOnce    sync.Once

	// waited is true once somebody waits for calls to end, so that calls need
	// look at the lock only then.
	waited atomic.Bool

	// mu guards what follows. It is held for moments only, and never while
	// calling anything of grpc's or of the user's.
	mu       sync.Mutex
	measured Load          // the latest measurement
	draining bool          // goes into what is published
	closed   bool          // nothing is published any more
	streams  int           // out-of-band streams that are open
	changed  chan struct{} // closed and made anew when inFlight or streams reach 0
}

// NewReporter returns a reporter that measures from now on. The error names
// every option that is not right. Close it when the server has stopped.
func NewReporter(opts ...Option) (*Reporter, error) {
	config, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	r := &Reporter{
		config:      config,
		start:       time.Now(),
		closing:     make(chan struct{}),
		stopped:     make(chan struct{}),
		drainBegun:  make(chan struct{}),
		streamsOver: make(chan struct{}),
		changed:     make(chan struct{}),
	}
	r.sampler = newSampler(config, r.start)
	r.publish(Load{})
	go r.run()
	return r, nil
}

// Close stops measuring: answers carry no report any more, and out-of-band
// streams end with UNAVAILABLE. It returns when the reporter's goroutine has
// ended; the error is always nil. Closing twice does nothing more.
func (r *Reporter) Close() error {
	r.closeOnce.Do(func() {
		r.mu.Lock()
		r.closed = true
		r.current.Store(nil)
		r.mu.Unlock()
		r.endStreams()
		close(r.closing)
	})
	<-r.stopped
	return nil
}

// ServerOptions returns the options that make a grpc.Server count its calls and
// send reports. Give them before others: the interceptors count only what comes
// to them, and calls that one further out refuses do not.
func (r *Reporter) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(r.unary),
		grpc.ChainStreamInterceptor(r.stream),
	}
}

// Register adds the standard out-of-band service,
// xds.service.orca.v3.OpenRcaService, to a server. Call it before Serve.
func (r *Reporter) Register(registrar grpc.ServiceRegistrar) {
	v3orcaservicegrpc.RegisterOpenRcaServiceServer(registrar, &service{reporter: r})
}

// Snapshot returns what an out-of-band report would say now. After Close only
// InFlight and Latency are known.
func (r *Reporter) Snapshot() Load {
	var load Load
	if current := r.current.Load(); current != nil {
		load = current.load.clone()
	}
	load.InFlight = int(r.inFlight.Load())
	load.Latency = r.took.Typical(time.Since(r.start), load.InFlight)
	return load
}

// ServerMetrics returns Snapshot, but for the latency, in the form of grpc's own package
// orca, so that a Reporter can be the provider of its CallMetricsServerOption. Asked for during
// a call, in_flight counts that call too.
func (r *Reporter) ServerMetrics() *grpcorca.ServerMetrics {
	load := r.Snapshot()
	load.Latency = 0 // goes out of band only: who makes calls sees what they take
	return load.serverMetrics()
}

// run measures at every step of the window, until closing.
func (r *Reporter) run() {
	defer close(r.stopped)
	ticker := time.NewTicker(r.config.window / steps)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.publish(r.sampler.measure(time.Now(), r.finished.word.Load()))
		case <-r.closing:
			return
		}
	}
}

// publish makes measured what is said from now on.
func (r *Reporter) publish(measured Load) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.measured = measured
	r.publishLocked()
}

func (r *Reporter) publishLocked() {
	if r.closed {
		return
	}
	load := r.measured
	load.Draining = r.draining
	r.current.Store(newReport(load))
}
