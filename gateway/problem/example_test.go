package problem_test

import (
	"fmt"
	"net/http/httptest"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/problem"
)

// Any handler can answer with what a call failed with, and nothing that is not
// for its caller.
func Example() {
	for _, err := range []error{
		status.Error(codes.NotFound, "there is no movie movies/7"),
		status.Error(codes.Internal, "dial tcp 10.0.0.7:5432: connection refused"),
	} {
		p := problem.FromStatus(status.Convert(err))
		p.ExplainAt("https://docs.example.com/problems")
		w := httptest.NewRecorder()
		p.Write(w)
		fmt.Println(w.Code, w.Body)
	}
	// Output:
	// 404 {"type":"https://docs.example.com/problems#404-not-found","title":"Not Found","status":404,"detail":"there is no movie movies/7","code":"NOT_FOUND"}
	// 500 {"type":"https://docs.example.com/problems#500-internal","title":"Internal Server Error","status":500,"detail":"something went wrong inside; the log holds more under this instance","code":"INTERNAL"}
}
