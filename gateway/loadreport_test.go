package gateway_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
	"github.com/evenkeel/evenkeel/gateway/loadreport"
)

func TestTheDoorTellsItsOwnLoadIfItIsToldTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reporter, err := loadreport.New(loadreport.Config{Utilization: func() float64 { return 0.5 }})
		if err != nil {
			t.Fatal(err)
		}
		defer reporter.Close()
		d := newDoor(t, func(c *gateway.Config) { c.LoadReport = reporter })
		for range 5 {
			d.do("GET", "/v1/books", "").want(200)
			d.do("GET", "/v1/fail/13", "").want(500)
			d.do("GET", "/v1/books:watch?count=1&code=14", "").want(200) // fails in band
			d.do("GET", "/v1/nowhere", "").want(404)
			d.do("GET", "/livez", "").want(200) // is no load
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, a := range []*answer{d.do("GET", "/v1/books", ""), d.do("GET", "/v1/nowhere", ""), d.do("GET", "/v1/books:watch?count=1", "")} {
			got := a.header.Get("Endpoint-Load-Metrics")
			if !strings.HasPrefix(got, "TEXT ") || !strings.Contains(got, "application_utilization=0.5,rps_fractional=20,eps=10") {
				t.Errorf("%d: %q", a.status, got)
			}
		}
		if got := d.do("GET", "/livez", "").header.Get("Endpoint-Load-Metrics"); got != "" {
			t.Errorf("health is answered with %q", got)
		}
	})
}

func TestTheDoorTellsNobodyItsLoadByDefault(t *testing.T) {
	// The backend's report, which is in ListBooks' trailers, stays inside too.
	for name := range newDoor(t, nil).do("GET", "/v1/books", "").want(200).header {
		if strings.Contains(strings.ToLower(name), "load") {
			t.Errorf("header %s", name)
		}
	}
}
