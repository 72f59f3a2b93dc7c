package identity

import (
	"context"
	"errors"
	"slices"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/auth"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

const (
	// MetadataKey holds the caller as a serialized evenkeel.gateway.v1.Principal.
	MetadataKey = "evenkeel-principal-bin"

	// MetadataPrefix starts every key that is reserved for identity. Keys that
	// start so are dropped wherever they come from outside.
	MetadataPrefix = "evenkeel-principal"

	// maxEncoded bounds what is decoded. A principal is some hundred bytes.
	maxEncoded = 16 << 10
)

// AppendToOutgoing returns a context whose outgoing metadata says that the call
// is made on behalf of p, or of nobody if p is nil, whatever it said before.
func AppendToOutgoing(ctx context.Context, p *auth.Principal) (context.Context, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	if md == nil {
		md = metadata.MD{}
	}
	if err := Assert(md, p); err != nil {
		return nil, err
	}
	return metadata.NewOutgoingContext(ctx, md), nil
}

// Assert does for metadata, which it changes, what [AppendToOutgoing] does for
// those of a context.
func Assert(md metadata.MD, p *auth.Principal) error {
	strip(md)
	if p == nil {
		return nil
	}
	encoded, err := proto.Marshal(&gatewayv1.Principal{
		Subject: p.Subject, Issuer: p.Issuer, Scopes: p.Scopes, Method: string(p.Method),
	})
	if err != nil {
		return err
	}
	md[MetadataKey] = []string{string(encoded)}
	return nil
}

// takeFromIncoming returns the principal that the incoming metadata asserts, if
// any, and a context whose metadata does not.
func takeFromIncoming(ctx context.Context) (context.Context, *auth.Principal, error) {
	md, ok := metadata.FromIncomingContext(ctx)
	if !ok {
		return ctx, nil, nil
	}
	asserted := md[MetadataKey]
	if strip(md) {
		ctx = metadata.NewIncomingContext(ctx, md)
	}
	if len(asserted) == 0 {
		return ctx, nil, nil
	}
	if len(asserted) > 1 {
		return ctx, nil, errors.New("it is asserted more than once")
	}
	p, err := decode(asserted[0])
	return ctx, p, err
}

func decode(encoded string) (*auth.Principal, error) {
	if len(encoded) > maxEncoded {
		return nil, errors.New("it is too long")
	}
	var msg gatewayv1.Principal
	if err := proto.Unmarshal([]byte(encoded), &msg); err != nil {
		return nil, errors.New("it cannot be decoded")
	}
	if msg.GetSubject() == "" {
		return nil, errors.New("it names no subject")
	}
	scopes := slices.Clone(msg.GetScopes())
	slices.Sort(scopes)
	return &auth.Principal{
		Subject: msg.GetSubject(), Issuer: msg.GetIssuer(), Method: auth.Method(msg.GetMethod()),
		Scopes: slices.Compact(scopes),
	}, nil
}

// strip deletes the reserved keys and reports whether there were any.
func strip(md metadata.MD) (stripped bool) {
	for key := range md {
		if strings.HasPrefix(strings.ToLower(key), MetadataPrefix) {
			delete(md, key)
			stripped = true
		}
	}
	return stripped
}
