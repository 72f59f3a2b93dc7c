package policy_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/evenkeel/evenkeel/gateway/auth"
	testv1 "github.com/evenkeel/evenkeel/gateway/internal/testproto/evenkeel/test/v1"
	"github.com/evenkeel/evenkeel/gateway/policy"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// method returns one that takes a CreateBookRequest and declares p.
func method(t testing.TB, p *gatewayv1.Policy, public bool) protoreflect.MethodDescriptor {
	t.Helper()
	options := &descriptorpb.MethodOptions{}
	rule := &gatewayv1.Access{Rule: &gatewayv1.Access_Authenticated{Authenticated: true}}
	if public {
		rule = &gatewayv1.Access{Rule: &gatewayv1.Access_Public{Public: true}}
	}
	proto.SetExtension(options, gatewayv1.E_Access, rule)
	if p != nil {
		proto.SetExtension(options, gatewayv1.E_Policy, p)
	}
	request := testv1.File_evenkeel_test_v1_library_proto
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("t.proto"), Package: proto.String("t"), Syntax: proto.String("proto3"), Dependency: []string{request.Path()},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("S"), Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("M"), InputType: proto.String(".evenkeel.test.v1.CreateBookRequest"), OutputType: proto.String(".evenkeel.test.v1.Book"), Options: options,
		}}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	return file.Services().Get(0).Methods().Get(0)
}

