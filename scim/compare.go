package scim

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"
	"time"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/sharearefund/scim-bridge/schemas"
)

// test is an operator with the value to compare with, in the attribute's
// type.
type test struct {
	op   ast.CompareOperator
	null bool   // compare with null
	text string // as written; for strings
	want string // text, folded unless the attribute is caseExact
	bool bool
	num  *big.Rat
	time time.Time
}

// absent is the outcome on an attribute without a value: null and ne hold.
func (t *test) absent() bool {
	if t.null {
		return t.op == ast.EQ
	}
	return t.op == ast.NE
}

// field tests the field of a: one value that passes is enough.
func (t *test) field(a *attribute, f reflect.Value) bool {
	if t.null || t.op == ast.PR {
		return unassigned(a, f) == (t.null && t.op == ast.EQ)
	}
	if unassigned(a, f) {
		return t.absent()
	}
	if !a.MultiValued {
		return t.value(a, f)
	}
	for i := range f.Len() {
		if t.value(a, f.Index(i)) {
			return true
		}
	}
	return false
}

// value tests one value of a, which is there.
func (t *test) value(a *attribute, f reflect.Value) bool {
	if f.Kind() == reflect.Pointer {
		f = f.Elem()
	}
	switch a.kind {
	case kindString:
		switch s := f.String(); {
		case a.CaseExact:
			return compareText(t.op, s, t.want)
		case t.op == ast.EQ:
			return foldsTo(s, t.want)
		default:
			return compareText(t.op, Fold(s), t.want)
		}
	case kindBool:
		return (f.Bool() == t.bool) == (t.op == ast.EQ)
	case kindInt:
		return ordered(t.op, new(big.Rat).SetInt64(f.Int()).Cmp(t.num))
	case kindFloat:
		r := new(big.Rat).SetFloat64(f.Float())
		return r != nil && ordered(t.op, r.Cmp(t.num))
	case kindTime:
		return ordered(t.op, timeOf(f).Compare(t.time))
	}
	return false
}

// resolver turns a syntax tree into nodes.
type resolver struct {
	b   *binding
	tol Tolerances
	// entry is the attribute whose entries a value path looks at, or nil.
	entry *attribute
	// across: an unknown attribute has no value; unknown are the names of those.
	across  bool
	unknown []string
}

// without turns the error of an unknown attribute into a node where that is
// allowed.
func (r *resolver) without(err error, path ast.AttributePath, op ast.CompareOperator, null bool) (*node, error) {
	if _, ok := errors.AsType[*unknownError](err); !ok || !r.across {
		return nil, err
	}
	r.unknown = append(r.unknown, path.String())
	return missing(op, null), nil
}

func (r *resolver) node(e ast.Expression) (*node, error) {
	switch e := e.(type) {
	case *ast.LogicalExpression:
		left, err := r.node(e.Left)
		if err != nil {
			return nil, err
		}
		right, err := r.node(e.Right)
		if err != nil {
			return nil, err
		}
		if e.Operator == ast.OR {
			return &node{kind: nodeOr, left: left, right: right}, nil
		}
		return &node{kind: nodeAnd, left: left, right: right}, nil
	case *ast.NotExpression:
		inner, err := r.node(e.Expression)
		if err != nil {
			return nil, err
		}
		return &node{kind: nodeNot, left: inner}, nil
	case *ast.ValuePath:
		top, _, err := r.b.resolve(e.AttributePath, r.tol)
		if err != nil {
			return r.without(err, e.AttributePath, ast.PR, false)
		}
		inner, err := r.entries(top, e.ValueFilter)
		if err != nil {
			return nil, err
		}
		return &node{kind: nodeValuePath, top: top, left: inner}, nil
	case *ast.AttributeExpression:
		return r.comparison(e)
	}
	return nil, fmt.Errorf("unsupported expression %T", e)
}

// entries resolves a value filter on the entries of top.
func (r *resolver) entries(top *attribute, e ast.Expression) (*node, error) {
	if top.kind != kindComplex {
		return nil, fmt.Errorf("%s has no sub-attributes, so a value filter cannot apply to it", top.path)
	}
	in := resolver{b: r.b, tol: r.tol, entry: top}
	return in.node(e)
}

