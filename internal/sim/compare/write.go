package compare

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
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

// WriteTable writes the rows for people, a table for each scenario.
func WriteTable(w io.Writer, rows []Row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	scenario := ""
	zones := false
	for i := range rows {
		r := &rows[i]
		// Where there are no zones there is a column less.
		near, nearName := "", ""
		if r.NearPct != nil {
			near, nearName, zones = number(r.NearPct)+"\t", "near %\t", true
		}
		if r.Scenario != scenario {
			if scenario != "" {
				fmt.Fprintln(table)
			}
			scenario = r.Scenario
			fmt.Fprintf(table, "%s, %d seeds\tp50\tp90\tp99\t99 %% interval\tp99.9\tp99 ok\terrors %%\tx oracle\t99 %% interval\tbest peer\tx peer\t99 %% interval\tcalls\tgoodput/s\tspread\tprobes\t%s\n", scenario, r.Seeds, nearName)
		}
		peer := "-"
		if r.BestPeer != nil {
			peer = *r.BestPeer
		}
		fmt.Fprintf(table, "%s\t%.2f\t%.2f\t%.2f\t%s\t%.2f\t%s\t%.3f\t%s\t%s\t%s\t%s\t%s\t%d\t%.5g\t%.2f\t%.1f\t%s\n",
			r.Policy, r.P50, r.P90, r.P99, span(r.P99CI), r.P999, number(r.P99OK), r.ErrorPct,
			number(r.OracleRatio), span(r.OracleRatioCI), peer, number(r.BestPeerRatio), span(r.BestPeerRatioCI),
			r.Requests, r.GoodputRPS, r.UtilizationSpread, r.ProbesPerRequest, near)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	legend := `
Latencies are in mean service times, means over the seeds. Failed calls count
at the deadline, except in "p99 ok", which is of answers alone. "x oracle" and
"x peer" are the p99 over that of the better oracle and of the best other policy
shown that knows no more. "calls" are of all seeds, and "goodput" is answers a
second. "spread" is the deviation of the servers' utilization over its mean,
"probes" those sent for each call.
`
	if zones {
		legend += `"near" is the part of the answers that came from the client's own zone.
`
	}
	_, err := io.WriteString(w, legend)
	return err
}

func number(x *float64) string {
	if x == nil {
		return "-"
	}
	return short(*x)
}

func short(x float64) string {
	if x >= 1000 {
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

func span(x *[2]float64) string {
	if x == nil {
		return "-"
	}
	return short(x[0]) + "-" + short(x[1])
}

// WriteCSV writes the rows with the names that they have in JSON.
func WriteCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	header := []string{"scenario", "policy", "seeds", "p50", "p90", "p99", "p999", "p99_ok", "p99_ci_low", "p99_ci_high",
		"error_pct", "requests", "oracle_ratio", "oracle_ratio_ci_low", "oracle_ratio_ci_high",
		"best_peer", "best_peer_ratio", "best_peer_ratio_ci_low", "best_peer_ratio_ci_high",
		"goodput_rps", "utilization_spread", "near_pct", "probes_per_request"}
	if err := out.Write(header); err != nil {
		return err
	}
	for i := range rows {
		r := &rows[i]
		peer := ""
		if r.BestPeer != nil {
			peer = *r.BestPeer
		}
		record := []string{r.Scenario, r.Policy, strconv.Itoa(r.Seeds), plain(&r.P50), plain(&r.P90), plain(&r.P99), plain(&r.P999), plain(r.P99OK)}
		record = append(record, ends(r.P99CI)...)
		record = append(record, plain(&r.ErrorPct), strconv.FormatUint(r.Requests, 10), plain(r.OracleRatio))
		record = append(record, ends(r.OracleRatioCI)...)
		record = append(record, peer, plain(r.BestPeerRatio))
		record = append(record, ends(r.BestPeerRatioCI)...)
		record = append(record, plain(&r.GoodputRPS), plain(&r.UtilizationSpread), plain(r.NearPct), plain(&r.ProbesPerRequest))
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func plain(x *float64) string {
	if x == nil {
		return ""
	}
	return strconv.FormatFloat(*x, 'g', 6, 64)
}

func ends(x *[2]float64) []string {
	if x == nil {
		return []string{"", ""}
	}
	return []string{plain(&x[0]), plain(&x[1])}
}
