package resource

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
)

// Table is the resources of one kind. Its methods may be called by many goroutines
// at once; what they return belongs to the caller.
type Table[M Message] struct {
	kind  *Kind[M]
	db    *store.DB
	hooks Hooks[M]
}

// Hooks are what a service adds of its own. They may call other services: none is
// called while the store is locked. A nil one does nothing.
type Hooks[M Message] struct {
	// Full adds what VIEW_FULL has besides the resources' own fields.
	Full func(ctx context.Context, resources ...M) error
	// CheckSet refuses fields that a create or an update is going to set; what it is
	// given has no others.
	CheckSet func(ctx context.Context, set M) error
	// CheckDelete refuses to delete a resource.
	CheckDelete func(ctx context.Context, m M) error
}

// NewTable is the resources of a kind in a store, which has the kind's table. It does
// not close the store.
func NewTable[M Message](kind *Kind[M], db *store.DB, hooks Hooks[M]) *Table[M] {
	return &Table[M]{kind: kind, db: db, hooks: hooks}
}

// Close ends the watchers.
func (t *Table[M]) Close() { t.db.StopWatchers() }

// GetRequest asks for one resource.
type GetRequest interface {
	proto.Message
	GetName() string
	GetView() commonv1.View
}

// Get returns a resource by its name.
func (t *Table[M]) Get(ctx context.Context, r GetRequest) (m M, err error) {
	if err := Validate(r); err != nil {
		return m, err
	}
	if m, err = t.get(ctx, r.GetName()); err != nil {
		return m, StatusOf(err)
	}
	return m, t.full(ctx, r.GetView(), m)
}

func (t *Table[M]) get(ctx context.Context, name string) (m M, err error) {
	err = t.db.Read(ctx, func(tx store.Querier) error {
		m, err = t.find(ctx, tx, name)
		return err
	})
	return m, err
}

func (t *Table[M]) full(ctx context.Context, view commonv1.View, resources ...M) error {
	if view != commonv1.View_VIEW_FULL || t.hooks.Full == nil || len(resources) == 0 {
		return nil
	}
	return StatusOf(t.hooks.Full(ctx, resources...))
}

// BatchGetRequest asks for several resources.
type BatchGetRequest interface {
	proto.Message
	GetNames() []string
}

// BatchGet returns those of the named resources that are there, in the order of their
// ids.
func (t *Table[M]) BatchGet(ctx context.Context, r BatchGetRequest) (found []M, err error) {
	if err := Validate(r); err != nil {
		return nil, err
	}
	ids := make([]int64, len(r.GetNames()))
	for i, name := range r.GetNames() {
		ids[i] = t.kind.id(name)
	}
	// One parameter for all of them, so that the statement is the same for any number.
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, StatusOf(err)
	}
	err = t.db.Read(ctx, func(tx store.Querier) error {
		rows, err := tx.QueryContext(ctx, t.sql("SELECT %s FROM %s WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id", t.kind.selection), string(list))
		return t.each(rows, err, nil, func(m M) { found = append(found, m) })
	})
	return found, StatusOf(err)
}

// sql fills a statement's last %s with the table.
func (t *Table[M]) sql(format string, args ...any) string {
	return fmt.Sprintf(format, append(args, t.kind.collection)...)
}

// find reads one resource; its error is a status if there is none.
func (t *Table[M]) find(ctx context.Context, tx store.Querier, name string) (m M, err error) {
	found := false
	rows, err := tx.QueryContext(ctx, t.sql("SELECT %s FROM %s WHERE id = ?", t.kind.selection), t.kind.id(name))
	err = t.each(rows, err, nil, func(row M) { m, found = row, true })
	if err == nil && !found {
		err = NotFound(string(t.kind.message.Descriptor().FullName()), name)
	}
	return m, err
}

// each calls fn for each row; columns behind the kind's own are stored in extra.
func (t *Table[M]) each(rows *sql.Rows, err error, extra []any, fn func(M)) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	var id, version, total, count int64
	var updated sql.NullInt64
	values := make([]any, len(t.kind.columns))
	targets := []any{&id, &version, &updated, &total, &count}
	for i := range values {
		targets = append(targets, &values[i])
	}
	for i := range extra {
		targets = append(targets, &extra[i])
	}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		m := t.kind.message.New().Interface().(M)
		for i, c := range t.kind.columns {
			c.set(m, values[i])
		}
		t.kind.complete(m, id, version, rating(total, count), updated)
		fn(m)
	}
	return errors.Join(rows.Err(), rows.Close())
}

func rating(total, count int64) *commonv1.AudienceRating {
	if count == 0 {
		return nil
	}
	return &commonv1.AudienceRating{Average: float64(total) / float64(count), Count: count}
}

// complete sets what a caller does not.
func (k *Kind[M]) complete(m M, id, version int64, rating *commonv1.AudienceRating, updated sql.NullInt64) {
	k.setField(m, "name", protoreflect.ValueOfString(k.Name(id)))
	k.setField(m, "id", protoreflect.ValueOfString(strconv.FormatInt(id, 10)))
	k.setField(m, "etag", protoreflect.ValueOfString(etag(version)))
	if rating != nil {
		k.setField(m, "audience_rating", protoreflect.ValueOfMessage(rating.ProtoReflect()))
	}
	if updated.Valid {
		k.setField(m, "update_time", protoreflect.ValueOfMessage(timestamppb.New(time.UnixMicro(updated.Int64)).ProtoReflect()))
	}
}

func (k *Kind[M]) setField(m proto.Message, name protoreflect.Name, value protoreflect.Value) {
	m.ProtoReflect().Set(k.message.Descriptor().Fields().ByName(name), value)
}

// etag stands for a resource's state: no two states of it have the same version.
func etag(version int64) string { return "v" + strconv.FormatInt(version, 36) }
