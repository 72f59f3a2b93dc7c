package filter

// The syntax tree of a filter.
type (
	node interface{}
	// and, or hold with all, with any of their operands; there are two or more.
	and []node
	or  []node
	// not holds if its operand does not.
	not struct{ operand node }
	// comparison of a field with a value.
	comparison struct {
		pos      int
		field    string
		operator string
		value    token
	}
)

// parser reads tokens from left to right, one function for each rule of the grammar:
//
//	expression = sequence { "AND" sequence }
//	sequence   = factor { factor }
//	factor     = term { "OR" term }
//	term       = [ "NOT" | "-" ] ( comparison | "(" expression ")" )
//	comparison = field comparator value
type parser struct {
	tokens []token
	depth  int
	terms  int
}

// parse returns the tree of a filter; nil for an empty one.
func parse(text string) (node, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	if p.peek().kind == end {
		return nil, nil
	}
	tree, err := p.expression()
	if err != nil {
		return nil, err
	}
	if tok := p.peek(); tok.kind != end {
		return nil, errorAt(tok.pos, "unexpected %q: expected AND, OR, another condition or the end", tok.text)
	}
	return tree, nil
}

func (p *parser) peek() token { return p.tokens[0] }

func (p *parser) take() token {
	tok := p.tokens[0]
	if tok.kind != end {
		p.tokens = p.tokens[1:]
	}
	return tok
}

// keyword takes the next token if it is that word.
func (p *parser) keyword(text string) bool {
	if tok := p.peek(); tok.kind != word || tok.text != text {
		return false
	}
	p.take()
	return true
}

func (p *parser) expression() (node, error) {
	var all and
	for {
		operand, err := p.sequence()
		if err != nil {
			return nil, err
		}
		if all = append(all, operand); !p.keyword("AND") {
			return one(all, []node(all)), nil
		}
	}
}

func (p *parser) sequence() (node, error) {
	var all and
	for {
		operand, err := p.factor()
		if err != nil {
			return nil, err
		}
		all = append(all, operand)
		tok := p.peek()
		if tok.kind == open || tok.kind == word && tok.text != "AND" && tok.text != "OR" {
			continue
		}
		return one(all, []node(all)), nil
	}
}

func (p *parser) factor() (node, error) {
	var any or
	for {
		operand, err := p.term()
		if err != nil {
			return nil, err
		}
		if any = append(any, operand); !p.keyword("OR") {
			return one(any, []node(any)), nil
		}
	}
}

// one is the only operand, if there is but one.
func one(all node, operands []node) node {
	if len(operands) == 1 {
		return operands[0]
	}
	return all
}

func (p *parser) term() (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, errorAt(p.peek().pos, "deeper than %d levels", maxDepth)
	}
	defer func() { p.depth-- }()
	if p.keyword("NOT") || p.minus() {
		operand, err := p.simple()
		return not{operand}, err
	}
	return p.simple()
}

// minus takes a minus sign off the front of the next word.
func (p *parser) minus() bool {
	tok := p.peek()
	if tok.kind != word || tok.text[0] != '-' {
		return false
	}
	p.take()
	if rest := tok.text[1:]; rest != "" {
		p.tokens = append([]token{{word, tok.pos + 1, rest}}, p.tokens...)
	}
	return true
}

func (p *parser) simple() (node, error) {
	if p.peek().kind != open {
		return p.comparison()
	}
	opened := p.take()
	inner, err := p.expression()
	if err != nil {
		return nil, err
	}
	if tok := p.take(); tok.kind != shut {
		if tok.kind == end {
			return nil, errorAt(opened.pos, "the parenthesis that opens here is not closed")
		}
		return nil, errorAt(tok.pos, "unexpected %q: expected AND, OR, another condition or a closing parenthesis", tok.text)
	}
	return inner, nil
}

func (p *parser) comparison() (node, error) {
	if p.terms++; p.terms > maxTerms {
		return nil, errorAt(p.peek().pos, "more than %d comparisons", maxTerms)
	}
	field := p.take()
	switch {
	case field.kind == end:
		return nil, errorAt(field.pos, "expected a condition, as in: year >= 1990")
	case field.kind != word || reserved(field.text):
		return nil, errorAt(field.pos, "unexpected %q: expected the name of a field", field.text)
	}
	operator := p.take()
	if operator.kind != comparator {
		return nil, errorAt(operator.pos, "expected one of = != < <= > >= : behind %q", field.text)
	}
	value := p.take()
	if value.kind != word && value.kind != quoted || value.kind == word && reserved(value.text) {
		return nil, errorAt(value.pos, "expected a value behind %q; it needs quotes if it is a reserved word or holds one of ()<>=!:,\"'\\", operator.text)
	}
	return comparison{field.pos, field.text, operator.text, value}, nil
}

func reserved(text string) bool { return text == "AND" || text == "OR" || text == "NOT" }
