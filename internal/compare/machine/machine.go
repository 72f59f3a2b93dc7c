// Package machine tells how busy the machine is, so that a measurement on a busy
// one can be discarded.
package machine

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Reading is the processor time that the whole machine has had since it started,
// in ticks of any length.
type Reading struct{ Idle, Total uint64 }

// Since is the busy share, 0 to 1, of the time since an earlier reading; false if
// none has passed.
func (r Reading) Since(earlier Reading) (busy float64, ok bool) {
	if r.Total <= earlier.Total || r.Idle < earlier.Idle {
		return 0, false
	}
	return 1 - float64(r.Idle-earlier.Idle)/float64(r.Total-earlier.Total), true
}

// parse reads the first line of Linux's /proc/stat (proc_stat(5)): user, nice,
// system, idle, iowait, irq, softirq and steal. What follows, guest time, is in
// user time already. Time stolen by other guests of the host is busy: it is
// missing here.
func parse(stat []byte) (r Reading, err error) {
	line, _, _ := bytes.Cut(stat, []byte{'\n'})
	fields := bytes.Fields(line)
	if len(fields) < 5 || string(fields[0]) != "cpu" {
		return Reading{}, errors.New("/proc/stat does not begin with the time of all processors")
	}
	for i, field := range fields[1:min(len(fields), 9)] {
		ticks, err := strconv.ParseUint(string(field), 10, 64)
		if err != nil {
			return Reading{}, fmt.Errorf("/proc/stat: %w", err)
		}
		r.Total += ticks
		if i == 3 || i == 4 {
			r.Idle += ticks
		}
	}
	return r, nil
}
