package identity

import (
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/gateway/auth"
	gatewayv1 "github.com/evenkeel/evenkeel/proto/evenkeel/gateway/v1"
)

func TestEveryReservedKeyIsStripped(t *testing.T) {
	ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{
		MetadataKey: {"x"}, "evenkeel-principal-subject": {"root"}, "evenkeel-principal": {"root"}, "Evenkeel-Principal-X": {"root"}, "other": {"stays"},
	})
	ctx, _, err := takeFromIncoming(ctx)
	if err == nil {
		t.Error("junk is decoded")
	}
	md, _ := metadata.FromIncomingContext(ctx)
	if len(md) != 1 || md["other"] == nil {
		t.Errorf("metadata %v", md)
	}
	out := metadata.NewOutgoingContext(t.Context(), metadata.MD{"evenkeel-principal-subject": {"root"}, MetadataKey: {"root"}, "other": {"stays"}})
	out, err = AppendToOutgoing(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	md, _ = metadata.FromOutgoingContext(out)
	if len(md) != 1 || md["other"] == nil {
		t.Errorf("metadata %v", md)
	}
}

func TestACallerIsEncodedAsTheMessageThatItIs(t *testing.T) {
	for _, p := range []auth.Principal{
		{}, {Subject: "ann"}, {Subject: "ann", Issuer: "i", Scopes: []string{"b", "", "a"}, Method: auth.MethodJWT},
		{Subject: strings.Repeat("ä", 300), Scopes: []string{strings.Repeat("s", 200)}, Method: "own"},
	} {
		want, err := proto.Marshal(&gatewayv1.Principal{Subject: p.Subject, Issuer: p.Issuer, Scopes: p.Scopes, Method: string(p.Method)})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := encode(&p); err != nil || got != string(want) {
			t.Errorf("%+v: %q, %v; want %q", p, got, err, want)
		}
	}
	for _, p := range []auth.Principal{{Subject: "\xff"}, {Subject: "ann", Issuer: "\xff"}, {Subject: "ann", Scopes: []string{"\xff"}}, {Subject: "ann", Method: "\xff"}} {
		if got, err := encode(&p); err == nil {
			t.Errorf("%+v: %q", p, got)
		}
	}
}

func FuzzDecode(f *testing.F) {
	valid, err := proto.Marshal(&gatewayv1.Principal{Subject: "ann", Issuer: "i", Scopes: []string{"b", "a"}, Method: "jwt"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(valid))
	f.Add("")
	f.Add("\xff")
	f.Fuzz(func(t *testing.T, encoded string) {
		p, err := decode(encoded)
		if err != nil {
			return
		}
		if p.Subject == "" {
			t.Error("nobody")
		}
		// It survives another hop.
		ctx, err := AppendToOutgoing(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		md, _ := metadata.FromOutgoingContext(ctx)
		again, err := decode(md[MetadataKey][0])
		if err != nil || again.Subject != p.Subject || again.Method != p.Method || strings.Join(again.Scopes, " ") != strings.Join(p.Scopes, " ") {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}
