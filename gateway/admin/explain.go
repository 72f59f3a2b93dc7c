package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/auth"
)

// asked are the fields of the form as they were sent.
type asked struct {
	Method, Target, Subject, Issuer, Scopes, Address, Header, Body string
}

// explained is what the page shows.
type explained struct {
	Methods []string
	Asked   asked
	Error   string
	Answer  *gateway.Explanation
	Route   *row
}

// maxQuestion bounds what may be sent to be explained.
const maxQuestion = 1 << 20

func (a *Admin) serveExplain(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxQuestion)
	in := asked{
		Method: strings.ToUpper(r.FormValue("method")), Target: r.FormValue("target"), Subject: r.FormValue("subject"),
		Issuer: r.FormValue("issuer"), Scopes: r.FormValue("scopes"), Address: r.FormValue("address"),
		Header: r.FormValue("header"), Body: r.FormValue("body"),
	}
	out := explained{Methods: []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}, Asked: in}
	show := func() { a.render(w, "explain", "Explain a request", out) }
	isPage := strings.HasSuffix(r.URL.Path, "/explain")
	if in.Target == "" && isPage {
		show()
		return
	}
	question, err := in.question()
	if err == nil {
		out.Answer, err = a.gateway.Explain(r.Context(), question)
	}
	if err != nil {
		if !isPage {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		out.Error = err.Error()
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusBadRequest)
		show()
		return
	}
	if out.Answer.Route != nil {
		route := rowOf(*out.Answer.Route)
		out.Route = &route
	}
	a.answer(w, r, out.Answer, func(w io.Writer) { out.text(w) }, show)
}

func (in asked) question() (gateway.Question, error) {
	q := gateway.Question{Method: in.Method, Target: in.Target, Body: []byte(in.Body)}
	if in.Target == "" {
		return q, errors.New("target: must be set to a path with a query, such as /v1/movies/1?view=VIEW_FULL")
	}
	if in.Subject != "" {
		q.Principal = &auth.Principal{Subject: in.Subject, Issuer: in.Issuer, Scopes: strings.Fields(in.Scopes), Method: auth.MethodJWT}
	} else if in.Scopes != "" || in.Issuer != "" {
		return q, errors.New("subject: must be set where scopes or issuer are")
	}
	if in.Address != "" {
		var err error
		if q.Address, err = netip.ParseAddr(in.Address); err != nil {
			return q, fmt.Errorf("address: %q is not an IP address", in.Address)
		}
	}
	q.Header = http.Header{}
	for line := range strings.Lines(in.Header) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return q, fmt.Errorf("header: %q: must be a name, a colon and a value", line)
		}
		q.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return q, nil
}

func (e explained) text(w io.Writer) {
	x := e.Answer
	fmt.Fprintf(w, "%s %s %s\n", x.Method, x.Target, e.Verdict())
	if x.Problem != nil {
		fmt.Fprintln(w, x.Problem.Detail)
		for _, e := range x.Problem.Errors {
			fmt.Fprintf(w, "  %s: %s\n", e.Field, e.Detail)
		}
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, s := range x.Steps {
		passed := "passes"
		if !s.Passed {
			passed = "REFUSED"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, passed, s.Rule)
	}
	for _, name := range sortedKeys(x.Variables) {
		fmt.Fprintf(t, "variable %s\t\t%s\n", name, x.Variables[name])
	}
	if e.Route != nil {
		fmt.Fprintf(t, "retries\t\t%s\n", dash(e.Route.Again))
	}
	for _, r := range x.Rules {
		fmt.Fprintf(t, "rule\t\t%s\n", r)
	}
	_ = t.Flush()
}

// Verdict says in a line what would become of the request.
func (e explained) Verdict() string {
	x := e.Answer
	if x.Called {
		return "calls " + x.Route.RPC
	}
	return fmt.Sprintf("is answered %d %s", x.Status, http.StatusText(x.Status))
}
