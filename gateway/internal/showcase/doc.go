// Package showcase runs the gateway against the compliance suite of
// gapic-showcase, which Google's REST clients are held to: the service of the
// suite stands behind the gateway, and each request of the suite is encoded by
// its google.api.http rule and must arrive as it was, by the binding that was
// meant. Of the suite's negative cases, those are run whose rule holds for any
// server; that names of fields in snake case are refused does not.
//
// It is a module of its own, since the suite brings many others. In its folder:
//
//	go test ./...
//
// Source: https://github.com/googleapis/gapic-showcase, v0.42.0.
package showcase

//go:generate go run ./gen
