// Command throughput measures this project's front door beside stock
// grpc-gateway, on one machine in one run:
//
//	go run .
//
// It takes about eight minutes; see -help for what can be changed, such as
//
//	go run . -rounds 5 -only 'all on' -profiles /tmp/profiles
//
// Every door, the service behind it and what sends the requests are processes of
// their own, connected by loopback. They are built from the folders below, so
// that the stock one has nothing in it that is not its own. Each door answers
// the same requests, of one movie by GET and POST with a path variable and a
// body, with the same 600 bytes of JSON, which is checked before anything is
// measured.
//
// A round measures each door once, for a short while, in an order that is
// another in each round. Doors are compared within a round, since what else the
// machine does changes from one to the next; the median of these ratios is told,
// with the interval that holds the true median with a probability of 95 % or
// more, whatever the distribution (order statistics of the sign test).
//
// A door that limits what is in flight sheds calls when something else keeps the
// machine busy. A round in which one did, or in which one answered nothing, is left out,
// told of and done again.
//
// What is told:
//
//   - throughput: requests a second, in a closed loop over connections that are
//     kept alive. Whatever sends the requests and the service use the same
//     processors and are within it, so that it tells doors apart less than they
//     are.
//   - CPU: user and system time a request, of the door alone, and of the door
//     with the service. It is more stable.
//   - p50 and p99 of the time to answer, under that load.
//   - p99 paced: the same where each door is sent half as many requests a second as
//     stock answered in that round (-paced), whatever it answers. A request that is due
//     while its connection waits for an answer counts from when it was due.
//   - memory: the door's resident memory when its turn ends.
package main
