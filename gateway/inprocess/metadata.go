package inprocess

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const authority = "inprocess"

// What a transport adds. These are shared by all calls: whoever gets metadata
// gets a copy.
var (
	contentTypes = []string{"application/grpc"}
	userAgents   = []string{"grpc-go-inprocess"}
	authorities  = []string{authority}
)

// outgoing is what a handler finds in its metadata: what the caller sends, and
// what a transport adds.
func outgoing(ctx context.Context, method string, creds credentials.PerRPCCredentials) (metadata.MD, error) {
	md, _ := metadata.FromOutgoingContext(ctx)
	if md == nil {
		md = metadata.MD{}
	}
	if err := validate(md); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	dropReserved(md)
	if creds != nil {
		if err := addCredentials(ctx, md, method, creds); err != nil {
			return nil, err
		}
	}
	md[":authority"], md["content-type"], md["user-agent"] = authorities, contentTypes, userAgents
	return md, nil
}

func addCredentials(ctx context.Context, md metadata.MD, method string, creds credentials.PerRPCCredentials) error {
	service := method[:strings.LastIndexByte(method, '/')+1]
	data, err := creds.GetRequestMetadata(ctx, "https://"+authority+strings.TrimSuffix(service, "/"))
	if err != nil {
		if st, ok := status.FromError(err); ok {
			return st.Err()
		}
		return status.Errorf(codes.Unauthenticated, "transport: per-RPC creds failed due to error: %v", err)
	}
	for key, value := range data {
		key = strings.ToLower(key)
		md[key] = append(md[key], value)
	}
	return nil
}

// dropReserved drops what belongs to the transport.
func dropReserved(md metadata.MD) {
	for key := range md {
		if strings.HasPrefix(key, ":") {
			delete(md, key)
		}
		switch key {
		case "content-type", "user-agent", "grpc-message-type", "grpc-encoding", "grpc-message", "grpc-status",
			"grpc-timeout", "grpc-status-details-bin", "te":
			delete(md, key)
		}
	}
}

// validate refuses what HTTP/2 could not carry.
func validate(md metadata.MD) error {
	for key, values := range md {
		if key == "" {
			return fmt.Errorf("there is an empty key in the header")
		}
		if key[0] == ':' {
			continue
		}
		for i := range len(key) {
			if b := key[i]; (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '.' && b != '-' && b != '_' {
				return fmt.Errorf("header key %q contains illegal characters not in [0-9a-z-_.]", key)
			}
		}
		if strings.HasSuffix(key, "-bin") {
			continue
		}
		for _, value := range values {
			for i := range len(value) {
				if b := value[i]; b < 0x20 || b > 0x7e {
					return fmt.Errorf("header key %q contains value with non-printable ASCII characters", key)
				}
			}
		}
	}
	return nil
}
