package filter

import "strings"

// Order is one field of an order_by.
type Order struct {
	Field Field
	Desc  bool
}

// Order reads an order_by; an empty one has no fields. An error is always an [*Error].
func (s *Schema) Order(text string) ([]Order, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var orders []Order
	seen := make(map[string]bool)
	pos := 1
	for part := range strings.SplitSeq(text, ",") {
		order, err := s.orderField(part, pos)
		if err != nil {
			return nil, err
		}
		if seen[order.Field.Name] {
			return nil, errorAt(pos, "%s is named twice", order.Field.Name)
		}
		seen[order.Field.Name] = true
		if orders = append(orders, order); len(orders) > maxOrder {
			return nil, errorAt(pos, "more than %d fields", maxOrder)
		}
		pos += len([]rune(part)) + 1
	}
	return orders, nil
}

func (s *Schema) orderField(part string, pos int) (Order, error) {
	words := strings.Fields(part)
	if len(words) == 0 {
		return Order{}, errorAt(pos, "expected the name of a field")
	}
	field, ok := s.byName[words[0]]
	if !ok {
		return Order{}, errorAt(pos, "unknown field %q; there are: %s", words[0], s.names)
	}
	switch {
	case len(words) == 1 || len(words) == 2 && words[1] == "asc":
		return Order{Field: field}, nil
	case len(words) == 2 && words[1] == "desc":
		return Order{Field: field, Desc: true}, nil
	}
	return Order{}, errorAt(pos, `expected "desc", "asc" or nothing behind %q`, words[0])
}
