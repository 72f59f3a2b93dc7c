package resource

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
)

// Create adds a resource, the one that r carries, and chooses its name.
func (t *Table[M]) Create(ctx context.Context, r proto.Message, m M) (created M, err error) {
	if err := Validate(r); err != nil {
		return created, err
	}
	created = t.kind.message.New().Interface().(M)
	t.kind.merge(created, m, t.kind.columns)
	if err := t.kind.complain(created, t.kind.columns); err != nil {
		return created, err
	}
	if err := ask(ctx, t.hooks.CheckSet, created); err != nil {
		return created, StatusOf(err)
	}
	err = t.change(ctx, commonv1.ChangeType_CHANGE_TYPE_CREATED, func(tx *store.Tx, w stamp) (M, error) {
		id, err := tx.Insert(t.kind.Insertion(), t.kind.Values(created, nil, w.version, w.time)...)
		t.kind.complete(created, id, w.version, nil, sql.NullInt64{Int64: w.time, Valid: true})
		return created, err
	})
	return created, StatusOf(err)
}

// UpdateRequest asks for a change.
type UpdateRequest interface {
	proto.Message
	GetUpdateMask() *fieldmaskpb.FieldMask
}

// Update changes the fields that the mask names to what they are in m, which r carries,
// or unsets them if they are not set there. Without a mask it is the fields that m sets;
// "*" is all. The resource is the one that m names, in the state of m's etag if it has
// one. An update that names nothing to change returns the resource as it is.
func (t *Table[M]) Update(ctx context.Context, r UpdateRequest, m M) (updated M, err error) {
	if err := Validate(r); err != nil {
		return updated, err
	}
	columns, err := t.kind.masked(m, r.GetUpdateMask())
	if err != nil {
		return updated, err
	}
	if err := t.kind.complain(m, columns); err != nil {
		return updated, err
	}
	set := t.kind.message.New().Interface().(M)
	t.kind.merge(set, m, columns)
	if err := ask(ctx, t.hooks.CheckSet, set); err != nil {
		return updated, StatusOf(err)
	}
	if len(columns) == 0 {
		if updated, err = t.get(ctx, m.GetName()); err == nil {
			err = checkEtag(updated, m.GetEtag())
		}
		return updated, StatusOf(err)
	}
	err = t.change(ctx, commonv1.ChangeType_CHANGE_TYPE_UPDATED, func(tx *store.Tx, w stamp) (M, error) {
		if updated, err = t.find(ctx, tx, m.GetName()); err != nil {
			return updated, err
		}
		if err := checkEtag(updated, m.GetEtag()); err != nil {
			return updated, err
		}
		t.kind.merge(updated, set, columns)
		return updated, t.save(tx, updated, columns, w)
	})
	return updated, StatusOf(err)
}

// save writes columns of a resource that is there, and stamps it.
func (t *Table[M]) save(tx *store.Tx, m M, columns []column, w stamp) error {
	var set strings.Builder
	var args []any
	for _, c := range columns {
		fmt.Fprintf(&set, ", %s = ?", quote(c.field))
		args = append(args, c.value(m))
	}
	id := t.kind.id(m.GetName())
	t.kind.complete(m, id, w.version, nil, sql.NullInt64{Int64: w.time, Valid: true})
	statement := fmt.Sprintf("UPDATE %s SET version = ?, update_time = ?%s WHERE id = ?", t.kind.collection, &set)
	return tx.Exec(statement, append(append([]any{w.version, w.time}, args...), id)...)
}

// DeleteRequest asks for a resource to go.
type DeleteRequest interface {
	proto.Message
	GetName() string
	GetEtag() string
}

// Delete deletes a resource, if it is in the state of the etag or no etag is given.
func (t *Table[M]) Delete(ctx context.Context, r DeleteRequest) (*emptypb.Empty, error) {
	if err := Validate(r); err != nil {
		return nil, err
	}
	m, err := t.get(ctx, r.GetName())
	if err == nil {
		err = ask(ctx, t.hooks.CheckDelete, m)
	}
	if err != nil {
		return nil, StatusOf(err)
	}
	err = t.change(ctx, commonv1.ChangeType_CHANGE_TYPE_DELETED, func(tx *store.Tx, w stamp) (M, error) {
		gone, err := t.find(ctx, tx, r.GetName())
		if err == nil {
			err = checkEtag(gone, r.GetEtag())
		}
		if err != nil {
			return gone, err
		}
		return gone, tx.Exec(t.sql("DELETE FROM %s WHERE id = ?"), t.kind.id(r.GetName()))
	})
	return &emptypb.Empty{}, StatusOf(err)
}

// RateRequest is one caller's rating.
type RateRequest interface {
	proto.Message
	GetName() string
	GetStars() int32
}

// Rate adds one rating. However many come at once, each counts.
func (t *Table[M]) Rate(ctx context.Context, r RateRequest) (rated M, err error) {
	if err := Validate(r); err != nil {
		return rated, err
	}
	err = t.change(ctx, commonv1.ChangeType_CHANGE_TYPE_UPDATED, func(tx *store.Tx, w stamp) (M, error) {
		const statement = `UPDATE %s SET version = ?, update_time = ?,
			rating_total = rating_total + ?, rating_count = rating_count + 1 WHERE id = ?`
		if err := tx.Exec(t.sql(statement), w.version, w.time, r.GetStars(), t.kind.id(r.GetName())); err != nil {
			return rated, err
		}
		rated, err = t.find(ctx, tx, r.GetName())
		return rated, err
	})
	return rated, StatusOf(err)
}

// stamp marks what a write leaves.
type stamp struct {
	version int64
	time    int64 // microseconds since 1970
}

// change runs a write that makes one change, and records the resource that it returns.
func (t *Table[M]) change(ctx context.Context, what commonv1.ChangeType, write func(*store.Tx, stamp) (M, error)) error {
	return t.db.Write(ctx, func(tx *store.Tx) error {
		version, err := tx.NextChange()
		if err != nil {
			return err
		}
		m, err := write(tx, stamp{version, time.Now().UnixMicro()})
		if err != nil {
			return err
		}
		encoded, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		return tx.Record(int32(what), encoded)
	})
}

func ask[M Message](ctx context.Context, check func(context.Context, M) error, m M) error {
	if check == nil {
		return nil
	}
	return check(ctx, m)
}
