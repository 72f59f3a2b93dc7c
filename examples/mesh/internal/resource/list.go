package resource

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/evenkeel/evenkeel/examples/mesh/internal/filter"
	"github.com/evenkeel/evenkeel/examples/mesh/internal/store"
	commonv1 "github.com/evenkeel/evenkeel/examples/mesh/proto/mesh/common/v1"
)

// How many resources a page has.
const (
	DefaultPageSize = 50
	MaxPageSize     = 1000
)

// ListRequest asks for a page. One that has a parent too is of the resources that
// refer to that.
type ListRequest interface {
	proto.Message
	GetPageSize() int32
	GetPageToken() string
	GetFilter() string
	GetOrderBy() string
	GetView() commonv1.View
}

// parentOf is the parent that a request asks for; empty if any will do.
func parentOf(r ListRequest) string {
	if r, ok := r.(interface{ GetParent() string }); ok {
		return r.GetParent()
	}
	return ""
}

// Page is a part of the answer.
type Page[M Message] struct {
	Resources []M
	NextToken string // empty on the last page
	Total     int32  // how many there are on all pages
}

// query is a list request in SQL.
type query struct {
	where  filter.Condition // of the total
	behind filter.Condition // of the page too: what comes behind the page before
	order  []filter.Order   // with the id last, so that no two are equal
	size   int
}

// List returns a page. It goes on behind the last resource of the page before rather
// than at a number of resources, so that what is created or deleted meanwhile moves
// nothing from one page to another. The page and the total are of one moment. Among
// what the order finds equal, and without one, it is by id.
func (t *Table[M]) List(ctx context.Context, r ListRequest) (page Page[M], err error) {
	if err := Validate(r); err != nil {
		return page, err
	}
	q, err := t.query(r)
	if err != nil {
		return page, err
	}
	err = t.db.Read(ctx, func(tx store.Querier) error {
		page, err = t.page(ctx, tx, r, q)
		return err
	})
	if err != nil {
		return page, StatusOf(err)
	}
	return page, t.full(ctx, r.GetView(), page.Resources...)
}

func (t *Table[M]) query(r ListRequest) (q query, err error) {
	if q.where, err = t.kind.filter.Filter(r.GetFilter()); err != nil {
		return q, InvalidArgument("filter", err.Error())
	}
	if parent := parentOf(r); parent != "" {
		ofParent := filter.Condition{SQL: fmt.Sprintf(`"%s" = ?`, t.kind.ParentField(parent)), Args: []any{parent}}
		q.where = q.where.And(ofParent)
	}
	if q.order, err = t.kind.filter.Order(r.GetOrderBy()); err != nil {
		return q, InvalidArgument("order_by", err.Error())
	}
	q.order = append(q.order, filter.Order{Field: filter.Field{Name: "id", Type: filter.Int, Expr: "id"}})
	if r.GetPageToken() != "" {
		last, err := t.openPageToken(r, len(q.order))
		if err != nil {
			return q, InvalidArgument("page_token", err.Error())
		}
		q.behind = behindRow(q.order, last)
	}
	q.size = pageSize(r.GetPageSize())
	return q, nil
}

func (t *Table[M]) page(ctx context.Context, tx store.Querier, r ListRequest, q query) (page Page[M], err error) {
	count := "SELECT count(*) FROM " + t.kind.collection + q.where.Where()
	if err := tx.QueryRowContext(ctx, count, q.where.Args...).Scan(&page.Total); err != nil {
		return page, err
	}
	exprs, terms := make([]string, len(q.order)), make([]string, len(q.order))
	for i, o := range q.order {
		exprs[i], terms[i] = o.Field.Expr, o.Field.Expr+" ASC NULLS LAST"
		if o.Desc {
			terms[i] = o.Field.Expr + " DESC NULLS LAST"
		}
	}
	// One more than asked for tells whether there is another page.
	rest := q.where.And(q.behind)
	statement := fmt.Sprintf("SELECT %s, %s FROM %s%s ORDER BY %s LIMIT %d",
		t.kind.selection, strings.Join(exprs, ", "), t.kind.collection, rest.Where(), strings.Join(terms, ", "), q.size+1)
	rows, err := tx.QueryContext(ctx, statement, rest.Args...)
	keys := make([]any, len(q.order))
	var last []any // the keys of the page's last row
	more := false
	err = t.each(rows, err, keys, func(m M) {
		if len(page.Resources) == q.size {
			more = true
			return
		}
		page.Resources = append(page.Resources, m)
		last = append(last[:0], keys...)
	})
	if err == nil && more {
		page.NextToken, err = t.pageToken(r, last)
	}
	return page, err
}

func pageSize(asked int32) int {
	switch {
	case asked <= 0:
		return DefaultPageSize
	case asked > MaxPageSize:
		return MaxPageSize
	}
	return int(asked)
}

// behindRow is the condition of coming behind a row in an order, by the row's keys.
// What is not set comes last in either direction; the last key, the id, decides.
func behindRow(order []filter.Order, keys []any) filter.Condition {
	var either []string
	var args []any
	for i := range order {
		if keys[i] == nil {
			continue // nothing comes behind what is not set, save by the keys that follow
		}
		var all []string
		for j := range i {
			all = append(all, order[j].Field.Expr+" IS ?")
			args = append(args, keys[j])
		}
		comparison := ">"
		if order[i].Desc {
			comparison = "<"
		}
		all = append(all, fmt.Sprintf("(%s %s ? OR %[1]s IS NULL)", order[i].Field.Expr, comparison))
		args = append(args, keys[i])
		either = append(either, "("+strings.Join(all, " AND ")+")")
	}
	return filter.Condition{SQL: "(" + strings.Join(either, " OR ") + ")", Args: args}
}
