package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestTimeoutsAreReadAsGRPCWritesThem(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1H": time.Hour, "2M": 2 * time.Minute, "3S": 3 * time.Second, "4m": 4 * time.Millisecond, "5u": 5 * time.Microsecond, "6n": 6,
		"0S": 0, "00000001S": time.Second, "99999999S": 99999999 * time.Second,
	} {
		if got, ok := parseTimeout(text); !ok || got != want {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
	if got, ok := parseTimeout("99999999H"); !ok || got < 100*365*24*time.Hour {
		t.Errorf("99999999H overflows to %v", got)
	}
}

func TestACallerWhoSaysHowLongIsLeftTimeToBeAnswered(t *testing.T) {
	limits := Timeouts{Call: 5 * time.Second, CallMax: 40 * time.Second}
	for text, want := range map[string]time.Duration{
		"30S": 30*time.Second - replyReserve, "41S": 40 * time.Second, "40S": 40*time.Second - replyReserve,
		"100m": 90 * time.Millisecond, "1n": 1, "0S": 0, "": 5 * time.Second,
	} {
		h := http.Header{}
		if text != "" {
			h[timeoutHeader] = []string{text}
		}
		if got, p := limits.timeoutFor(h, false, replyReserve); p != nil || got != want {
			t.Errorf("%q: %v, want %v (%v)", text, got, want, p)
		}
	}
}

func FuzzGrpcTimeout(f *testing.F) {
	for _, text := range []string{"1S", "99999999H", "", "S", "-1S", "1.5S", "123456789S"} {
		f.Add(text)
	}
	limits := Timeouts{}
	if err := limits.complete(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := parseTimeout(text)
		if ok && (d < 0 || len(text) < 2 || len(text) > 9 || strings.Trim(text[:len(text)-1], "0123456789") != "") {
			t.Errorf("%q is %v", text, d)
		}
		capped, p := limits.timeoutFor(http.Header{timeoutHeader: {text}}, false, replyReserve)
		if (p == nil) != ok || capped < 0 || capped > limits.CallMax {
			t.Errorf("%q is capped to %v, %v", text, capped, p)
		}
	})
}

func FuzzRequestID(f *testing.F) {
	for _, id := range []string{"abc", "a b", "", "ä", strings.Repeat("a", 129), "\x00"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, given string) {
		id := requestID([]string{given})
		if !validRequestID(id) {
			t.Errorf("%q became %q", given, id)
		}
		if validRequestID(given) && id != given {
			t.Errorf("%q was replaced", given)
		}
		if strings.ContainsAny(id, " \r\n\t\"'<>&/:") {
			t.Errorf("%q", id)
		}
	})
}

func FuzzAccept(f *testing.F) {
	for _, accept := range []string{"*/*", "application/json;q=0.5, text/html", "application/*;q=0", ";;,,", "q=1", "application/json; q=NaN"} {
		f.Add(accept)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got := negotiate([]string{accept}, typeNDJSON, typeJSON)
		if got != "" && got != typeNDJSON && got != typeJSON {
			t.Errorf("%q chose %q", accept, got)
		}
		if got == "" && strings.TrimSpace(accept) == "*/*" {
			t.Errorf("%q takes nothing", accept)
		}
	})
}

func FuzzContentType(f *testing.F) {
	for _, value := range []string{"application/json", "Application/JSON; charset=UTF-8", "application/json; charset=latin1", "application/json;", "text/plain, application/json", "application/json; a=\"b", "/"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p := checkContentType(http.Header{"Content-Type": {value}}, typeJSON)
		if p == nil && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(value)), typeJSON) {
			t.Errorf("%q is taken for JSON", value)
		}
		// Those that a form can send without a question before.
		for _, simple := range []string{"text/plain", "multipart/form-data", "application/x-www-form-urlencoded"} {
			if p == nil && strings.HasPrefix(strings.ToLower(value), simple) {
				t.Errorf("%q is taken", value)
			}
		}
		if two := checkContentType(http.Header{"Content-Type": {value, value}}, typeJSON); two == nil {
			t.Errorf("%q is taken twice", value)
		}
	})
}

func TestNegotiationTakesTheBestOfTheMostSpecific(t *testing.T) {
	for accept, want := range map[string]string{
		"*/*": typeNDJSON, "application/json": typeJSON, "application/*": typeNDJSON, "text/html": "",
		"application/json, application/x-ndjson;q=0.5": typeJSON, "application/json;q=0.5, application/x-ndjson": typeNDJSON,
		"application/x-ndjson;q=0, */*": typeJSON, "*/*;q=0, application/json;q=0.1": typeJSON, "application/json;q=2": "",
		"application/json;q=x": "", "application/json;charset=utf-8;q=0.3, */*;q=0": typeJSON, "": "",
	} {
		if got := negotiate([]string{accept}, typeNDJSON, typeJSON); got != want {
			t.Errorf("%q: %q, want %q", accept, got, want)
		}
	}
	if got := negotiate([]string{"text/html", "application/json"}, typeJSON); got != typeJSON {
		t.Errorf("two lines: %q", got)
	}
	if got := negotiate(nil, typeJSON); got != typeJSON {
		t.Errorf("none: %q", got)
	}
}
