// Package filter reads SCIM filters and PATCH paths (RFC 7644 §3.4.2.2 and
// §3.5.2) into the syntax tree of github.com/scim2/filter-parser/v2.
//
// It is written for requests: input is bounded in length, depth and number of
// terms, a common filter takes well under a microsecond, and every error says
// where the text stopped making sense. Beyond the RFC's grammar it reads
//
//   - any nesting of and, or, not and parentheses inside brackets;
//   - runs of spaces, and none where a bracket or parenthesis separates;
//   - $ref as an attribute name, and keywords and literals in any case.
//
// In the tree, strings are decoded, numbers are json.Number exactly as
// written, operators are lower case, and names keep the case of the text.
package filter

import (
	"encoding/json"
	"fmt"
	"strings"

	ast "github.com/scim2/filter-parser/v2"
)

// What a filter or path may not exceed.
const (
	MaxLength = 4096 // bytes
	MaxDepth  = 16   // open parentheses and brackets
	MaxTerms  = 64   // comparisons
)

// Options relax the grammar. The zero value is the grammar of the package
// comment.
type Options struct {
	// Unquoted reads a word without quotes, as in externalId eq jyoung, as a
	// string.
	Unquoted bool
	// SubAttribute reads attribute[filter].sub op value as a filter, which
	// means attribute[(filter) and sub op value].
	SubAttribute bool
}

