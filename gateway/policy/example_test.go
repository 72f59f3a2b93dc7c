package policy_test

import (
	"context"
	"fmt"

	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/policy"
)

func Example() {
	engine, err := policy.New(policy.Config{Roles: []policy.Role{
		{Name: "librarian", Scopes: []string{"books.admin"}},
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	// A method without the option evenkeel.gateway.v1.policy has no rules, and
	// those allow.
	service := testv1.File_evenkeel_test_v1_library_proto.Services().ByName("LibraryService")
	rules, err := engine.Compile(service.Methods().ByName("GetBook"))
	if err != nil {
		fmt.Println(err)
		return
	}
	caller := policy.Caller{Principal: &auth.Principal{Subject: "ada", Scopes: []string{"books.admin"}}}
	decision := rules.Admit(context.Background(), caller)
	fmt.Println(decision.Allowed(), engine.RolesOf(caller.Principal))
	// Output: true [librarian]
}
