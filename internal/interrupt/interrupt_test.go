package interrupt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/evenkeel/evenkeel/internal/interrupt"
)

func TestAnEndOfTheContextIsToldAsTheUsers(t *testing.T) {
	canceled := fmt.Errorf("running: %w", context.Canceled)
	for _, c := range []struct {
		err  error
		some bool
		want string
	}{
		{canceled, true, "interrupted: only the rounds that were done are shown"},
		{canceled, false, "interrupted before a round was done"},
	} {
		if got := interrupt.Told(c.err, "round", c.some); !errors.Is(got, interrupt.Err) || got.Error() != c.want {
			t.Errorf("%v: %v, want %q", c, got, c.want)
		}
	}
	for _, err := range []error{nil, io.EOF} {
		if got := interrupt.Told(err, "round", false); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
}
