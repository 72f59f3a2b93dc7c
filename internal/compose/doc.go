// Package compose holds the tests of choice_of_two among others: below
// outlier_detection, random_subsetting, and the policies that xDS puts above
// it, fed by a real control plane; with a thousand endpoints; and as a module
// that is embedded.
//
// It is not below balancer because it links google.golang.org/grpc/xds and a
// control plane. The tests of balancer must not: whoever embeds a package
// inherits what its tests import, and TestAnEmbedderInheritsNoModule (here too)
// keeps it so.
package compose
