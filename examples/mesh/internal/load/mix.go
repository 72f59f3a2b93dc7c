package load

import (
	"fmt"
	"math/rand/v2"
	"net/http"
)

// request is one request to the front door.
type request struct {
	method, target, body string
}

// mix is what callers ask for. The weights add up to 100.
var mix = []struct {
	weight     int
	collection string
	make       func(name string) request
}{
	{36, "movies", get("")},
	{8, "movies", get("?view=VIEW_FULL")}, // movie asks production and talent
	{10, "movies", list("movies", `filter=year%20%3E%3D%202000&order_by=gross_usd%20desc`)},
	{4, "movies", list("movies", "view=VIEW_FULL")},
	{2, "movies", rate},
	{14, "productions", get("")},
	{3, "productions", get("?view=VIEW_FULL")}, // production asks movie
	{3, "productions", list("productions", "order_by=display_name")},
	{1, "productions", rate},
	{13, "people", get("")},
	{3, "people", get("?view=VIEW_FULL")}, // talent asks movie
	{2, "people", list("people", "order_by=display_name")},
	{1, "people", rate},
}

func get(query string) func(string) request {
	return func(name string) request { return request{http.MethodGet, "/v1/" + name + query, ""} }
}

func list(collection, query string) func(string) request {
	return func(string) request {
		return request{http.MethodGet, "/v1/" + collection + "?page_size=10&" + query, ""}
	}
}

func rate(name string) request {
	return request{http.MethodPost, "/v1/" + name + ":rate", fmt.Sprintf(`{"stars": %d}`, 1+rand.IntN(10))}
}

// draw returns a request out of the mix.
func draw(names map[string][]string) request {
	n := rand.IntN(100)
	for _, kind := range mix {
		if n -= kind.weight; n < 0 {
			all := names[kind.collection]
			return kind.make(all[rand.IntN(len(all))])
		}
	}
	panic("load: the weights of the mix do not add up to 100")
}
