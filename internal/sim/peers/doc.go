// Package peers checks that the simulator's models of go-zero's and kratos'
// balancers fare as the real ones do on the same calls. It is a module of its
// own, so that nobody else needs theirs:
//
//	cd internal/sim/peers && go test ./...
package peers