func (r *resolver) comparison(e *ast.AttributeExpression) (*node, error) {
	n := &node{kind: nodeCompare}
	if r.entry != nil {
		p := e.AttributePath
		if p.URIPrefix != nil || p.SubAttribute != nil {
			return nil, fmt.Errorf("%q inside brackets must be a sub-attribute of %s", shorten(p.String()), r.entry.path)
		}
		s, err := r.entry.sub(p.AttributeName)
		if err != nil {
			return nil, err
		}
		n.leaf = s
	} else {
		top, sub, err := r.b.resolve(e.AttributePath, r.tol)
		if err != nil {
			return r.without(err, e.AttributePath, e.Operator, e.Operator != ast.PR && e.CompareValue == nil)
		}
		n.top, n.leaf = top, top
		switch {
		case sub != nil:
			n.leaf = sub
		case top.kind == kindComplex && e.Operator != ast.PR && e.CompareValue != nil:
			if top.value == nil {
				return nil, fmt.Errorf("%s has no value of its own; compare one of its sub-attributes", top.path)
			}
			n.leaf = top.value
		}
	}
	if n.leaf.hidden() || n.leaf.parent != nil && n.leaf.parent.hidden() {
		return nil, fmt.Errorf("%s is never returned and cannot be filtered", n.leaf.path)
	}
	var err error
	n.test, err = r.test(n.leaf, e.Operator, e.CompareValue)
	return n, err
}

// test checks that the operator and the value suit the attribute's type
// (RFC 7644 §3.4.2.2).
func (r *resolver) test(a *attribute, op ast.CompareOperator, v any) (test, error) {
	t := test{op: op}
	if op == ast.PR {
		return t, nil
	}
	if v == nil {
		if op != ast.EQ && op != ast.NE {
			return t, fmt.Errorf("%s %s null: null can only be compared with eq and ne", a.path, op)
		}
		t.null = true
		return t, nil
	}
	if !allows(a, op) {
		return t, fmt.Errorf("%s is a %s and cannot be compared with %s", a.path, a.Type, op)
	}
	mismatch := func(want string) error {
		return fmt.Errorf("%s is a %s: compare it with %s, not %s", a.path, a.Type, want, shorten(fmt.Sprintf("%#v", v)))
	}
	switch a.kind {
	case kindString:
		if n, ok := v.(json.Number); ok && r.tol.Has(tolUnquotedFilter) {
			v = n.String()
		}
		s, ok := v.(string)
		if !ok {
			return t, mismatch("a string in double quotes")
		}
		t.text, t.want = s, s
		if !a.CaseExact {
			t.want = Fold(s)
		}
	case kindBool:
		if s, ok := v.(string); ok && r.tol.Has(tolStringBooleans) {
			if b, ok := stringBool(s); ok {
				v = b
			}
		}
		b, ok := v.(bool)
		if !ok {
			return t, mismatch("true or false")
		}
		t.bool = b
	case kindInt, kindFloat:
		n, ok := v.(json.Number)
		if !ok {
			return t, mismatch("a number")
		}
		if t.num, ok = number(n); !ok {
			return t, fmt.Errorf("%s: the number %s is out of range", a.path, shorten(n.String()))
		}
	case kindTime:
		s, ok := v.(string)
		if !ok {
			return t, mismatch("a date and time in double quotes")
		}
		var err error
		if t.time, err = dateTime(s); err != nil {
			return t, mismatch("a date and time such as \"2026-01-05T09:00:00Z\"")
		}
	}
	return t, nil
}

// dateTime reads an xsd:dateTime (RFC 7643 §2.3.5), which is in UTC where it names
// no time zone.
func dateTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		if zoneless, zerr := time.Parse("2006-01-02T15:04:05.999999999", s); zerr == nil {
			return zoneless, nil
		}
	}
	return t, err
}

// number reads a JSON number exactly. Exponents that would need megabytes are
// out of range.
func number(n json.Number) (*big.Rat, bool) {
	if len(n) > 64 {
		return nil, false
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(n.String()), "e")
	if f, err := n.Float64(); err != nil || f == 0 && strings.ContainsAny(mantissa, "123456789") {
		return nil, false // 1e999, 1e-999
	}
	return new(big.Rat).SetString(n.String())
}

// allows: booleans and binaries have no order, and only text has parts.
func allows(a *attribute, op ast.CompareOperator) bool {
	switch op {
	case ast.EQ, ast.NE:
		return true
	case ast.GT, ast.GE, ast.LT, ast.LE:
		return a.kind != kindBool && a.kind != kindComplex && a.Type != schemas.Binary
	case ast.CO, ast.SW, ast.EW:
		return a.kind == kindString && a.Type != schemas.Binary
	}
	return false
}
