package policy

import (
	"math/rand/v2"
	"testing"

	"github.com/evenkeel/evenkeel/internal/sim"
)

// Linkerd's proxy takes a new endpoint to answer in 30 ms. To one that is taken to need
// a second no call would go for half a minute, which decays that by a factor of 20.
func TestPeakEWMATriesANewServerBesideOnesThatAnswerIn60ms(t *testing.T) {
	b := newPeakEWMA(sim.Env{Servers: 3, Random: rand.New(rand.NewPCG(1, 1))})
	now, picked := int64(1), make([]int, 3)
	picks := func(n int) {
		for range n {
			server, call := b.Pick(now)
			picked[server]++
			now += 60e6
			b.Done(now, call, &sim.Outcome{Code: sim.OK, Heard: true})
		}
	}
	b.Update(now, []int32{0, 1}, []int32{0, 1})
	picks(50)
	b.Update(now, []int32{0, 1, 2}, []int32{0, 1, 2})
	picks(10)
	if picked[2] == 0 {
		t.Error("the new server was left alone")
	}
}
