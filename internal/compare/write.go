package compare

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
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
	events := false
	for i := range scenarios {
		s := &scenarios[i]
		own := slices.DeleteFunc(slices.Clone(rows), func(r Row) bool { return r.Scenario != s.Name })
		if len(own) == 0 {
			continue
		}
		fmt.Fprintf(out, "%s: %s\n%s\n\n", s.Name, s.About, conditions(own))
		writeLatencies(out, own)
		if s.takesDown() {
			events = true
			writeEvents(out, own)
		}
	}
	if len(rows) > 0 {
		out.WriteString(legend)
	}
	if events {
		out.WriteString(eventLegend)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

const legend = `Latencies count from the time at which a call was to be sent, failed calls at the
deadline of 2 s. "p99 ratio" is a policy's p99 over choice_of_two's in the same
round, the median over the rounds; "99 % interval" that of their geometric mean.
"imbalance" is the deviation over the mean of the work that the replicas were
given for their speed: 0 is even.
`

const eventLegend = `Calls at a replica that goes down: "in flight" when it did; "probes" are sent there
while it is down by clients with no call there, which either cannot know yet or try
again; "piled on" are sent by clients whose calls there wait already. "failed
there" are those of all these that failed.
`

func writeLatencies(w io.Writer, rows []Row) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%-26s\tp50 ms\tp99 ms\tp99.9 ms\terrors %%\tgoodput/s\tp99 ratio\t99 %% interval\timbalance\t\n", "policy")
	for _, r := range rows {
		fmt.Fprintf(table, "%-26s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", r.Policy,
			number(r.P50MS, 0), number(r.P99MS, 0), number(r.P999MS, 0), number(r.ErrorPct, 3), number(r.GoodputRPS, 0),
			number(r.P99Ratio, 2), span(r.P99RatioCI), number(r.Imbalance, 2))
	}
	table.Flush()
	fmt.Fprintln(w)
}

// writeEvents writes what became of the calls at replicas that went down.
func writeEvents(w io.Writer, rows []Row) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "%-26s\tfailed\tfailed there\tin flight\tprobes\tpiled on\t\n", "calls in all rounds")
	for _, r := range rows {
		fmt.Fprintf(table, "%-26s\t%d\t%d\t%d\t%d\t%d\t\n", r.Policy, r.Errors, r.ErrorsAtEvent, r.InFlightAtEvent, r.ProbesAfterEvent, r.PiledOnAfterEvent)
	}
	table.Flush()
	fmt.Fprintln(w)
}

// conditions says under which a scenario was measured.
func conditions(rows []Row) string {
	r := rows[0]
	text := count(r.RoundsUsed, "round")
	if r.RoundsDiscarded > 0 {
		text += fmt.Sprintf(" (%d discarded: the machine was too busy)", r.RoundsDiscarded)
	}
	if r.RateRPS == nil {
		return text
	}
	text += fmt.Sprintf(", %.0f calls/s; ", *r.RateRPS)
	if busy := worst(rows, func(r *Row) *float64 { return r.MachineBusyPct }); busy >= 0 {
		text += fmt.Sprintf("machine %.0f %% busy", busy)
	} else {
		text += "how busy the machine was is not measured here"
	}
	return text + fmt.Sprintf(", calls sent %.1f ms late (p99)", worst(rows, func(r *Row) *float64 { return r.SendLateP99MS }))
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
