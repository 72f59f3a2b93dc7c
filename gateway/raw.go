package gateway

import (
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // the codec that is wrapped
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
)

// rawReplies makes gRPC leave replies as they came: their bytes are put into the
// message as unknown fields, from where the marshaler writes them as JSON. So
// nothing is decoded only to be encoded again.
type rawReplies struct{ encoding.CodecV2 }

var withRawReplies = grpc.ForceCodecV2(rawReplies{encoding.GetCodecV2("proto")})

// Unmarshal puts the bytes into v.
func (rawReplies) Unmarshal(data mem.BufferSlice, v any) error {
	msg, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("a reply of type %T", v)
	}
	msg.ProtoReflect().SetUnknown(bytesOf(data))
	return nil
}

// bytesOf returns what is in data. It is copied only if its memory is to be used
// again, which gRPC does for large messages.
func bytesOf(data mem.BufferSlice) []byte {
	if len(data) == 1 {
		if collected, ok := data[0].(mem.SliceBuffer); ok {
			return slices.Clip(collected)
		}
	}
	return data.Materialize()
}

// withReplies adds to a call's options that replies are left raw where nothing
// looks into them.
func (b *binding) withReplies(decode bool, given []grpc.CallOption) []grpc.CallOption {
	if decode || b.looksIntoReply() {
		return given
	}
	return append(given[:len(given):len(given)], withRawReplies)
}
