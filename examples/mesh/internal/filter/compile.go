package filter

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// compiler writes a tree as SQL. Every condition is 1 or 0, never NULL, so that NOT
// is exact.
type compiler struct {
	schema *Schema
	sql    strings.Builder
	args   []any
}

func (c *compiler) node(n node) error {
	switch n := n.(type) {
	case and:
		return c.join(" AND ", n)
	case or:
		return c.join(" OR ", n)
	case not:
		c.sql.WriteString("NOT ")
		return c.node(n.operand)
	default:
		return c.comparison(n.(comparison))
	}
}

func (c *compiler) join(word string, operands []node) error {
	for i, operand := range operands {
		if i == 0 {
			c.sql.WriteByte('(')
		} else {
			c.sql.WriteString(word)
		}
		if err := c.node(operand); err != nil {
			return err
		}
	}
	c.sql.WriteByte(')')
	return nil
}

// emit writes a condition on a field: "@" in it stands for the field's expression.
func (c *compiler) emit(field Field, condition string, args ...any) error {
	set := "(@ IS NOT NULL)"
	if condition != "" {
		set = "(@ IS NOT NULL AND " + condition + ")"
	}
	c.sql.WriteString(strings.ReplaceAll(set, "@", field.Expr))
	c.args = append(c.args, args...)
	return nil
}

func (c *compiler) comparison(cmp comparison) error {
	field, ok := c.schema.byName[cmp.field]
	if !ok {
		return errorAt(cmp.pos, "unknown field %q; there are: %s", cmp.field, c.schema.names)
	}
	if cmp.operator == ":" && cmp.value.kind == word && cmp.value.text == "*" {
		return c.emit(field, "")
	}
	if field.Type == String {
		return c.text(field, cmp)
	}
	if cmp.operator == ":" {
		return errorAt(cmp.value.pos, `%s is no text: ":" only asks whether it is set, as in %s:*`, cmp.field, cmp.field)
	}
	value, err := number(field, cmp)
	if err != nil {
		return err
	}
	return c.emit(field, "@ "+cmp.operator+" ?", value)
}

// text compares a string.
func (c *compiler) text(field Field, cmp comparison) error {
	value := cmp.value.text
	before, after := strings.HasPrefix(value, "*"), strings.HasSuffix(value, "*")
	equality := cmp.operator == "=" || cmp.operator == "!="
	if equality {
		value = strings.TrimSuffix(strings.TrimPrefix(value, "*"), "*")
	}
	if strings.Contains(value, "*") {
		return errorAt(cmp.value.pos, `an asterisk stands only at the beginning or the end of a value behind = or !=, or alone behind ":"; \* in quotes is an asterisk itself`)
	}
	value = strings.ReplaceAll(value, string(escapedStar), "*")
	if cmp.operator == ":" {
		return c.emit(field, "contains_fold(@, ?)", strings.ToLower(value))
	}
	condition := "@ " + cmp.operator + " ?"
	if equality && (before || after) {
		switch {
		case before && after:
			condition = "instr(@, ?) > 0"
		case after:
			condition = "substr(@, 1, length(?)) = ?"
		default:
			condition = "(length(@) >= length(?) AND substr(@, -length(?)) = ?)"
		}
		if cmp.operator == "!=" {
			condition = "NOT " + condition
		}
	}
	args := make([]any, strings.Count(condition, "?"))
	for i := range args {
		args[i] = value
	}
	return c.emit(field, condition, args...)
}

// number is the value of a comparison with a field that is no text.
func number(field Field, cmp comparison) (any, error) {
	text := cmp.value.text
	switch field.Type {
	case Time:
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return nil, errorAt(cmp.value.pos, `%s takes a time as "2026-01-31T00:00:00Z", not %q`, cmp.field, text)
		}
		return t.UnixMicro(), nil
	case Int:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		// 1e8 is a whole number too. From 2^53 on a float64 no longer tells them apart.
		if f, ok := float(text); ok && f == math.Trunc(f) && math.Abs(f) < 1<<53 {
			return int64(f), nil
		}
		return nil, errorAt(cmp.value.pos, "%s takes a whole number, not %q", cmp.field, text)
	default:
		if f, ok := float(text); ok {
			return f, nil
		}
		return nil, errorAt(cmp.value.pos, "%s takes a number, not %q", cmp.field, text)
	}
}

// float reads a finite decimal number; Go's own syntax allows more.
func float(text string) (float64, bool) {
	if strings.Trim(text, "+-.0123456789eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}
