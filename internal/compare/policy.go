package compare

import (
	"google.golang.org/grpc/balancer/leastrequest"
	"google.golang.org/grpc/balancer/pickfirst"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/balancer/weightedroundrobin"

	"github.com/evenkeel/evenkeel/balancer/choiceoftwo"
	"github.com/evenkeel/evenkeel/internal/ownconfig"
)

// Policy is a balancing policy, as a client names it.
type Policy struct {
	// Name is what it is called here: that of gRPC's registry, or one of our own
	// for a second config of the same policy.
	Name, About string

	registered string
	config     string
}

// Reference is the policy that the others' ratios are over.
const Reference = choiceoftwo.Name

// Policies returns all there are. The config is that of choice_of_two; empty for
// the default.
//
// weighted_round_robin has a shorter blackout period than its default of 10 s,
// half of which would be in the time that is measured. pick_first shuffles, else
// all clients would take the same replica.
func Policies(config string) ([]Policy, error) {
	if _, err := ownconfig.Parse(config); err != nil {
		return nil, err
	}
	if config == "" {
		config = "{}"
	}
	return []Policy{
		{choiceoftwo.Name, "this module's", choiceoftwo.Name, config},
		{roundrobin.Name, "one after the other", roundrobin.Name, `{}`},
		{weightedroundrobin.Name, "gRFC A58, by the reports that come with answers",
			weightedroundrobin.Name, `{"blackoutPeriod":"1s"}`},
		{weightedroundrobin.Name + "_oob", "the same, by out-of-band reports, ten a second",
			weightedroundrobin.Name, `{"blackoutPeriod":"1s","enableOobLoadReport":true,"oobReportingPeriod":"0.1s"}`},
		{leastrequest.Name, "gRFC A48, two choices", leastrequest.Name, `{}`},
		{pickfirst.Name, "any one replica for each client", pickfirst.Name, `{"shuffleAddressList":true}`},
	}, nil
}

// SelectPolicies returns those that names, separated by commas, name; "all" is
// all.
func SelectPolicies(names, config string) ([]Policy, error) {
	all, err := Policies(config)
	if err != nil {
		return nil, err
	}
	return choose("policy", names, all, func(p Policy) string { return p.Name })
}

// serviceConfig is the policy as gRPC takes it.
func (p *Policy) serviceConfig() string {
	return `{"loadBalancingConfig":[{"` + p.registered + `":` + p.config + `}]}`
}
