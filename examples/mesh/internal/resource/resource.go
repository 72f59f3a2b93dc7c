// Package resource is what the mesh's three services have in common: a kind of
// resource in the style of Google's API improvement proposals, kept in a table and
// served by the standard methods.
//
//	var kind = resource.NewKind[*moviev1.Movie]("movies", resource.Parent("productions", "distributor"))
//
//	movies := resource.NewTable(kind, db, resource.Hooks[*moviev1.Movie]{})
//	movie, err := movies.Get(ctx, &moviev1.GetMovieRequest{Name: "movies/7"})
//
// The methods take the requests of the services, check them against the rules in the
// protos and do the rest but for what a service knows alone, which is in its [Hooks].
//
// The message itself says what there is to store and what a caller may do: a scalar
// field is a column, `optional` may be NULL, google.api.field_behavior tells what is
// output only or required. Every kind also has a name, an id, an etag, an update time
// and an audience rating, which the package keeps.
//
// Errors are gRPC statuses with the details of google.rpc that fit: a NotFound names
// the resource, an InvalidArgument the fields.
//
// Sources: AIP-131 to 135 (standard methods), 132 (order_by), 134 and 161 (field masks),
// 154 (etags), 158 (pages), 160 (filters), 193 (errors), 203 (field behavior), 231 (batches).
package resource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/filter"
)

// Message is a resource.
type Message interface {
	proto.Message
	GetName() string
	GetEtag() string
}

// Kind is a kind of resource: how its message is stored and what may be asked of it.
type Kind[M Message] struct {
	collection string // the first part of its names, and its table's name
	message    protoreflect.MessageType
	columns    []column // the fields that callers set, in the message's order
	parents    []parent
	filter     *filter.Schema
	selection  string // what a row is read by, as scan wants it
}

// column is a field that callers set, stored under its own name.
type column struct {
	field    protoreflect.FieldDescriptor
	sqlType  string
	required bool
}

// parent is a collection whose resources these refer to by a field.
type parent struct{ collection, field string }

// Option changes a kind.
type Option func(*[]parent)

// Parent says that resources of this kind refer to those of another collection by a
// field, so that lists may be of one parent; the field has an index.
func Parent(collection, field string) Option {
	return func(parents *[]parent) { *parents = append(*parents, parent{collection, field}) }
}

// The columns that every table has besides its own.
const fixedColumns = `id INTEGER PRIMARY KEY AUTOINCREMENT,
	-- The number of the latest change, 0 if there was none since the data was loaded.
	version INTEGER NOT NULL DEFAULT 0,
	update_time INTEGER, -- microseconds since 1970, NULL if it never was changed
	rating_total INTEGER NOT NULL DEFAULT 0,
	rating_count INTEGER NOT NULL DEFAULT 0`

const fixedSelection = "id, version, update_time, rating_total, rating_count"

// NewKind reads a kind off its message. It panics if the message is none that a table
// can hold, which is a mistake in the program.
func NewKind[M Message](collection string, options ...Option) *Kind[M] {
	var m M
	k := &Kind[M]{collection: collection, message: m.ProtoReflect().Type()}
	for _, option := range options {
		option(&k.parents)
	}
	names := []string{fixedSelection}
	fields := []filter.Field{
		{Name: "name", Type: filter.String, Expr: "('" + collection + "/' || id)"},
		{Name: "id", Type: filter.Int, Expr: "id"},
	}
	list := k.message.Descriptor().Fields()
	for i := range list.Len() {
		fd := list.Get(i)
		if !settable(fd) {
			continue
		}
		c := column{field: fd, required: behaves(fd, annotations.FieldBehavior_REQUIRED)}
		f := filter.Field{Name: string(fd.Name()), Expr: quote(fd)}
		switch fd.Kind() {
		case protoreflect.StringKind:
			c.sqlType, f.Type = "TEXT", filter.String
		case protoreflect.Int32Kind, protoreflect.Int64Kind:
			c.sqlType, f.Type = "INTEGER", filter.Int
		case protoreflect.DoubleKind:
			c.sqlType, f.Type = "REAL", filter.Float
		default:
			panic(fmt.Sprintf("resource: %s is of kind %s, which has no column type", fd.FullName(), fd.Kind()))
		}
		k.columns = append(k.columns, c)
		names = append(names, quote(fd))
		fields = append(fields, f)
	}
	k.selection = strings.Join(names, ", ")
	k.filter = filter.NewSchema(append(fields,
		filter.Field{Name: "update_time", Type: filter.Time, Expr: "update_time"},
		filter.Field{Name: "audience_rating.average", Type: filter.Float, Expr: "(rating_total * 1.0 / nullif(rating_count, 0))"},
		filter.Field{Name: "audience_rating.count", Type: filter.Int, Expr: "nullif(rating_count, 0)"},
	)...)
	return k
}

