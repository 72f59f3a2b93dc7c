package gateway_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/evenkeel/evenkeel/gateway"
)

// drawing returns numbers in their order, and then the last one.
func drawing(numbers ...float64) func() float64 {
	return func() float64 {
		n := numbers[0]
		if len(numbers) > 1 {
			numbers = numbers[1:]
		}
		return n
	}
}

func records(d *door) int { return strings.Count(d.logs.String(), `"msg":"request"`) }

func TestEveryRequestLeavesARecordByDefault(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) {
		c.AccessLog.Random = func() float64 { t.Error("drawn"); return 1 }
	})
	d.do("GET", "/v1/books", "").want(200)
	d.do("GET", "/v1/nowhere", "").want(404)
	if n := records(d); n != 2 || strings.Contains(d.logs.String(), "sampled") {
		t.Errorf("%d records: %s", n, d.logs)
	}
}

func TestHeadIsRecordedWithoutABody(t *testing.T) {
	d := newDoor(t, nil)
	d.do("HEAD", "/v1/books", "").want(200)
	if logs := d.logs.String(); !strings.Contains(logs, `"method":"HEAD"`) || !strings.Contains(logs, `"bytes_out":0,`) {
		t.Error(logs)
	}
}

func TestTheRecordSaysWhyACallWasLetIn(t *testing.T) {
	d := newDoor(t, nil)
	ann := bearer(token(t, "ann", "books.read", "books.admin"))
	for _, c := range []struct {
		method, target, body string
		status               int
		access, policy       string
	}{
		{"GET", "/v1/books", "", 200, `"access":"public: everybody"`, ""},
		{"GET", "/v1/shelves/1/books/2", "", 200, `"access":"the scopes books.read"`, ""},
		{"POST", "/v1/shelves/ann:guard", `{}`, 200, `"access":"everybody who is known"`, `"policy":{"allowed":true,"reason":"all that the method demands is met"}`},
		{"POST", "/v1/shelves/bob:guard", `{}`, 403, `"access":"everybody who is known"`, `"policy":{"allowed":false,"reason":"the condition is false","rule":"own-shelf"}`},
	} {
		before := len(d.logs.String())
		d.do(c.method, c.target, c.body, ann).want(c.status)
		record := d.logs.String()[before:]
		if !strings.Contains(record, c.access) || !strings.Contains(record, c.policy) || (c.policy == "") == strings.Contains(record, `"policy"`) {
			t.Errorf("%s %s: %s", c.method, c.target, record)
		}
	}
}

func TestOfWhatWentWellAPartIsRecordedAndOfTheRestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t, func(c *gateway.Config) {
			c.AccessLog = gateway.AccessLog{Sample: 0.25, Slow: 2 * time.Second, Random: drawing(0.2, 0.25, 0.9)}
		})
		d.do("GET", "/v1/books", "").want(200) // drawn: 0.2
		if n := records(d); n != 1 || !strings.Contains(d.logs.String(), `"sampled":0.25`) {
			t.Fatalf("%d records: %s", n, d.logs)
		}
		d.do("GET", "/v1/books", "").want(200) // 0.25
		d.do("GET", "/v1/books", "").want(200) // 0.9, as all that follow
		d.do("GET", "/v1/sleep?duration=1.9s", "").want(200)
		d.do("GET", "/v1/books:watch?count=1", "").want(200)
		if n := records(d); n != 1 {
			t.Fatalf("%d records: %s", n, d.logs)
		}
		for i, do := range []func(){
			func() { d.do("GET", "/v1/sleep?duration=2s", "").want(200) },
			func() { d.do("GET", "/v1/books?nonsense=1", "").want(400) },
			func() { d.do("GET", "/v1/nowhere", "").want(404) },
			func() { d.do("GET", "/v1/fail/5", "").want(404) },
			func() { d.do("GET", "/v1/fail/13", "").want(500) },
			func() { d.do("GET", "/v1/books:watch?count=1&code=14", "").want(200) }, // in band
		} {
			do()
			if n := records(d); n != i+2 {
				t.Errorf("case %d left no record, or two: %s", i, d.logs)
			}
		}
		if n := strings.Count(d.logs.String(), "sampled"); n != 1 {
			t.Errorf("%d records say that they were drawn", n)
		}
	})
}

func TestNoneOfWhatWentWellNeedsToBeRecorded(t *testing.T) {
	d := newDoor(t, func(c *gateway.Config) { c.AccessLog = gateway.AccessLog{Sample: -1, Random: drawing(0)} })
	d.do("GET", "/v1/books", "").want(200)
	d.do("GET", "/v1/whoami", "").want(401)
	if n := records(d); n != 1 {
		t.Errorf("%d records: %s", n, d.logs)
	}
}

func TestTheAccessLogsConfigIsChecked(t *testing.T) {
	for want, config := range map[string]gateway.AccessLog{
		"Config.AccessLog.Sample: 2 is out of range":     {Sample: 2},
		"Config.AccessLog.Slow: 48h0m0s is out of range": {Slow: 48 * time.Hour},
	} {
		_, err := gateway.New(gateway.Config{AccessLog: config})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
