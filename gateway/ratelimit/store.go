package ratelimit

import "context"

// A Store keeps the counts. Its methods are called concurrently.
type Store interface {
	// Take counts one call by every one of takes, or by none if one of them has
	// no room for it, and returns the results in the same order. If none was
	// counted, those that had room say so and tell where they stand without it.
	//
	// takes has at most [MaxPolicies] elements, and no key twice. [Rate.Decide]
	// is the algorithm; what a store keeps of a key is one time, and may be
	// forgotten when it is past.
	Take(ctx context.Context, takes []Take) ([]Result, error)
}

// MaxPolicies is how many policies can apply to one call.
const MaxPolicies = 8

// A Take asks for room for one call.
type Take struct {
	// Key names what is counted, across all policies, methods and callers. It
	// may be long and hold any bytes.
	Key string
	// Rate is complete: Burst is set.
	Rate Rate
}