// settable fields are those that callers give a value to.
func settable(fd protoreflect.FieldDescriptor) bool {
	return !behaves(fd, annotations.FieldBehavior_OUTPUT_ONLY) && !behaves(fd, annotations.FieldBehavior_IDENTIFIER) && fd.Name() != "etag"
}

func behaves(fd protoreflect.FieldDescriptor, behavior annotations.FieldBehavior) bool {
	all, _ := proto.GetExtension(fd.Options(), annotations.E_FieldBehavior).([]annotations.FieldBehavior)
	return slices.Contains(all, behavior)
}

func quote(fd protoreflect.FieldDescriptor) string { return `"` + string(fd.Name()) + `"` }

// Collection is the first part of the names of this kind's resources.
func (k *Kind[M]) Collection() string { return k.collection }

// Schema is the SQL that makes the table.
func (k *Kind[M]) Schema() string {
	var b strings.Builder
	fmt.Fprintf(&b, "CREATE TABLE %s (\n\t%s", k.collection, fixedColumns)
	for _, c := range k.columns {
		fmt.Fprintf(&b, ",\n\t%s %s", quote(c.field), c.sqlType)
		if !c.field.HasPresence() {
			b.WriteString(" NOT NULL")
		}
	}
	b.WriteString("\n) STRICT;\n")
	for _, p := range k.parents {
		fmt.Fprintf(&b, "CREATE INDEX %s_by_%s ON %[1]s (%[2]s) WHERE %[2]s IS NOT NULL;\n", k.collection, p.field)
	}
	return b.String()
}

// Insertion is the statement that inserts a row, with a parameter for each of
// [Kind.Values]. A row that is loaded with the data has its id chosen.
func (k *Kind[M]) Insertion() string {
	names := []string{"id", "version", "update_time"}
	for _, c := range k.columns {
		names = append(names, quote(c.field))
	}
	return fmt.Sprintf("INSERT INTO %s (%s) VALUES (?%s)", k.collection, strings.Join(names, ", "), strings.Repeat(", ?", len(names)-1))
}

// Values are a resource's, for [Kind.Insertion]; a nil id has one chosen.
func (k *Kind[M]) Values(m M, id any, version int64, updateTime any) []any {
	values := []any{id, version, updateTime}
	for _, c := range k.columns {
		values = append(values, c.value(m))
	}
	return values
}

// value is a field's value as the database takes it: nil if it is not set.
func (c column) value(m proto.Message) any {
	r := m.ProtoReflect()
	if c.field.HasPresence() && !r.Has(c.field) {
		return nil
	}
	switch v := r.Get(c.field).Interface().(type) {
	case int32:
		return int64(v)
	default:
		return v
	}
}

// set gives a field the value that the database had.
func (c column) set(m proto.Message, value any) {
	r := m.ProtoReflect()
	switch v := value.(type) {
	case nil:
	case string:
		r.Set(c.field, protoreflect.ValueOfString(v))
	case float64:
		r.Set(c.field, protoreflect.ValueOfFloat64(v))
	case int64:
		if c.field.Kind() == protoreflect.Int32Kind {
			r.Set(c.field, protoreflect.ValueOfInt32(int32(v)))
		} else {
			r.Set(c.field, protoreflect.ValueOfInt64(v))
		}
	}
}

// Name is the resource's with that id.
func (k *Kind[M]) Name(id int64) string { return k.collection + "/" + strconv.FormatInt(id, 10) }

// id is what a name ends with; 0 if it is no name of this kind.
func (k *Kind[M]) id(name string) int64 {
	rest, ok := strings.CutPrefix(name, k.collection+"/")
	id, err := strconv.ParseInt(rest, 10, 64)
	if !ok || err != nil || id <= 0 || strconv.FormatInt(id, 10) != rest {
		return 0
	}
	return id
}

// ParentField is the field that refers to a resource of that name; empty if none does.
func (k *Kind[M]) ParentField(name string) string {
	for _, p := range k.parents {
		if strings.HasPrefix(name, p.collection+"/") {
			return p.field
		}
	}
	return ""
}
