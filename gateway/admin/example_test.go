package admin_test

import (
	"fmt"
	"log/slog"
	"net/http/httptest"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/admin"
)

// The admin pages are an [http.Handler], too, for a mux or a server of one's own.
func Example() {
	g, err := gateway.New(gateway.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	pages, err := admin.New(g, admin.Config{Hosts: []string{"admin.internal"}, AllowRemote: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, host := range []string{"admin.internal", "evil.example"} {
		r := httptest.NewRequest("GET", "/explain.txt?method=GET&target=/v1/movies/1", nil)
		r.Host = host
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 403
}
