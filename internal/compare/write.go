package compare

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the rows as an array of objects.
func WriteJSON(w io.Writer, rows []Row) error {
	if rows == nil {
		rows = []Row{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(rows)
}

// WriteCSV writes the rows with the names that they have in JSON; the ends of the
// interval are p99_ratio_ci_low and _high, and what is not known is empty.
func WriteCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	var header []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Row]()) {
		name := f.Tag.Get("json")
		if f.Type == reflect.TypeFor[*[2]float64]() {
			header = append(header, name+"_low", name+"_high")
		} else {
			header = append(header, name)
		}
	}
	out.Write(header) // its errors are out.Error's
	for _, r := range rows {
		var record []string
		for i := range reflect.TypeFor[Row]().NumField() {
			record = append(record, cells(reflect.ValueOf(r).Field(i).Interface())...)
		}
		out.Write(record)
	}
	out.Flush()
	return out.Error()
}

func cells(value any) []string {
	switch v := value.(type) {
	case *[2]float64:
		if v == nil {
			return []string{"", ""}
		}
		return []string{plain(v[0]), plain(v[1])}
	case *float64:
		if v == nil {
			return []string{""}
		}
		return []string{plain(*v)}
	}
	return []string{fmt.Sprint(value)}
}

func plain(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

// WriteTable writes the rows for people, a table for each scenario.
func WriteTable(w io.Writer, scenarios []Scenario, rows []Row) error {
	out := &strings.Builder{}
	for i := range scenarios {
		s := &scenarios[i]
		var own []Row
		for _, r := range rows {
			if r.Scenario == s.Name {
				own = append(own, r)
			}
		}
		if len(own) > 0 {
			writeScenario(out, s, own)
		}
	}
	if len(rows) > 0 {
		out.WriteString(legend)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

const legend = `Latencies count from the time at which a call was to be sent, and failed calls
count at the deadline of 2 s. "p99 ratio" is a policy's p99 over choice_of_two's
in the same round, the median over the rounds; "99 % interval" that of their mean.
"imbalance" is the deviation over the mean of the work that the replicas were
given for their speed: 0 is even.
`

const eventLegend = `Of the failed calls, "hit" were at a replica that was down meanwhile. "in flight"
were there when it went down; "probes" were sent there while it was, by clients
that had no call there, and "piled on" by clients that waited there already.

`

func writeScenario(w io.Writer, s *Scenario, rows []Row) {
	fmt.Fprintf(w, "%s: %s\n%s\n\n", s.Name, s.About, conditions(rows))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	events := s.hasEvents()
	fmt.Fprintf(table, "%-26s\tp50 ms\tp99 ms\tp99.9 ms\terrors %%\tgoodput/s\tp99 ratio\t99 %% interval\timbalance\t", "policy")
	if events {
		fmt.Fprint(table, "failed\thit\tin flight\tprobes\tpiled on\t")
	}
	fmt.Fprintln(table)
	for _, r := range rows {
		fmt.Fprintf(table, "%-26s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t", r.Policy,
			number(r.P50MS, 0), number(r.P99MS, 0), number(r.P999MS, 0), number(r.ErrorPct, 3), number(r.GoodputRPS, 0),
			number(r.P99Ratio, 2), span(r.P99RatioCI), number(r.Imbalance, 2))
		if events {
			fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t", r.Errors, r.ErrorsAtEvent, r.InFlightAtEvent, r.ProbesAfterEvent, r.PiledOnAfterEvent)
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	fmt.Fprintln(w)
	if events {
		fmt.Fprint(w, eventLegend)
	}
}

// conditions says under which a scenario was measured.
func conditions(rows []Row) string {
	r := rows[0]
	text := fmt.Sprintf("%s used", count(r.RoundsUsed, "round"))
	if r.RoundsDiscarded > 0 {
		text += fmt.Sprintf(", %d discarded because the machine was over %.0f %% busy", r.RoundsDiscarded, 100*MaxBusy)
	}
	if r.RateRPS == nil {
		return text
	}
	text += fmt.Sprintf("; %.0f calls/s", *r.RateRPS)
	if busy := worst(rows, func(r *Row) *float64 { return r.MachineBusyPct }); busy >= 0 {
		text += fmt.Sprintf("; the machine was %.0f %% busy", busy)
	} else {
		text += "; how busy the machine was is not known here"
	}
	if late := worst(rows, func(r *Row) *float64 { return r.SendLateP99MS }); late >= 0 {
		text += fmt.Sprintf("; 99 %% of calls were sent within %.1f ms of their time", late)
	}
	return text
}

func worst(rows []Row, of func(*Row) *float64) float64 {
	most := -1.0
	for i := range rows {
		if x := of(&rows[i]); x != nil {
			most = max(most, *x)
		}
	}
	return most
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func number(x *float64, decimals int) string {
	if x == nil {
		return "-"
	}
	return strconv.FormatFloat(*x, 'f', decimals, 64)
}

func span(x *[2]float64) string {
	if x == nil {
		return "-"
	}
	return fmt.Sprintf("%.2f-%.2f", x[0], x[1])
}
