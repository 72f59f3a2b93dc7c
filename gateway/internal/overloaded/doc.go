// Package overloaded is an experiment: what a whole door does when three times
// as much is asked of it as its backends can do, with the limiter of package
// overload and without. Requests come over HTTP, at times that do not depend on
// the answers; calls go over gRPC to backends that have so many workers each and
// a queue without bound; both over connections in memory, in fake time, so that
// what a run says does not depend on the machine. The workers' time is the only
// one that passes: what the door itself costs is measured elsewhere, in package
// throughput.
//
//	go test ./gateway/internal/overloaded -v -seeds 10
//
// Package overload has a simulation of the limiter alone, which is quicker and
// shows more shapes.
package overloaded
