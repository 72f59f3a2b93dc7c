package resource_test

import (
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	moviev1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/movie/v1"
)

// want fails the test unless err has the code.
func want(t *testing.T, err error, code codes.Code) *status.Status {
	t.Helper()
	s := status.Convert(err)
	if s.Code() != code {
		t.Fatalf("got %v, want %v", err, code)
	}
	return s
}

// detail is the error's detail of that type.
func detail[D proto.Message](t *testing.T, s *status.Status) D {
	t.Helper()
	for _, d := range s.Details() {
		if d, ok := d.(D); ok {
			return d
		}
	}
	t.Fatalf("%v has no such detail: %v", s, s.Details())
	panic("unreachable")
}

// wantField fails the test unless err is InvalidArgument and names the field.
func wantField(t *testing.T, err error, field string) string {
	t.Helper()
	bad := detail[*errdetails.BadRequest](t, want(t, err, codes.InvalidArgument))
	i := slices.IndexFunc(bad.FieldViolations, func(v *errdetails.BadRequest_FieldViolation) bool { return v.Field == field })
	if i < 0 {
		t.Fatalf("%v does not name %s", bad, field)
	}
	return bad.FieldViolations[i].Description
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// same fails the test unless both are equal.
func same(t *testing.T, got, want proto.Message) {
	t.Helper()
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func title(m *moviev1.Movie) string { return m.GetTitle() }
