package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/ext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/evenkeel/evenkeel/gateway/auth"
	"github.com/evenkeel/evenkeel/gateway/internal/access"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

// Config says what roles there are and how much a condition may cost.
type Config struct {
	// Roles are those that policies can name.
	Roles []Role

	// CostLimit bounds the steps of one condition, in units of CEL's cost: a
	// comparison is one, reading a string one for every ten bytes. 100 to
	// 10,000,000; default 100,000, which is some milliseconds.
	CostLimit uint64

	// Now is the clock. Default [time.Now].
	Now func() time.Time
}

// A Role is a name for callers. Who holds all of its scopes, or is one of its
// members, has it.
type Role struct {
	// Name is how policies call it: 1 to 64 letters, digits, `-`, `_`, `.`.
	Name string
	// Scopes are what gives the role, all together. None gives it to nobody.
	Scopes []string
	// Members have it whatever their scopes.
	Members []Member
}

// A Member is a caller by name.
type Member struct {
	// Issuer is who vouches for Subject, as in [auth.Principal].
	Issuer string
	// Subject is who it is.
	Subject string
}

// An Engine compiles policies. Its methods may be called concurrently.
type Engine struct {
	config Config
	// env is made when there is a condition: it takes half a MiB.
	env   func() (*cel.Env, error)
	names map[string]bool
}

// maxExpression bounds an expression; longer ones are programs.
const maxExpression = 4096

