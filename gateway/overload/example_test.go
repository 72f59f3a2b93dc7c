package overload_test

import (
	"fmt"

	"github.com/evenkeel/evenkeel/gateway/overload"
)

func Example() {
	limiter, err := overload.New(overload.Config{InitialLimit: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A call of 200 ms is over when Done is called; here none is.
	for _, class := range []overload.Priority{overload.Sheddable, overload.Default, overload.Critical} {
		served := 0
		for range 20 {
			if _, ok := limiter.Acquire("/shop.v1.Shop/Buy", class); ok {
				served++
			}
		}
		fmt.Printf("%d of 20 %s calls\n", served, class)
	}
	fmt.Println("limit", limiter.Stats().Limit)
	// Output:
	// 5 of 20 sheddable calls
	// 1 of 20 default calls
	// 4 of 20 critical calls
	// limit 10
}
