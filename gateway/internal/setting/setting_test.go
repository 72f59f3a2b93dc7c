package setting

import (
	"math"
	"testing"
	"time"
)

func TestDefaultKeepsWhatIsSet(t *testing.T) {
	unset, set := 0, 3
	Default(&unset, 5)
	Default(&set, 5)
	if unset != 5 || set != 3 {
		t.Errorf("%d and %d, want 5 and 3", unset, set)
	}
}

func TestValuesOutOfRangeAreNamed(t *testing.T) {
	if err := InRange("Window", 2*time.Hour, 0, time.Hour); err == nil || err.Error() != "Window: 2h0m0s is out of range; 0s to 1h0m0s" {
		t.Error(err)
	}
	if err := InRange("Share", math.NaN(), 0, 1); err == nil {
		t.Error("a number that is none is in range")
	}
	for _, bound := range []int{1, 9} {
		if err := InRange("Size", bound, 1, 9); err != nil {
			t.Error(err)
		}
	}
}