// Error is a text that cannot be read.
type Error struct {
	// Kind is "filter" or "path".
	Kind string
	// Pos is the byte offset in the text, from 0.
	Pos int
	// Msg says what is wrong there.
	Msg string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: at %d: %s", e.Kind, e.Pos, e.Msg) }

// Parse reads a filter. The tree holds pointers, as filter-parser's does, and
// substrings of s. Errors are *Error.
func Parse(s string, o Options) (ast.Expression, error) {
	p := parser{text: s, opts: o, kind: "filter"}
	if err := p.checkLength(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	p.space()
	if p.pos < len(s) {
		return nil, p.errorf(p.pos, "expected and, or, or the end, found %s", p.found())
	}
	return e, nil
}

// ParsePath reads the path of a PATCH operation. Errors are *Error.
func ParsePath(s string, o Options) (ast.Path, error) {
	p := parser{text: s, opts: o, kind: "path"}
	if err := p.checkLength(); err != nil {
		return ast.Path{}, err
	}
	p.space()
	attr, err := p.attributePath()
	if err != nil {
		return ast.Path{}, err
	}
	path := ast.Path{AttributePath: attr}
	if p.peek() == '[' {
		if path.ValueExpression, err = p.brackets(attr); err != nil {
			return ast.Path{}, err
		}
		if p.peek() == '.' {
			sub, err := p.subAttribute()
			if err != nil {
				return ast.Path{}, err
			}
			path.SubAttribute = &sub
		}
	}
	p.space()
	if p.pos < len(s) {
		return ast.Path{}, p.errorf(p.pos, "expected the end of the path, found %s", p.found())
	}
	return path, nil
}

type parser struct {
	text   string
	pos    int
	opts   Options
	kind   string
	depth  int
	terms  int
	inside bool // inside [ ]
}

func (p *parser) checkLength() error {
	if len(p.text) > MaxLength {
		return p.errorf(MaxLength, "%d bytes are too long, at most %d are read", len(p.text), MaxLength)
	}
	return nil
}

// or reads and-terms joined by or; and binds tighter (RFC 7644 §3.4.2.2).
func (p *parser) or() (ast.Expression, error) {
	left, err := p.and()
	if err != nil {
		return nil, err
	}
	for p.keyword("or") {
		right, err := p.and()
		if err != nil {
			return nil, err
		}
		left = &ast.LogicalExpression{Left: left, Right: right, Operator: ast.OR}
	}
	return left, nil
}

func (p *parser) and() (ast.Expression, error) {
	left, err := p.term()
	if err != nil {
		return nil, err
	}
	for p.keyword("and") {
		right, err := p.term()
		if err != nil {
			return nil, err
		}
		left = &ast.LogicalExpression{Left: left, Right: right, Operator: ast.AND}
	}
	return left, nil
}

func (p *parser) term() (ast.Expression, error) {
	p.space()
	start := p.pos
	if p.peek() == '(' {
		return p.parentheses()
	}
	attr, err := p.attributePath()
	if err != nil {
		return nil, err
	}
	if attr.URIPrefix == nil && attr.SubAttribute == nil && strings.EqualFold(attr.AttributeName, "not") {
		p.space()
		if p.peek() != '(' {
			return nil, p.errorf(p.pos, "expected ( after not, found %s", p.found())
		}
		e, err := p.parentheses()
		if err != nil {
			return nil, err
		}
		return &ast.NotExpression{Expression: e}, nil
	}
	if p.peek() == '[' {
		return p.valuePath(attr, start)
	}
	return p.comparison(attr, start)
}

func (p *parser) parentheses() (ast.Expression, error) {
	open := p.pos
	if err := p.enter(); err != nil {
		return nil, err
	}
	e, err := p.or()
	if err != nil {
		return nil, err
	}
	return e, p.leave(')', open)
}

// enter steps over an opening bracket or parenthesis.
func (p *parser) enter() error {
	if p.depth++; p.depth > MaxDepth {
		return p.errorf(p.pos, "nested more than %d deep", MaxDepth)
	}
	p.pos++
	return nil
}

func (p *parser) leave(want byte, open int) error {
	p.space()
	if p.peek() != want {
		return p.errorf(p.pos, "expected and, or, or %q to close the %q at %d, found %s", want, p.text[open], open, p.found())
	}
	p.pos++
	p.depth--
	return nil
}

// brackets reads the value filter that follows attr.
func (p *parser) brackets(attr ast.AttributePath) (ast.Expression, error) {
	if p.inside {
		return nil, p.errorf(p.pos, "a value filter inside a value filter")
	}
	if attr.SubAttribute != nil {
		return nil, p.errorf(p.pos, "a value filter stands behind the attribute, as in %s[…].%s", attr.AttributeName, *attr.SubAttribute)
	}
	open := p.pos
	if err := p.enter(); err != nil {
		return nil, err
	}
	p.inside = true
	e, err := p.or()
	p.inside = false
	if err != nil {
		return nil, err
	}
	return e, p.leave(']', open)
}

func (p *parser) valuePath(attr ast.AttributePath, start int) (ast.Expression, error) {
	e, err := p.brackets(attr)
	if err != nil {
		return nil, err
	}
	if p.opts.SubAttribute && p.peek() == '.' {
		sub, err := p.subAttribute()
		if err != nil {
			return nil, err
		}
		cmp, err := p.comparison(ast.AttributePath{AttributeName: sub}, start)
		if err != nil {
			return nil, err
		}
		e = &ast.LogicalExpression{Left: e, Right: cmp, Operator: ast.AND}
		// An or in the brackets has become an operand of and, which nests it
		// once more than the text did.
		if p.depth+1+depth(e) > MaxDepth {
			return nil, p.errorf(start, "nested more than %d deep", MaxDepth)
		}
	}
	return &ast.ValuePath{AttributePath: attr, ValueFilter: e}, nil
}

// comparison reads the operator and value that follow attr.
func (p *parser) comparison(attr ast.AttributePath, start int) (ast.Expression, error) {
	if p.terms++; p.terms > MaxTerms {
		return nil, p.errorf(start, "more than %d comparisons", MaxTerms)
	}
	p.space()
	at := p.pos
	op, ok := operator(p.word())
	if !ok {
		p.pos = at
		return nil, p.errorf(at, "expected operator, found %s (have eq, ne, co, sw, ew, gt, ge, lt, le, pr)", p.found())
	}
	e := &ast.AttributeExpression{AttributePath: attr, Operator: op}
	if op == ast.PR {
		return e, nil
	}
	at = p.pos
	p.space()
	if p.pos == at && p.pos < len(p.text) {
		return nil, p.errorf(at, "expected a space after %s, found %s", op, p.found())
	}
	var err error
	e.CompareValue, err = p.value()
	return e, err
}

// operator folds without allocating: operators have two letters.
func operator(w string) (ast.CompareOperator, bool) {
	if len(w) != 2 {
		return "", false
	}
	switch [2]byte{w[0] | 0x20, w[1] | 0x20} {
	case [2]byte{'e', 'q'}:
		return ast.EQ, true
	case [2]byte{'n', 'e'}:
		return ast.NE, true
	case [2]byte{'c', 'o'}:
		return ast.CO, true
	case [2]byte{'s', 'w'}:
		return ast.SW, true
	case [2]byte{'e', 'w'}:
		return ast.EW, true
	case [2]byte{'g', 't'}:
		return ast.GT, true
	case [2]byte{'g', 'e'}:
		return ast.GE, true
	case [2]byte{'l', 't'}:
		return ast.LT, true
	case [2]byte{'l', 'e'}:
		return ast.LE, true
	case [2]byte{'p', 'r'}:
		return ast.PR, true
	}
	return "", false
}

// value reads a JSON string, number or literal.
func (p *parser) value() (any, error) {
	switch c := p.peek(); {
	case c == '"':
		return p.quoted()
	case c == '\'':
		return nil, p.errorf(p.pos, "strings are written in double quotes, found %s", p.found())
	}
	at := p.pos
	w := p.bareword()
	switch {
	case strings.EqualFold(w, "true"):
		return true, nil
	case strings.EqualFold(w, "false"):
		return false, nil
	case strings.EqualFold(w, "null"):
		return nil, nil
	case isNumber(w):
		return json.Number(w), nil
	case p.opts.Unquoted && isBareValue(w):
		return w, nil
	}
	p.pos = at
	return nil, p.errorf(at, "expected a value (a string in double quotes, a number, true, false or null), found %s", p.found())
}
