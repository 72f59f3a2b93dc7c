package problem

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

func TestAProblemIsWrittenAsInRFC9457(t *testing.T) {
	p := FromStatus(ToStatus(codes.InvalidArgument, "it is wrong", FieldError{Field: "a.b[1]", Detail: "too <short>", Reason: "string.min_len"}))
	p.Instance = "abc"
	w := httptest.NewRecorder()
	p.Write(w)
	const want = `{"type":"about:blank","title":"Bad Request","status":400,"detail":"it is wrong","instance":"abc","code":"INVALID_ARGUMENT",` +
		`"errors":[{"field":"a.b[1]","detail":"too \u003cshort\u003e","reason":"string.min_len"}],` +
		`"details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"field":"a.b[1]","description":"too \u003cshort\u003e","reason":"string.min_len"}]}]}`
	if w.Code != 400 || w.Header().Get("Content-Type") != "application/problem+json" || w.Body.String() != want {
		t.Errorf("%d %v\n%s\nwant\n%s", w.Code, w.Header(), w.Body, want)
	}
}

func TestEveryCodeHasAStatusATitleAndAName(t *testing.T) {
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		p := FromStatus(status.New(c, "text"))
		if p.Status < 400 || p.Title == "" || p.GRPCCode() != c || p.Code == "" {
			t.Errorf("%v: %+v", c, p)
		}
	}
	if p := FromStatus(status.New(codes.Code(1000), "secret")); p.Status != 500 || p.Code != "UNKNOWN" || strings.Contains(p.Detail, "secret") {
		t.Errorf("a code that is none: %+v", p)
	}
}

func TestWhatGRPCItselfSaysIsReplaced(t *testing.T) {
	for _, message := range []string{"grpc: received message larger than max (5000 vs. 4194304)", "trying to send message larger than max (5 vs. 1)"} {
		st := status.New(codes.ResourceExhausted, message)
		if p := FromStatus(st); strings.Contains(p.Detail, "max (") || !Withheld(st) {
			t.Errorf("%+v", p)
		}
	}
	if st := status.New(codes.NotFound, "no movie 7"); Withheld(st) || FromStatus(st).Detail != "no movie 7" {
		t.Error("a service's own words are replaced")
	}
}

func TestBrokenDetailsAreLeftOut(t *testing.T) {
	st := status.FromProto(&spb.Status{Code: int32(codes.NotFound), Message: "m", Details: []*anypb.Any{
		{TypeUrl: "type.googleapis.com/google.rpc.ErrorInfo", Value: []byte{0xff}},
		{TypeUrl: "evil", Value: []byte("x")}, {}, nil,
		{TypeUrl: "evil.example.com/google.rpc.DebugInfo", Value: nil},
	}})
	if p := FromStatus(st); len(p.Details) != 0 {
		t.Errorf("details %s", p.Details)
	}
}

func TestRetryAfterIsRoundedUp(t *testing.T) {
	for delay, want := range map[time.Duration]string{time.Millisecond: "1", time.Second: "1", 1500 * time.Millisecond: "2", 0: "", -time.Second: ""} {
		st, err := status.New(codes.Unavailable, "").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		FromStatus(st).Write(w)
		if got := w.Header().Get("Retry-After"); got != want {
			t.Errorf("%v: %q, want %q", delay, got, want)
		}
	}
}

func FuzzFromStatus(f *testing.F) {
	f.Add(5, "text", "type.googleapis.com/google.rpc.BadRequest", []byte("\n\x03\n\x01a"))
	f.Add(13, "\xff", "type.googleapis.com/google.rpc.RetryInfo", []byte("\n\x02\x08\x01"))
	f.Fuzz(func(t *testing.T, c int, message, typeURL string, value []byte) {
		if c == 0 {
			return
		}
		st := status.FromProto(&spb.Status{Code: int32(c), Message: message, Details: []*anypb.Any{{TypeUrl: typeURL, Value: value}}})
		w := httptest.NewRecorder()
		FromStatus(st).Write(w)
		if w.Code < 400 || w.Code > 599 || !json.Valid(w.Body.Bytes()) || http.StatusText(w.Code) == "" && w.Code != 499 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
