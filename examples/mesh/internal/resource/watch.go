package resource

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
)

// Change is what a watcher sees of a write.
type Change[M Message] struct {
	Type        commonv1.ChangeType
	Resource    M
	ResumeToken string
}

// WatchRequest asks for the changes from now on or behind a resume token.
type WatchRequest interface {
	proto.Message
	GetResumeToken() string
}

// Watch sends every change, whichever process makes it, in order and each once, until
// the caller leaves or send fails. It sends headers as soon as no later change can be
// missed. It ends with OutOfRange if the changes behind the token are no longer kept,
// which a watcher that does not keep up may meet too, and Unavailable when the replica
// goes away.
func (t *Table[M]) Watch(r WatchRequest, stream grpc.ServerStream, send func(Change[M]) error) error {
	if err := Validate(r); err != nil {
		return err
	}
	ctx := stream.Context()
	after, err := t.watchFrom(ctx, r.GetResumeToken())
	if err != nil {
		return StatusOf(err)
	}
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for change, err := range t.db.Changes(ctx, after) {
		if err != nil {
			return StatusOf(err)
		}
		m := t.kind.message.New().Interface().(M)
		if err := proto.Unmarshal(change.Resource, m); err != nil {
			return StatusOf(err)
		}
		if err := send(Change[M]{commonv1.ChangeType(change.Type), m, t.resumeToken(change.Seq)}); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table[M]) watchFrom(ctx context.Context, token string) (int64, error) {
	if token == "" {
		return t.db.Head(ctx)
	}
	after, err := t.openResumeToken(token)
	if err != nil {
		return 0, InvalidArgument("resume_token", err.Error())
	}
	return after, nil
}
