package gateway

import (
	"context"
	"encoding/base64"
	"net"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/evenkeel/evenkeel/gateway/identity"
)

// Where a request comes from, as the generated handlers say it, too.
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
// all that goes upstream of the request's headers.
func (x *exchange) outgoing(ctx context.Context) (context.Context, error) {
	md := make(metadata.MD, 8)
	values := make([]string, 0, 4) // that most requests have
	set := func(key, value string) {
		values = append(values, value)
		md[key] = values[len(values)-1 : len(values) : len(values)]
	}
	for i := range x.gateway.forwarded {
		f := &x.gateway.forwarded[i]
		for _, given := range x.request.Header[f.header] {
			value, fits, err := f.value(given)
			if err != nil {
				return nil, err
			}
			if fits {
				md[f.key] = append(md[f.key], value)
			}
		}
	}
	if host := x.request.Host; host != "" && isMetadataText(host) {
		set(forwardedHostMetadata, host)
	}
	if from, _, err := net.SplitHostPort(x.request.RemoteAddr); err == nil && isMetadataText(from) {
		set(forwardedForMetadata, from)
	}
	set(requestIDMetadata, x.id)
	if err := identity.Assert(md, x.principal); err != nil {
		return nil, status.Errorf(codes.Internal, "the caller's identity cannot be sent: %v", err)
	}
	ctx = metadata.NewOutgoingContext(context.WithValue(ctx, exchangeKey{}, x), md)
	return x.observed.Inject(x.binding.tellTemplate(ctx)), nil
}
