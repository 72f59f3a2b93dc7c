package loadreport

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	v3orcapb "github.com/cncf/xds/go/xds/data/orca/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/orca"
)

// read reads a header by the rules of Envoy's parser.
func read(header string) (*v3orcapb.OrcaLoadReport, error) {
	format, rest, _ := strings.Cut(header, " ")
	m := &v3orcapb.OrcaLoadReport{}
	switch format {
	case "JSON":
		return m, protojson.Unmarshal([]byte(rest), m)
	case "BIN":
		raw, err := base64.StdEncoding.DecodeString(rest)
		if err != nil {
			return nil, err
		}
		return m, proto.Unmarshal(raw, m)
	case "TEXT":
	default:
		return nil, fmt.Errorf("unsupported format %q", format)
	}
	fields := map[string]*float64{
		"cpu_utilization": &m.CpuUtilization, "mem_utilization": &m.MemUtilization, "application_utilization": &m.ApplicationUtilization,
		"rps_fractional": &m.RpsFractional, "eps": &m.Eps,
	}
	for entry := range strings.SplitSeq(rest, ",") {
		name, text, ok := strings.Cut(entry, "=")
		to := fields[name]
		value, err := strconv.ParseFloat(text, 64)
		if !ok || to == nil || err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			return nil, errors.New("cannot parse " + entry)
		}
		*to = value
		delete(fields, name) // twice is an error
	}
	return m, nil
}

func TestReportsAreReadAsTheyAreMeant(t *testing.T) {
	load := orca.Load{CPUUtilization: 0.31, MemUtilization: 0.2, ApplicationUtilization: 1.5, RPS: 120, EPS: 0.5}
	for format, want := range map[Format]string{
		Text: "TEXT cpu_utilization=0.31,mem_utilization=0.2,application_utilization=1.5,rps_fractional=120,eps=0.5",
		JSON: `JSON {"cpu_utilization":0.31,"mem_utilization":0.2,"application_utilization":1.5,"rps_fractional":120,"eps":0.5}`,
	} {
		if got := format.write(load); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, format := range []Format{Text, JSON, Binary} {
		for _, l := range []orca.Load{load, {RPS: 1e9, EPS: 1e-9}, {CPUUtilization: 1.0 / 3}} {
			m, err := read(format.write(l))
			if err != nil {
				t.Errorf("%s: %v", format.write(l), err)
				continue
			}
			for _, pair := range [][2]float64{
				{m.GetCpuUtilization(), l.CPUUtilization}, {m.GetMemUtilization(), l.MemUtilization},
				{m.GetApplicationUtilization(), l.ApplicationUtilization}, {m.GetRpsFractional(), l.RPS}, {m.GetEps(), l.EPS},
			} {
				if math.Abs(pair[0]-pair[1]) > 1e-3*math.Abs(pair[1]) {
					t.Errorf("%s: %v, want %v", format.write(l), pair[0], pair[1])
				}
			}
		}
		if got := format.write(orca.Load{}); got != "" {
			t.Errorf("%q says nothing, and is sent", got)
		}
	}
}

func TestAWindowForgets(t *testing.T) {
	start := time.Unix(0, 0)
	w := newWindow(time.Second, start)
	for i := 1; i <= 30; i++ {
		got := w.add(sample{at: start.Add(time.Duration(i) * 100 * time.Millisecond), finished: uint64(min(i, 20)) * 5, failed: uint64(min(i, 20))})
		switch {
		case i <= 20 && (math.Abs(got.rps-50) > 1e-9 || math.Abs(got.eps-10) > 1e-9):
			t.Errorf("step %d: %+v, want 50 and 10", i, got)
		case i == 25 && math.Abs(got.rps-25) > 1e-9:
			t.Errorf("half of the window is quiet: %+v, want 25", got)
		case i == 30 && got != rates{}:
			t.Errorf("%+v a window after the last request", got)
		}
		if len(w.samples) > steps+1 {
			t.Fatalf("%d samples", len(w.samples))
		}
	}
	if got := w.add(w.samples[len(w.samples)-1]); got.rps != 0 {
		t.Errorf("%+v while the clock stands still", got)
	}
}

func TestAServerTellsItsRatesAndTheApplicationsUtilization(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{Utilization: func() float64 { return 0.25 }})
		if err != nil {
			t.Fatal(err)
		}
		h := r.Middleware(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/fail" {
				w.WriteHeader(500)
			} else {
				_, _ = io.WriteString(w, "ok")
			}
		}))
		ask := func(path string) *v3orcapb.OrcaLoadReport {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			header := w.Result().Header.Get(Header)
			if header == "" {
				return nil
			}
			m, err := read(header)
			if err != nil {
				t.Fatalf("%s: %v", header, err)
			}
			return m
		}
		if m := ask("/"); m != nil {
			t.Errorf("%v before anything was measured", m)
		}
		for range 39 { // with the one above, 20 a second, every fourth fails
			time.Sleep(50 * time.Millisecond)
			ask("/")
		}
		for i := range 40 {
			time.Sleep(50 * time.Millisecond)
			ask([]string{"/fail", "/", "/", "/"}[i%4])
		}
		time.Sleep(51 * time.Millisecond)
		m := ask("/")
		if math.Abs(m.GetRpsFractional()-20) > 1 || math.Abs(m.GetEps()-5) > 1 || m.GetApplicationUtilization() != 0.25 {
			t.Errorf("%v, want 20 a second, 5 of them failed, and a quarter", m)
		}
		if load := r.Load(); math.Abs(load.RPS-20) > 1 || load.NamedMetrics != nil {
			t.Errorf("%+v", load)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if m := ask("/"); m != nil {
			t.Errorf("%v after Close", m)
		}
	})
}

func TestTheReportIsForThoseItIsMeantFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{
			Utilization: func() float64 { return 1 },
			To:          func(q *http.Request) bool { return strings.HasPrefix(q.RemoteAddr, "10.") },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		time.Sleep(time.Second)
		synctest.Wait()
		for address, want := range map[string]bool{"10.0.0.1:1": true, "192.0.2.1:1": false} {
			q := httptest.NewRequest("GET", "/", nil)
			q.RemoteAddr = address
			h := http.Header{}
			if r.SetHeader(h, q); (h[Header] != nil) != want {
				t.Errorf("%s: %v", address, h)
			}
		}
	})
}

func TestAPanicIsAFailureAndANilReporterDoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := New(Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		func() {
			defer func() { _ = recover() }()
			r.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		if r.failed.Load() != 1 {
			t.Error("not counted")
		}
	})
	var none *Reporter
	h := http.Header{}
	none.Count(true)
	none.SetHeader(h, nil)
	if len(h) != 0 || none.Close() != nil || none.Load().RPS != 0 {
		t.Error("it does something")
	}
}

func TestTheConfigIsChecked(t *testing.T) {
	for want, config := range map[string]Config{
		"Config.Format: 7": {Format: 7},
		"WithWindow: 1ns":  {Window: 1},
	} {
		if _, err := New(config); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func BenchmarkSetHeader(b *testing.B) {
	r, err := New(Config{Utilization: func() float64 { return 1 }})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	r.step()
	h, q := http.Header{}, httptest.NewRequest("GET", "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		r.SetHeader(h, q)
		r.Count(false)
	}
}
