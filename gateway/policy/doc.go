// Package policy decides by roles and conditions whether a caller that is let in
// by its scopes may make this very call.
//
// A method says what must be true in its option evenkeel.gateway.v1.policy:
//
//	rpc DeleteBook(DeleteBookRequest) returns (google.protobuf.Empty) {
//	  option (evenkeel.gateway.v1.access) = {authenticated: true};
//	  option (evenkeel.gateway.v1.policy) = {
//	    any_role: ["librarian"]
//	    conditions: {
//	      id: "own-shelf"
//	      expression: "request.name.startsWith('shelves/' + principal.subject + '/')"
//	      message: "books can be deleted from one's own shelf only"
//	    }
//	  };
//	}
//
// A program compiles it when it starts, which finds what is misspelt or of the
// wrong type, and asks it for each call:
//
//	engine, err := policy.New(policy.Config{Roles: []policy.Role{{
//		Name: "librarian", Scopes: []string{"books.admin"},
//	}}})
//	…
//	rules, err := engine.Compile(method)
//	…
//	decision := rules.Admit(ctx, caller)           // before the request is read
//	…
//	decision = rules.Check(ctx, caller, request)   // once it is
//
// Nothing that a policy says opens what the option access closes. What cannot be
// evaluated is refused.
//
// # Conditions
//
// They are expressions of the Common Expression Language that are true or false.
// These are known in them:
//
//	principal  the caller, an evenkeel.gateway.v1.Principal: principal.subject,
//	           .issuer, .scopes and .method; all empty if nobody is known
//	roles      the caller's roles, a list of strings
//	address    where the call comes from, a string; empty if that is not known
//	now        the time, a google.protobuf.Timestamp
//	request    the request message, with its own type
//
// and besides the standard functions those for sets and for IP addresses:
//
//	cidr('10.0.0.0/8').containsIP(ip(address))
//
// What a condition costs is bounded, whatever is in the request.
//
// # Sources
//
// The language definition of cel.dev; NIST RBAC for roles; Envoy's RBAC filter
// and google.iam for conditions.
package policy
