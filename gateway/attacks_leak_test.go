package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/evenkeel/evenkeel/gateway"
)

// What must not get out: metadata, the words of parsers and backends, secrets,
// and, by traces and metrics, what a stranger makes up.

func TestAttackMetadataThatLeaksOut(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2, c.ReturnHeaders = true, []string{"x-total"} }, func(t *testing.T, r *running) {
		// The backend sends x-secret, a cookie, a trailer, and a load report.
		headers := "Host: door\r\nConnection: close\r\nTE: trailers\r\nGrpc-Accept-Encoding: gzip\r\nAccept: application/json, application/grpc\r\n\r\n"
		fields := append(pseudo("GET", "/v1/books"), field{"te", "trailers"})
		for protocol, a := range map[string]reply{"HTTP/1.1": r.one(t, "GET /v1/books HTTP/1.1\r\n"+headers), "HTTP/2": r.frames(t, fields, "")} {
			if a.status != 200 || len(a.trailer) > 0 {
				t.Errorf("%s: %d with the trailers %v", protocol, a.status, a.trailer)
			}
			for name, values := range a.header {
				if !slices.Contains([]string{":status", "date", "x-total", "x-request-id", "x-content-type-options", "cache-control", "content-type", "content-length"}, strings.ToLower(name)) {
					t.Errorf("%s: header %s: %q got out", protocol, name, values)
				}
			}
		}
		// Streams have other ways out.
		a := r.one(t, "GET /v1/books:watch?count=1&early=true HTTP/1.1\r\n"+headers)
		if len(a.trailer) > 0 || a.header.Get("Grpc-Metadata-X-Total") != "" || a.header.Get("Trailer") != "" {
			t.Errorf("of a stream: %v, %v", a.header, a.trailer)
		}
		othersAreServed(t, r)
	})
}

// internal are the codes whose words are not for callers.
var internal = []codes.Code{codes.Canceled, codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss}

func TestAttackErrorsThatTellOfTheInside(t *testing.T) {
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			// The backend sends its stack and more as details.
			target := fmt.Sprintf("/v1/fail/%d?message=it+is+so", code)
			for _, a := range []reply{r.one(t, "GET "+target+" HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n"), r.frames(t, pseudo("GET", target), "")} {
				if a.status < 400 || strings.Contains(a.body, "it is so") == slices.Contains(internal, code) {
					t.Errorf("%v: %d %s", code, a.status, a.body)
				}
				wantNoInternals(t, a.body)
			}
		}
		for _, request := range []string{
			"GET /v1/books:watch?count=1&code=13 HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n",
			"GET /v1/echo?int32_value=x HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n", "GET /v1/download/a?trap=7 HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n",
			"GET /v1/%zz HTTP/1.1\r\nHost: door\r\n\r\n", "nonsense\r\n\r\n",
		} {
			wantNoInternals(t, r.one(t, request).body)
		}
		// A backend that is gone.
		_ = r.conn.Close()
		a := r.one(t, "GET /v1/books HTTP/1.1\r\nHost: door\r\nConnection: close\r\n\r\n")
		if a.status < 400 {
			t.Errorf("without a backend: %d", a.status)
		}
		wantNoInternals(t, a.body)
	})
}

