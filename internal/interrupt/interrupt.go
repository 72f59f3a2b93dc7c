// Package interrupt is what commands that take long have in common when their user
// ends them early: they show what was done until then.
//
//	ctx, stop := interrupt.Context()
//	defer stop()
//	rows, err := run(ctx)
//	err = interrupt.Told(err, "round", len(rows) > 0)
package interrupt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Err is in the error when the user ended it early. A program that an interrupt
// ends exits with 130, as shells expect.
var Err = errors.New("interrupted")

// Context ends with an interrupt (Ctrl-C) or a request to terminate. Call stop when
// it is no longer needed.
func Context() (ctx context.Context, stop context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}

// Told says in an error of an end of the context that the user ended it, and whether
// some of the parts that are shown were done before. Other errors stay as they are.
func Told(err error, part string, some bool) error {
	switch {
	case !errors.Is(err, context.Canceled):
		return err
	case some:
		return fmt.Errorf("%w: only the %ss that were done are shown", Err, part)
	default:
		return fmt.Errorf("%w before a %s was done", Err, part)
	}
}
