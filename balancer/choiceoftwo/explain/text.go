package explain

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
)

// Text writes a decision for people to read.
func Text(w io.Writer, d *choiceoftwo.Decision) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  to %s\n", d.Time.UTC().Format("15:04:05.000"), d.Method, d.Winner)
	width := len("endpoint")
	for i := range d.Candidates {
		width = max(width, len(d.Candidates[i].Endpoint))
	}
	for i := range d.Candidates {
		c := &d.Candidates[i]
		fmt.Fprintf(&b, "  %-*s  %-21s  %s\n", width, c.Endpoint, verdict(c), sum(c, d))
		fmt.Fprintf(&b, "  %-*s  per request: %s\n", width, "", perRequest(c, d))
		fmt.Fprintf(&b, "  %-*s  queue: %s\n", width, "", queue(c))
		for _, line := range extras(c) {
			fmt.Fprintf(&b, "  %-*s  %s\n", width, "", line)
		}
	}
	fmt.Fprintf(&b, "  %s\n", reason(d))
	if d.FiltersIgnored {
		b.WriteString("  No filter was heeded: they would have left too few endpoints.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func verdict(c *choiceoftwo.Candidate) string {
	if c.Verdict == choiceoftwo.NotCheapestFresh {
		return "fresh, not cheapest"
	}
	return c.DrawnFrom + ", " + string(c.Verdict)
}

// sum is how the cost comes about.
func sum(c *choiceoftwo.Candidate, d *choiceoftwo.Decision) string {
	s := fmt.Sprintf("%s = ", span(c.CostMs))
	byQueue := c.PerRequestMs * (c.QueueCalls + c.UnseenCalls + 1)
	whenIdle := c.CertainPerRequestMs * d.SpareCalls
	if c.UnusualSilenceMs > math.Pow(math.Pow(byQueue, 4)+math.Pow(whenIdle, 4), 0.25) {
		s += span(c.UnusualSilenceMs) + " of unusual silence"
	} else {
		if whenIdle > 0 {
			s += "about the larger of "
		}
		s += fmt.Sprintf("%s per request x (%s queued", span(c.PerRequestMs), count(c.QueueCalls))
		if c.UnseenCalls > 0 {
			s += fmt.Sprintf(" + %s unseen", count(c.UnseenCalls))
		}
		s += " + 1)"
		if whenIdle > 0 {
			s += fmt.Sprintf(" and %s, as when idle", span(whenIdle))
		}
	}
	if c.ErrorPenaltyFactor > 1 {
		s += fmt.Sprintf(" x %.3g for errors", c.ErrorPenaltyFactor)
	}
	if c.NeglectFactor > 1 {
		s += fmt.Sprintf(" / %.3g for neglect", c.NeglectFactor)
	}
	if c.WeightApplied {
		s += fmt.Sprintf(" / %.2g for its weight", c.WeightPercent/100)
	}
	if c.DistanceCostMs > 0 {
		s += fmt.Sprintf(" + %s for its distance of %s", span(c.DistanceCostMs), span(c.DistanceMs))
	}
	return s
}

func perRequest(c *choiceoftwo.Candidate, d *choiceoftwo.Decision) string {
	typical := fmt.Sprintf("typical here is %s", span(d.TypicalPerRequestMs))
	if c.PerRequestAgeMs == nil || c.PerRequestKnownPercent <= 0 {
		return "not known; " + typical
	}
	return fmt.Sprintf("from %s, %s; %s", c.PerRequestFrom, ago(*c.PerRequestAgeMs), typical)
}

func queue(c *choiceoftwo.Candidate) string {
	own := fmt.Sprintf("%d of this client's calls in flight", c.OwnInFlightCalls)
	reported := "reported"
	if c.ReportByProbe {
		reported = "answered a probe with"
	}
	switch {
	case c.ReportedInFlightCalls != nil && c.UsualInFlightCalls != nil && c.ReportAgeMs != nil:
		return fmt.Sprintf("it %s %s in flight %s, %s of them this client's, %s are usual; %s",
			reported, count(*c.ReportedInFlightCalls), ago(*c.ReportAgeMs), count(c.OwnAtReportCalls), count(*c.UsualInFlightCalls), own)
	case c.UtilizationPercent != nil && c.ReportAgeMs != nil:
		return fmt.Sprintf("it %s a utilization of %.0f %% %s; %s", reported, *c.UtilizationPercent, ago(*c.ReportAgeMs), own)
	default:
		return fmt.Sprintf("nothing reported; %s, and %s of others presumed", own, count(c.OthersInFlightCalls))
	}
}

func extras(c *choiceoftwo.Candidate) (lines []string) {
	if len(c.PassedOver) > 0 {
		lines = append(lines, "passed over for: "+strings.Join(c.PassedOver, ", "))
	}
	if c.OwnErrorRatePercent > 0 || c.ReportedErrorRatePercent > 0 {
		lines = append(lines, fmt.Sprintf("errors: %.3g %% of this client's calls, %.3g %% by its own report",
			c.OwnErrorRatePercent, c.ReportedErrorRatePercent))
	}
	if c.UnseenCalls > 0 {
		lines = append(lines, fmt.Sprintf("unseen: %s calls of others may have come since", count(c.UnseenCalls)))
	}
	if c.SilenceMs >= 1 {
		lines = append(lines, fmt.Sprintf("silence: calls have waited %s with none answered", span(c.SilenceMs)))
	}
	if c.NeglectFactor > 1 {
		lines = append(lines, "neglect: it has had no call for long, and what is known of it may be wrong")
	}
	if c.WeightPercent < 99 {
		line := fmt.Sprintf("weight: %.0f %% (it warms up, or was just let out of probation)", c.WeightPercent)
		if !c.WeightApplied {
			line += "; this time it competes as an equal"
		}
		lines = append(lines, line)
	}
	return lines
}

func reason(d *choiceoftwo.Decision) string {
	switch d.Why {
	case choiceoftwo.OnlyOne:
		return fmt.Sprintf("%s is the only endpoint that is ready.", d.Winner)
	case choiceoftwo.OthersPassed:
		return fmt.Sprintf("%s wins: what it was compared with was passed over.", d.Winner)
	case choiceoftwo.AllPassed:
		return fmt.Sprintf("%s wins: all that were looked at were passed over, and it is the cheapest of them.", d.Winner)
	case choiceoftwo.TossUp:
		return fmt.Sprintf("%s wins by a toss-up: costs less than 10 %% apart are taken for alike.", d.Winner)
	default:
		return fmt.Sprintf("%s wins: it is the cheaper of the two compared, of %d ready.", d.Winner, d.ReadyEndpoints)
	}
}

// span writes milliseconds with three digits, in seconds where there are many.
func span(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%.3g s", ms/1000)
	}
	return fmt.Sprintf("%.3g ms", ms)
}

func ago(ms float64) string {
	if ms < 1 {
		return "just now"
	}
	return (time.Duration(ms) * time.Millisecond).String() + " ago"
}

// count writes a number of calls with one digit behind the point, if it has any.
func count(n float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", n), ".0")
}
