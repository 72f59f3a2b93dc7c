package orca

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

func TestOptionsThatAreNotRightFailAtStart(t *testing.T) {
	half := func() float64 { return 0.5 }
	for _, test := range []struct {
		opts []Option
		want string
	}{
		{[]Option{WithUtilization(nil)}, "orca: WithUtilization: the function is nil"},
		{[]Option{WithQueue(nil, 5)}, "orca: WithQueue: the function is nil"},
		{[]Option{WithQueue(func() int { return 0 }, 0)}, "orca: WithQueue: target is 0: give at least 1"},
		{[]Option{WithUtilization(half), WithQueue(func() int { return 0 }, 1)},
			"orca: the application's utilization is given twice: use one WithUtilization or WithQueue"},
		{[]Option{WithNamedMetric("", half)}, "orca: WithNamedMetric: the name is empty"},
		{[]Option{WithNamedMetric("queue", nil)}, `orca: WithNamedMetric("queue"): the function is nil`},
		{[]Option{WithNamedMetric("in_flight", half)},
			`orca: WithNamedMetric("in_flight"): the reporter sends this one itself: choose another name`},
		{[]Option{WithNamedMetric("latency", half)},
			`orca: WithNamedMetric("latency"): the reporter sends this one itself: choose another name`},
		{[]Option{WithNamedMetric("queue", half), WithNamedMetric("queue", half)}, `orca: WithNamedMetric("queue"): given twice`},
		{[]Option{WithNamedMetric("\xff", half)}, `orca: WithNamedMetric("\xff"): the name is not valid UTF-8`},
		{[]Option{WithNamedMetric(strings.Repeat("n", 65), half)},
			`orca: WithNamedMetric("` + strings.Repeat("n", 65) + `"): the name has 65 bytes: at most 64, since it is sent with every answer`},
		{[]Option{WithWindow(99 * time.Millisecond)}, "orca: WithWindow: 99ms is not between 100ms and 5m0s"},
		{[]Option{WithWindow(5*time.Minute + 1)}, "orca: WithWindow: 5m0.000000001s is not between 100ms and 5m0s"},
		{[]Option{WithMinReportingInterval(0)}, "orca: WithMinReportingInterval: 0s is less than 1ms"},
		{[]Option{WithErrorCodes(codes.Internal, codes.OK)}, "orca: WithErrorCodes: 0 (OK) is no code of an error: give 1 to 16"},
		{[]Option{WithErrorCodes(17)}, "orca: WithErrorCodes: 17 (Code(17)) is no code of an error: give 1 to 16"},
		{[]Option{WithWindow(0), WithMinReportingInterval(0)},
			"orca: WithWindow: 0s is not between 100ms and 5m0s\norca: WithMinReportingInterval: 0s is less than 1ms"},
	} {
		r, err := NewReporter(test.opts...)
		if err == nil {
			r.Close()
			t.Errorf("no error, want %q", test.want)
			continue
		}
		if err.Error() != test.want {
			t.Errorf("error\n%s\nwant\n%s", err, test.want)
		}
	}
}