func newEngine(t testing.TB) *policy.Engine {
	t.Helper()
	e, err := policy.New(policy.Config{
		CostLimit: 1000,
		Now:       func() time.Time { return time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC) },
		Roles: []policy.Role{
			{Name: "librarian", Scopes: []string{"books.read", "books.admin"}},
			{Name: "founder", Members: []policy.Member{{Issuer: "https://id", Subject: "ada"}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func compile(t testing.TB, p *gatewayv1.Policy) *policy.Rules {
	t.Helper()
	r, err := newEngine(t).Compile(method(t, p, false))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func condition(expression string) *gatewayv1.Policy {
	return &gatewayv1.Policy{Conditions: []*gatewayv1.Condition{{Id: "c", Expression: expression}}}
}

var ada = policy.Caller{
	Principal: &auth.Principal{Issuer: "https://id", Subject: "ada", Scopes: []string{"books.read"}, Method: auth.MethodJWT},
	Address:   netip.MustParseAddr("::ffff:10.1.2.3"),
}

func decide(r *policy.Rules, caller policy.Caller, request proto.Message) policy.Decision {
	if d := r.Admit(context.Background(), caller); !d.Allowed() {
		return d
	}
	return r.Check(context.Background(), caller, request)
}

func TestConditionsSeeTheCallerAndTheRequest(t *testing.T) {
	request := &testv1.CreateBookRequest{Parent: "shelves/ada", Book: &testv1.Book{Title: "x", Labels: map[string]string{"k": "v"}}}
	for expression, want := range map[string]bool{
		"principal.subject == 'ada' && principal.issuer == 'https://id'": true,
		"'books.read' in principal.scopes":                               true,
		"'books.write' in principal.scopes":                              false,
		"principal.method == 'jwt'":                                      true,
		"'founder' in roles":                                             true,
		"sets.intersects(roles, ['librarian', 'cook'])":                  false,
		"cidr('10.0.0.0/8').containsIP(ip(address))":                     true,
		"cidr('192.168.0.0/16').containsIP(ip(address))":                 false,
		"now.getDayOfWeek() == 1 && now.getHours() == 12":                true,
		"request.parent == 'shelves/' + principal.subject":               true,
		"request.parent.startsWith('shelves/bob')":                       false,
		"has(request.book) && request.book.labels['k'] == 'v'":           true,
		"has(request.book.page_count)":                                   false,
		"request.book.labels['none'] == 'v'":                             false, // cannot be evaluated
		"true":                                                           true,
		"false":                                                          false,
	} {
		d := decide(compile(t, condition(expression)), ada, request)
		if d.Allowed() != want || d.Reason() == "" || (d.Rule() == "c") != !want {
			t.Errorf("%s: %+v", expression, d)
		}
	}
}

func TestWhoIsNotKnownHasNothing(t *testing.T) {
	for expression, want := range map[string]bool{
		"principal.subject == '' && size(principal.scopes) == 0 && size(roles) == 0 && address == ''": true,
		"principal.subject == 'ada'": false,
	} {
		if d := decide(compile(t, condition(expression)), policy.Caller{}, &testv1.CreateBookRequest{}); d.Allowed() != want {
			t.Errorf("%s: %+v", expression, d)
		}
	}
}

func TestARoleComesFromScopesOrByName(t *testing.T) {
	r := compile(t, &gatewayv1.Policy{AnyRole: []string{"librarian", "founder"}})
	for name, c := range map[string]struct {
		principal *auth.Principal
		want      bool
	}{
		"nobody":          {nil, false},
		"all scopes":      {&auth.Principal{Subject: "x", Scopes: []string{"books.admin", "books.read"}}, true},
		"one scope":       {&auth.Principal{Subject: "x", Scopes: []string{"books.admin"}}, false},
		"by name":         {&auth.Principal{Issuer: "https://id", Subject: "ada"}, true},
		"another's issue": {&auth.Principal{Issuer: "https://evil", Subject: "ada"}, false},
	} {
		d := r.Admit(t.Context(), policy.Caller{Principal: c.principal})
		if d.Allowed() != c.want {
			t.Errorf("%s: %+v", name, d)
		}
		if !c.want && (d.Rule() != "any_role" || d.Problem().Status != 403 || d.Problem().Code != "PERMISSION_DENIED" || len(d.LogAttrs()) != 3) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestTheRequestIsLookedAtOnlyWhereItIsNeeded(t *testing.T) {
	early := compile(t, condition("principal.subject == 'bob'"))
	if early.OnRequest() || early.Admit(t.Context(), ada).Allowed() || !early.Check(t.Context(), ada, &testv1.CreateBookRequest{}).Allowed() {
		t.Error("a condition on the caller waits for the request")
	}
	late := compile(t, condition("[1, 2].exists(x, x == size(request.parent))"))
	if !late.OnRequest() || !late.Admit(t.Context(), ada).Allowed() || late.Check(t.Context(), ada, &testv1.CreateBookRequest{}).Allowed() {
		t.Error("a condition on the request does not")
	}
	var none *policy.Rules
	if none.OnRequest() || !none.Admit(t.Context(), ada).Allowed() || !none.Check(t.Context(), ada, nil).Allowed() || none.Admit(t.Context(), ada).Problem() != nil {
		t.Error("no policy refuses")
	}
	if r, err := newEngine(t).Compile(method(t, nil, false)); r != nil || err != nil {
		t.Error(r, err)
	}
}

func TestTheCallerIsToldTheMessageAndTheLogTheReason(t *testing.T) {
	r := compile(t, &gatewayv1.Policy{Conditions: []*gatewayv1.Condition{
		{Id: "first", Expression: "true"},
		{Id: "own-shelf", Expression: "request.book.labels['secret'] == 'x'", Message: "only your own"},
	}})
	d := r.Check(t.Context(), ada, &testv1.CreateBookRequest{})
	if p := d.Problem(); p.Detail != "only your own" || d.Rule() != "own-shelf" || !strings.Contains(d.Reason(), "could not be evaluated") || strings.Contains(d.Reason(), "secret") {
		t.Errorf("%+v %+v", d, p)
	}
	if p := compile(t, condition("false")).Admit(t.Context(), ada).Problem(); p.Detail != "the condition `c` is not met" {
		t.Errorf("%+v", p)
	}
}

func TestAConditionCostsNoMoreThanItsLimit(t *testing.T) {
	r := compile(t, condition("request.parent.matches('(a|b)*c') || [1,2,3,4,5,6,7,8,9].all(x, [1,2,3,4,5,6,7,8,9].all(y, [1,2,3,4,5,6,7,8,9].all(z, x + y + z > 0)))"))
	d := r.Check(t.Context(), ada, &testv1.CreateBookRequest{Parent: strings.Repeat("a", 1<<20)})
	if d.Allowed() || !strings.Contains(d.Reason(), "costs more") {
		t.Errorf("%+v", d)
	}
}

func TestACallThatEndedIsRefused(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	list := "[" + strings.Repeat("1,", 200) + "1]"
	if d := compile(t, condition(list+".all(x, x + size(principal.subject) > 0)")).Admit(ctx, ada); d.Allowed() {
		t.Errorf("%+v", d)
	}
}

func TestAPolicyThatIsWrongIsRefusedByMethodAndField(t *testing.T) {
	engine := newEngine(t)
	for want, p := range map[string]*gatewayv1.Policy{
		"it says nothing": {},
		"any_role[1]: \"cook\" is none of the roles that there are: [librarian founder]": {AnyRole: []string{"founder", "cook"}},
		"conditions[0].id: \"\": must be":                                                {Conditions: []*gatewayv1.Condition{{Expression: "true"}}},
		"conditions[0].id: \"A\": must be":                                               {Conditions: []*gatewayv1.Condition{{Id: "A", Expression: "true"}}},
		"conditions[1].id: \"c\" is there twice":                                         {Conditions: []*gatewayv1.Condition{{Id: "c", Expression: "true"}, {Id: "c", Expression: "true"}}},
		"conditions[0].expression: it is empty":                                          condition(" "),
		"conditions[0].expression: it is of type string; it must be":                     condition("principal.subject"),
		"conditions[0].expression: ERROR: <input>:1:8: undefined field":                  condition("request.nothing == ''"),
		"conditions[0].expression: ERROR: <input>:1:1: undeclared":                       condition("requst.parent == ''"),
		"conditions[0].expression: ERROR: <input>:1:16: found no match":                  condition("request.parent == 1"),
		"conditions[0].expression: ERROR: <input>:1:6: Syntax error":                     condition("true &"),
		"conditions[0].expression: ERROR: <input>:1:13: invalid matches":                 condition("'a'.matches('(')"),
		"conditions[0].expression: ERROR: <input>:-1:0: expression code":                 condition(strings.Repeat(" ", 5000) + "true"),
	} {
		_, err := engine.Compile(method(t, p, false))
		if err == nil || !strings.HasPrefix(err.Error(), "policy: t.S.M: option (evenkeel.gateway.v1.policy): "+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := engine.Compile(method(t, &gatewayv1.Policy{AnyRole: []string{"founder"}}, true)); err == nil || !strings.Contains(err.Error(), "any_role: the method is public") {
		t.Error(err)
	}
}

func TestAConfigThatIsWrongIsRefusedByField(t *testing.T) {
	for want, config := range map[string]policy.Config{
		"CostLimit: 1 is out of range":               {CostLimit: 1},
		"Roles[0].Name: \"a b\"":                     {Roles: []policy.Role{{Name: "a b", Scopes: []string{"x"}}}},
		"Roles[1].Name: \"a\" is there twice":        {Roles: []policy.Role{{Name: "a", Scopes: []string{"x"}}, {Name: "a", Scopes: []string{"x"}}}},
		"Roles[0]: \"a\" has neither Scopes":         {Roles: []policy.Role{{Name: "a"}}},
		"Roles[0].Scopes: \"a\": a scope is empty":   {Roles: []policy.Role{{Name: "a", Scopes: []string{""}}}},
		"Roles[0].Members[0].Subject: must name a c": {Roles: []policy.Role{{Name: "a", Members: []policy.Member{{Issuer: "i"}}}}},
	} {
		if _, err := policy.New(config); err == nil || !strings.HasPrefix(err.Error(), "policy: Config."+want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// Whatever an expression is, it is refused at start or decides within its cost,
// without a panic.
func FuzzCondition(f *testing.F) {
	for _, seed := range []string{
		"true", "request.parent == ''", "request.book.labels.all(k, k != '')", "roles.exists(r, r == 'x')", "timestamp(request.parent) < now",
		"request.parent.matches(address)", "[1].map(x, x / 0)[0] == 1", "{'a': 1}[request.parent] == 1", "duration(address) > duration('1s')", "ip(address).family() == 4",
	} {
		f.Add(seed, "shelves/1")
	}
	engine := newEngine(f)
	f.Fuzz(func(t *testing.T, expression, parent string) {
		r, err := engine.Compile(method(t, condition(expression), false))
		if err != nil {
			return
		}
		d := decide(r, ada, &testv1.CreateBookRequest{Parent: parent, Book: &testv1.Book{}})
		if !d.Allowed() && d.Reason() == "" {
			t.Errorf("%q: refused without a reason", expression)
		}
	})
}
