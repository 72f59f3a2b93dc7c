package admin

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/evenkeel/evenkeel/gateway"
)

// row is a route as people read it.
type row struct {
	gateway.Route
	Who, Limits, Time, Again, Class string
	Sample                          string // a path that takes it
}

func (a *Admin) serveRoutes(w http.ResponseWriter, r *http.Request) {
	routes := a.gateway.Routes()
	rows := make([]row, len(routes))
	for i, route := range routes {
		rows[i] = rowOf(route)
	}
	a.answer(w, r, routes, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "METHOD\tTEMPLATE\tRPC\tSTREAM\tWHO\tRATES\tTIMEOUT\tRETRIES\tOVERLOAD")
		for _, r := range rows {
			fmt.Fprintln(t, strings.Join([]string{r.Method, r.Template, r.RPC, dash(r.Stream), r.Who, dash(r.Limits), r.Time, dash(r.Again), dash(r.Class)}, "\t"))
		}
		_ = t.Flush()
	}, func() { a.render(w, "routes", "Routes", rows) })
}

func rowOf(r gateway.Route) row {
	x := row{Route: r, Who: who(r), Sample: sample(r.Template)}
	var rates []string
	for _, rate := range r.Rates {
		rates = append(rates, fmt.Sprintf("%s: %d/%v by %s", rate.Name, rate.Requests, rate.Period, rate.Key))
	}
	x.Limits = strings.Join(rates, ", ")
	x.Time = r.Timeout.Default.String()
	if r.Timeout.Max != r.Timeout.Default {
		x.Time += ", up to " + r.Timeout.Max.String()
	}
	if r.Retry != nil && r.Retry.Idempotent {
		x.Again = fmt.Sprintf("%d attempts after %s", r.Retry.MaxAttempts, strings.Join(r.Retry.Codes, ", "))
	}
	if r.Overload != nil {
		x.Class = fmt.Sprintf("%s, %d of %d in flight", r.Overload.Priority, r.Overload.InFlight, r.Overload.Limit)
	}
	return x
}

// who says who may call, in short.
func who(r gateway.Route) string {
	parts := []string{"who is known"}
	switch {
	case r.Access.Public:
		parts[0] = "everybody"
	case len(r.Access.Scopes) > 0:
		parts[0] = strings.Join(r.Access.Scopes, " + ")
	}
	if r.Policy != nil {
		if len(r.Policy.AnyRole) > 0 {
			parts = append(parts, "a "+strings.Join(r.Policy.AnyRole, " or "))
		}
		for _, c := range r.Policy.Conditions {
			parts = append(parts, c.ID)
		}
	}
	return strings.Join(parts, "; ")
}

// sample makes a path from a template, with 1 for each wildcard.
func sample(template string) string {
	var b strings.Builder
	for template != "" {
		before, rest, ok := strings.Cut(template, "{")
		b.WriteString(before)
		if !ok {
			break
		}
		variable, after, _ := strings.Cut(rest, "}")
		if _, pattern, ok := strings.Cut(variable, "="); ok {
			b.WriteString(pattern)
		} else {
			b.WriteString("*")
		}
		template = after
	}
	return strings.NewReplacer("**", "1", "*", "1").Replace(b.String())
}

// sortedKeys returns the keys of a map in order.
func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func (a *Admin) serveConfig(w http.ResponseWriter, r *http.Request) {
	settings := Settings(a.gateway)
	byField := make(map[string]any, len(settings))
	for _, s := range settings {
		byField[s.Field] = s.Value
	}
	a.answer(w, r, byField, func(w io.Writer) {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, s := range settings {
			fmt.Fprintf(t, "%s\t%v\n", s.Field, s.Value)
		}
		_ = t.Flush()
	}, func() { a.render(w, "config", "Config in force", settings) })
}
