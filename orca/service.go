package orca

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	v3orcaservicegrpc "github.com/cncf/xds/go/xds/service/orca/v3"
)

// unaskedInterval is for clients that name no interval, as with grpc's service.
const unaskedInterval = 30 * time.Second

// service is the standard out-of-band service. grpc has one, but it refuses to
// report more often than every 30 seconds.
type service struct {
	v3orcaservicegrpc.UnimplementedOpenRcaServiceServer
	reporter *Reporter
}

// StreamCoreMetrics sends a report at once, at every interval, and when the
// server begins to drain, until the client goes or the reporter ends it.
func (s *service) StreamCoreMetrics(req *v3orcaservicegrpc.OrcaLoadReportRequest, stream grpc.ServerStreamingServer[v3orcapb.OrcaLoadReport]) error {
	r := s.reporter
	if !r.enterStream() {
		return errStreamsOver
	}
	defer r.leaveStream()

	ticker := time.NewTicker(r.interval(req))
	defer ticker.Stop()
	drainBegun := r.drainBegun
	for {
		select {
		case <-drainBegun:
			drainBegun = nil // This report tells.
		default:
		}
		if err := stream.Send(r.Snapshot().proto()); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-drainBegun:
		case <-r.streamsOver:
			return r.farewell(stream, drainBegun)
		case <-stream.Context().Done():
			return status.FromContextError(stream.Context().Err()).Err()
		}
	}
}

// errStreamsOver makes clients try again, on another connection if this one is
// going away.
var errStreamsOver = status.Error(codes.Unavailable, "orca: the server stops reporting: it is drained or closed")

// farewell ends a stream. Its client is told of the drain first, in case that
// began and ended before the stream came to tell.
func (r *Reporter) farewell(stream grpc.ServerStreamingServer[v3orcapb.OrcaLoadReport], drainBegun chan struct{}) error {
	select {
	case <-drainBegun:
		if err := stream.Send(r.Snapshot().proto()); err != nil {
			return err
		}
	default:
	}
	return errStreamsOver
}

// interval returns how often to report to the client that sent req.
func (r *Reporter) interval(req *v3orcaservicegrpc.OrcaLoadReportRequest) time.Duration {
	if req.GetReportInterval() == nil {
		return max(unaskedInterval, r.config.minInterval)
	}
	return max(req.GetReportInterval().AsDuration(), r.config.minInterval)
}

// enterStream counts an out-of-band stream, unless it is too late for one.
func (r *Reporter) enterStream() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.streamsOver:
		return false
	default:
		r.streams++
		return true
	}
}

func (r *Reporter) leaveStream() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streams--; r.streams == 0 {
		r.wakeLocked()
	}
}

// endStreams makes all out-of-band streams end, and those to come.
func (r *Reporter) endStreams() {
	r.overOnce.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		close(r.streamsOver)
	})
}