// Not even what is no request at all, which net/http logs itself.
func TestAttackSecretsThatReachTheLog(t *testing.T) {
	tok := token(t, "ann", "books.read")
	inBubble(t, func(c *gateway.Config) { c.UnencryptedHTTP2 = true }, func(t *testing.T, r *running) {
		const needle = "needle-in-the-hay"
		head := "Host: door\r\nConnection: close\r\n"
		for _, request := range []string{
			"GET /v1/whoami HTTP/1.1\r\n" + head + "Authorization: Bearer " + tok + "\r\n\r\n",
			"GET /v1/whoami HTTP/1.1\r\n" + head + "Authorization: Bearer " + tok[:len(tok)-5] + needle + "\r\n\r\n",
			"GET /v1/whoami HTTP/1.1\r\n" + head + "X-API-Key: " + r.apiKey + "\r\n\r\n",
			"GET /v1/whoami?access_token=" + tok + " HTTP/1.1\r\n" + head + "\r\n",
			"GET /v1/" + needle + "?" + needle + "=" + needle + " HTTP/1.1\r\n" + head + "Cookie: " + needle + "\r\nReferer: " + needle + "\r\n\r\n",
			"GET /v1/echo/number/" + needle + " HTTP/1.1\r\n" + head + "\r\n",
			posted("/v1/echo", `{"`+needle+`":1}`, asJSON), posted("/v1/echo", `{"int32Value":"`+needle+`"}`, asJSON),
			posted("/v1/books:upload", `{"book":{"title":"a"}}{"`+needle+`":1}`, "Content-Type: application/x-ndjson"),
			"GET /v1/books HTTP/1.1\r\n" + head + "X-Bad\x00: " + needle + "\r\n\r\n",
			"GET /" + needle + " HTTP/9.9\r\n" + head + "\r\n", needle + "\r\n\r\n", "GET /v1/%zz" + needle + " HTTP/1.1\r\n" + head + "\r\n",
			"GET /v1/books HTTP/1.1\r\n" + head + "Transfer-Encoding: " + needle + "\r\n\r\n",
			"GET /v1/books HTTP/1.1\r\n" + head + "Content-Length: " + needle + "\r\n\r\n",
			"GET /v1/books HTTP/1.1\r\n" + head + "X-Request-Id: " + needle + "!\r\nGrpc-Timeout: " + needle + "\r\nAccept: " + needle + "\r\n\r\n",
			needle + " /v1/books HTTP/1.1\r\n" + head + "\r\n",
		} {
			r.one(t, request)
		}
		r.frames(t, append(pseudo("GET", "/v1/whoami"), field{"authorization", "Bearer " + tok}), "")
		r.frames(t, append(pseudo("GET", "/v1/whoami"), field{"x-bad\x00", needle}), "")
		othersAreServed(t, r)
		logs := r.logs.String()
		if n := strings.Count(logs, `"msg":"request"`); n < 12 {
			t.Errorf("%d records: the test shows nothing", n)
		}
		for _, secret := range []string{tok, tok[:len(tok)-5], r.apiKey, needle} {
			if at := strings.Index(logs, secret); at >= 0 {
				t.Errorf("the log tells %q: %s", brief(secret), logs[max(0, at-200):at])
			}
		}
	})
}

// A stranger neither joins a trace nor makes one be kept, and makes up no series.
func TestAttackTracesAndMetricsOfAStranger(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319c"
	all := tell(t)
	inBubble(t, all.config, func(t *testing.T, r *running) {
		for _, parent := range []string{"00-" + trace + "-b7ad6b7169203331-01", "00-" + trace + "-b7ad6b7169203331-ff", "ff-" + trace + "-b7ad6b7169203331-01", strings.Repeat("0", 10_000)} {
			r.one(t, "GET /v1/books HTTP/1.1\r\nHost: door\r\nConnection: close\r\nTraceparent: "+parent+"\r\nTracestate: a=b\r\nBaggage: a=b\r\nB3: "+trace+"-b7ad6b7169203331-1\r\n\r\n")
		}
		for i := range 300 {
			r.one(t, fmt.Sprintf("MADE%d /v1/books/%d?a%d=1 HTTP/1.1\r\nHost: door%d\r\nConnection: close\r\nUser-Agent: %d\r\n\r\n", i, i, i, i, i))
		}
		othersAreServed(t, r)
		for _, span := range all.spans.Ended() {
			if span.SpanContext().TraceID().String() == trace || span.Parent().SpanID().String() == "b7ad6b7169203331" {
				t.Errorf("a stranger's trace is continued: %s", span.Name())
			}
			if strings.Contains(span.Name(), "MADE") {
				t.Errorf("a span is named %q", span.Name())
			}
		}
		if got := strings.Split(all.counts("http.server.request.duration"), "\n"); len(got) > 6 {
			t.Errorf("300 paths and methods made %d series: %q", len(got), got)
		}
	})
}
