// Package explain shows why package choiceoftwo picked the endpoints that it
// picked: as JSON over HTTP, and as text for people.
//
//	x := choiceoftwo.NewExplainer(256)
//	balancer.Register(choiceoftwo.NewBuilder(choiceoftwo.WithExplainer(x)))
//	x.SampleOneIn(100)
//	debugMux.Handle("GET /debug/choice_of_two", explain.Handler(x))
//
// It is a package of its own so that programs that do not want it do not link
// net/http.
package explain

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

// Page is what Handler answers.
type Page struct {
	// OneIn: one in as many picks is recorded; 0 if none is.
	OneIn     int                     `json:"oneIn"`
	Decisions []*choiceoftwo.Decision `json:"decisions"` // the newest first
}

// defaultLimit is how many decisions are shown if nothing is said.
const defaultLimit = 20

// Handler serves a Page of what x recorded, as JSON. Parameters narrow it down:
//
//	?endpoint=10.0.0.7:8080   decisions in which this endpoint was looked at
//	?target=xds:///movie      decisions of clients of this target
//	?limit=50                 how many; default 20
//
// It tells addresses and method names: serve it where only operators come.
func Handler(x *choiceoftwo.Explainer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := parse(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		page := Page{OneIn: x.OneIn(), Decisions: f.Select(x.Decisions())}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		out.Encode(page) // an error is that of the connection
	})
}

// Filter says which decisions to show. Empty fields say nothing.
type Filter struct {
	Endpoint string // one that was looked at
	Target   string
	Limit    int // at most; 0 for 20
}

// Select returns the decisions that the filter wants, in their order.
func (f Filter) Select(all []*choiceoftwo.Decision) []*choiceoftwo.Decision {
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	chosen := []*choiceoftwo.Decision{}
	for _, d := range all {
		if len(chosen) == limit {
			break
		}
		if (f.Target == "" || d.Target == f.Target) && (f.Endpoint == "" || considers(d, f.Endpoint)) {
			chosen = append(chosen, d)
		}
	}
	return chosen
}

func considers(d *choiceoftwo.Decision, endpoint string) bool {
	for i := range d.Candidates {
		if d.Candidates[i].Endpoint == endpoint {
			return true
		}
	}
	return false
}

func parse(r *http.Request) (f Filter, err error) {
	for name, values := range r.URL.Query() {
		switch value := values[0]; name {
		case "endpoint":
			f.Endpoint = value
		case "target":
			f.Target = value
		case "limit":
			if f.Limit, err = strconv.Atoi(value); err != nil || f.Limit < 1 {
				return f, fmt.Errorf("limit is %q: must be a number from 1", value)
			}
		default:
			return f, fmt.Errorf("there is no parameter %q: there are endpoint, target, limit", name)
		}
	}
	return f, nil
}
