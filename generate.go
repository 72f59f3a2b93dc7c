// Package evenkeel is the root of a gRPC client-side balancing and gateway
// toolkit. It holds no code of its own: see balancer/choiceoftwo for the
// balancing policy, orca for what a server reports of itself, and gateway for
// the front door.
package evenkeel

// The protos that ours import are printed first, from the Go modules that
// carry them, so that nothing but the module proxy is ever needed.
//go:generate go run ./internal/protodeps .protodeps
//go:generate go tool -modfile=tools.mod buf generate