// New returns an engine. An error names the field of config that is wrong.
func New(config Config) (*Engine, error) {
	if config.CostLimit == 0 {
		config.CostLimit = 100_000
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	e := &Engine{config: config, names: map[string]bool{}, env: sync.OnceValues(newEnv)}
	if err := cmp.Or(e.checkRoles(), e.checkCost()); err != nil {
		return nil, fmt.Errorf("policy: Config.%w", err)
	}
	return e, nil
}

// newEnv returns what conditions are compiled in.
func newEnv() (*cel.Env, error) {
	return cel.NewEnv(
		cel.Types(&gatewayv1.Principal{}),
		cel.Variable("principal", cel.ObjectType("evenkeel.gateway.v1.Principal")),
		cel.Variable("roles", cel.ListType(cel.StringType)),
		cel.Variable("address", cel.StringType),
		cel.Variable("now", cel.TimestampType),
		ext.Sets(), ext.Network(),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(64),
		cel.DefaultUTCTimeZone(true),
		cel.ExtendedValidations(),
	)
}

// Config returns how e judges, with the defaults set.
func (e *Engine) Config() Config { return e.config }

func (e *Engine) checkCost() error {
	const least, most = 100, 10_000_000
	if e.config.CostLimit < least || e.config.CostLimit > most {
		return fmt.Errorf("CostLimit: %d is out of range; %d to %d", e.config.CostLimit, least, most)
	}
	return nil
}

func (e *Engine) checkRoles() error {
	for i, role := range e.config.Roles {
		switch {
		case !validName(role.Name, true):
			return fmt.Errorf("Roles[%d].Name: %q: must be 1 to 64 letters, digits, `-`, `_`, `.`", i, role.Name)
		case e.names[role.Name]:
			return fmt.Errorf("Roles[%d].Name: %q is there twice", i, role.Name)
		case len(role.Scopes) == 0 && len(role.Members) == 0:
			return fmt.Errorf("Roles[%d]: %q has neither Scopes nor Members: nobody would have it", i, role.Name)
		case slices.Contains(role.Scopes, ""):
			return fmt.Errorf("Roles[%d].Scopes: %q: a scope is empty", i, role.Name)
		}
		for j, m := range role.Members {
			if m.Subject == "" {
				return fmt.Errorf("Roles[%d].Members[%d].Subject: must name a caller", i, j)
			}
		}
		e.names[role.Name] = true
	}
	return nil
}

// RolesOf returns the names of the roles that a caller has, in the order of the
// config; none for nil.
func (e *Engine) RolesOf(p *auth.Principal) []string {
	roles := []string{}
	if p == nil {
		return roles
	}
	for _, role := range e.config.Roles {
		if len(role.Scopes) > 0 && p.HasScopes(role.Scopes) || slices.Contains(role.Members, Member{p.Issuer, p.Subject}) {
			roles = append(roles, role.Name)
		}
	}
	return roles
}

// Compile returns the rules of a method, by its option
// evenkeel.gateway.v1.policy; nil if it has none. Errors name the method and the
// field.
func (e *Engine) Compile(method protoreflect.MethodDescriptor) (*Rules, error) {
	options := method.Options()
	if options == nil || !proto.HasExtension(options, gatewayv1.E_Policy) {
		return nil, nil
	}
	declared, _ := proto.GetExtension(options, gatewayv1.E_Policy).(*gatewayv1.Policy)
	rules, err := e.compile(method, declared)
	if err != nil {
		return nil, fmt.Errorf("policy: %s: option (evenkeel.gateway.v1.policy): %w", method.FullName(), err)
	}
	return rules, nil
}

func (e *Engine) compile(method protoreflect.MethodDescriptor, declared *gatewayv1.Policy) (*Rules, error) {
	r := &Rules{engine: e, anyRole: slices.Clone(declared.GetAnyRole())}
	for i, role := range r.anyRole {
		if !e.names[role] {
			return nil, fmt.Errorf("any_role[%d]: %q is none of the roles that there are: %v", i, role, e.roleNames())
		}
	}
	if rule, err := access.Of(method); err == nil && rule.Public() && len(r.anyRole) > 0 {
		return nil, errors.New("any_role: the method is public, so that it may be called by nobody in particular, who has no role; say access: {authenticated: true}")
	}
	switch {
	case len(r.anyRole)+len(declared.GetConditions()) == 0:
		return nil, errors.New("it says nothing; set any_role or conditions, or leave it out")
	case len(declared.GetConditions()) == 0:
		return r, nil
	}
	env, err := e.env()
	if err == nil {
		env, err = env.Extend(
			cel.Types(dynamicpb.NewMessage(method.Input())),
			cel.Variable("request", cel.ObjectType(string(method.Input().FullName()))),
		)
	}
	if err != nil {
		return nil, err
	}
	ids := map[string]bool{}
	for i, c := range declared.GetConditions() {
		if !validName(c.GetId(), false) {
			return nil, fmt.Errorf("conditions[%d].id: %q: must be 1 to 64 lower-case letters, digits, `-`, `_`, `.`", i, c.GetId())
		}
		if ids[c.GetId()] {
			return nil, fmt.Errorf("conditions[%d].id: %q is there twice", i, c.GetId())
		}
		ids[c.GetId()] = true
		compiled, err := e.compileCondition(env, c)
		if err != nil {
			return nil, fmt.Errorf("conditions[%d].expression: %w", i, err)
		}
		r.conditions = append(r.conditions, compiled)
	}
	return r, nil
}

func (e *Engine) roleNames() []string {
	names := make([]string, 0, len(e.config.Roles))
	for _, role := range e.config.Roles {
		names = append(names, role.Name)
	}
	return names
}

func (e *Engine) compileCondition(env *cel.Env, c *gatewayv1.Condition) (*condition, error) {
	if strings.TrimSpace(c.GetExpression()) == "" {
		return nil, errors.New("it is empty")
	}
	ast, issues := env.Compile(c.GetExpression())
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	if ast.OutputType() != cel.BoolType {
		return nil, fmt.Errorf("it is of type %s; it must be bool", ast.OutputType())
	}
	program, err := env.Program(ast,
		cel.EvalOptions(cel.OptOptimize),
		cel.CostLimit(e.config.CostLimit),
		cel.InterruptCheckFrequency(100),
	)
	if err != nil {
		return nil, err
	}
	compiled := &condition{id: c.GetId(), message: c.GetMessage(), program: program}
	if compiled.message == "" {
		compiled.message = "the condition `" + c.GetId() + "` is not met"
	}
	for _, reference := range ast.NativeRep().ReferenceMap() {
		compiled.onRequest = compiled.onRequest || reference.Name == "request"
	}
	return compiled, nil
}

func validName(s string, upper bool) bool {
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (!upper || r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}) < 0
}
