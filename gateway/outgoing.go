package gateway

import (
	"context"
	"encoding/base64"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/identity"
)

// Where a request comes from, as the generated handlers say it, too: the caller,
// as far as trusted proxies tell, and the last of these.
const (
	forwardedForMetadata  = "x-forwarded-for"
	forwardedHostMetadata = "x-forwarded-host"
)

// forwarded is a request header that goes upstream as metadata.
type forwarded struct {
	header, key string
	binary      bool // in base64 here, and as it is there
}

func forwardedOf(headers []string) []forwarded {
	var all []forwarded
	for _, name := range headers {
		key := strings.ToLower(name)
		all = append(all, forwarded{header: name, key: key, binary: strings.HasSuffix(key, "-bin")})
	}
	return all
}

// value returns what goes upstream of a header's value, and whether it can: what
// is no text is left behind, since gRPC would refuse the call for it.
func (f *forwarded) value(given string) (string, bool, error) {
	if !f.binary {
		return given, isMetadataText(given), nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(given, "="))
	if err != nil {
		return "", false, status.Errorf(codes.InvalidArgument, "the header %s is not base64", f.header)
	}
	return string(raw), true, nil
}

// isMetadataText is ASCII-Value of the gRPC protocol.
func isMetadataText(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// outgoing returns the context that a unary call is made with. Its metadata are
// all that goes upstream of the request's headers. No key is there twice but of
// a header that is: see unfitToForward for those that the gateway sets itself.
func (x *exchange) outgoing(ctx context.Context) (context.Context, error) {
	if _, there := metadata.FromOutgoingContext(ctx); there {
		ctx = metadata.NewOutgoingContext(ctx, nil) // they are not the request's
	}
	var room [16]string // that most requests fit into
	pairs := room[:0]
	for i := range x.gateway.forwarded {
		f := &x.gateway.forwarded[i]
		for _, given := range x.request.Header[f.header] {
			value, fits, err := f.value(given)
			if err != nil {
				return nil, err
			}
			if fits {
				pairs = append(pairs, f.key, value)
			}
		}
	}
	if host := x.request.Host; host != "" && isMetadataText(host) {
		pairs = append(pairs, forwardedHostMetadata, host)
	}
	if from := remoteHost(x.request); from != "" && isMetadataText(from) {
		if first := x.behind(); first != "" {
			from = first + ", " + from
		}
		pairs = append(pairs, forwardedForMetadata, from)
	}
	pairs = append(pairs, requestIDMetadata, x.id)
	pairs, err := identity.AppendPair(pairs, x.principal)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "the caller's identity cannot be sent: %v", err)
	}
	x.context = callContext{ctx, x}
	return x.observed.Inject(metadata.AppendToOutgoingContext(&x.context, pairs...)), nil
}

// callContext is what a unary call is made in. It tells which exchange the call
// belongs to, and by which template its route was found.
type callContext struct {
	context.Context
	exchange *exchange
}

// Value implements [context.Context].
func (c *callContext) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return c.exchange
	}
	if told := c.exchange.binding.told.Value(key); told != nil {
		return told
	}
	return c.Context.Value(key)
}
