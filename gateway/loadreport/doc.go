// Package loadreport makes an HTTP server tell a balancer in front of it how
// loaded it is, by ORCA in a response header:
//
//	endpoint-load-metrics: TEXT cpu_utilization=0.31,mem_utilization=0.2,rps_fractional=120,eps=0.5
//
//	reporter, err := loadreport.New(loadreport.Config{})
//	…
//	defer reporter.Close()
//	http.ListenAndServe(address, reporter.Middleware(handler))
//
// or, for a gateway, as gateway.Config.LoadReport. Turn it on only if what is in
// front reads the header, such as Envoy with client_side_weighted_round_robin:
// everybody who gets an answer can read it otherwise, see Config.To.
//
// # What is reported
//
// rps_fractional is requests answered each second, eps those of them that failed
// by the server's fault: with a status of 500 or more, or without any.
// cpu_utilization, mem_utilization and application_utilization are those of
// package orca, for this process. All are means over the same window, in whose
// first tenth nothing is reported. A value of zero is left out, as it stands for
// unknown in ORCA.
//
// A report is made ten times a window, and then sent with each answer as it is.
//
// # Sources
//
// gRFC A51 for the report; Envoy's orca_parser for the header and its formats,
// which readers outside gRPC share. Envoy read TEXT with colons for `=` at first,
// JSON and BIN always as they are here.
package loadreport
