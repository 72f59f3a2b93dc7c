package identity

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protowire"
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
	strip(md)
	pair, err := AppendPair(nil, p)
	if err != nil {
		return nil, err
	}
	return metadata.AppendToOutgoingContext(metadata.NewOutgoingContext(ctx, md), pair...), nil
}

// AppendPair adds what says that a call is made on behalf of p, or nothing if p
// is nil, to keys and values as [metadata.AppendToOutgoingContext] takes them.
// There must be no key among them that starts with [MetadataPrefix].
func AppendPair(pairs []string, p *auth.Principal) ([]string, error) {
	if p == nil {
		return pairs, nil
	}
	encoded, err := encode(p)
	if err != nil {
		return nil, err
	}
	return append(pairs, MetadataKey, encoded), nil
}

// encode writes p as an evenkeel.gateway.v1.Principal. It does so field by field,
// since a door makes one for each request; a test holds it to proto.Marshal.
func encode(p *auth.Principal) (string, error) {
	for _, scope := range p.Scopes {
		if !utf8.ValidString(scope) {
			return "", errNotUTF8
		}
	}
	if !utf8.ValidString(p.Subject) || !utf8.ValidString(p.Issuer) || !utf8.ValidString(string(p.Method)) {
		return "", errNotUTF8
	}
	var room [256]byte // that most principals fit into
	b := appendField(room[:0], 1, p.Subject)
	b = appendField(b, 2, p.Issuer)
	for _, scope := range p.Scopes {
		b = appendElement(b, 3, scope)
	}
	return string(appendField(b, 4, string(p.Method))), nil
}

var errNotUTF8 = errors.New("it is not UTF-8")

// appendField writes a string that is a field, which proto3 leaves out if it is
// empty.
func appendField(b []byte, number protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendElement(b, number, s)
}

// appendElement writes a string that is one of a list.
func appendElement(b []byte, number protowire.Number, s string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), s)
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
