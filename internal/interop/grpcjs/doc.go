// Package grpcjs holds a test that a client of another language, @grpc/grpc-js,
// reads the reports of package orca as the standard has them: per call, out of
// band, and through its own weighted_round_robin.
//
// It needs Node.js and npm, so it runs only when asked for: ./run.sh installs
// the pinned packages here and runs it.
package grpcjs
