package policy_test

import (
	"context"
	"fmt"

	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/policy"
)

// A method that declares
//
//	option (evenkeel.gateway.v1.policy) = {
//	  any_role: ["librarian"]
//	  conditions: {
//	    id: "own-shelf"
//	    expression: "request.name == 'shelves/' + principal.subject"
//	    message: "librarians guard their own shelf"
//	  }
//	};
func Example() {
	engine, err := policy.New(policy.Config{Roles: []policy.Role{
		{Name: "librarian", Scopes: []string{"books.admin"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	service := testv1.File_evenkeel_test_v1_library_proto.Services().ByName("LibraryService")
	rules, err := engine.Compile(service.Methods().ByName("Guard"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	bob := policy.Caller{Principal: &auth.Principal{Subject: "bob"}}
	fmt.Println(rules.Admit(ctx, bob).Reason())

	ada := policy.Caller{Principal: &auth.Principal{Subject: "ada", Scopes: []string{"books.admin"}}}
	fmt.Println(rules.Admit(ctx, ada).Allowed())
	for _, name := range []string{"shelves/ada", "shelves/bob"} {
		decision := rules.Check(ctx, ada, &testv1.GuardRequest{Name: name})
		fmt.Println(name, decision.Allowed())
		if p := decision.Problem(); p != nil {
			fmt.Println(decision.Rule(), p.Status, p.Detail)
		}
	}
	// Output:
	// the caller has the roles [], and the method needs one of [librarian]
	// true
	// shelves/ada true
	// shelves/bob false
	// own-shelf 403 librarians guard their own shelf
}
