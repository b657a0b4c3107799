package scim

import (
	"reflect"
	"strings"

	ast "github.com/scim2/filter-parser/v2"

	"github.com/sharearefund/scim-bridge/scim/filter"
)

// Filter is a filter that was read and resolved against a resource type. It
// is immutable.
type Filter struct {
	b    *binding
	expr ast.Expression
	root *node
}

// String prints f; ParseFilter reads it again.
func (f *Filter) String() string { return filter.String(f.expr) }

type nodeKind uint8

const (
	nodeCompare nodeKind = iota
	nodeAnd
	nodeOr
	nodeNot
	nodeValuePath
	nodeMissing
)

// node is a resolved expression.
type node struct {
	kind        nodeKind
	left, right *node // right for and, or; left also for not and value paths

	// Comparisons and value paths. top is nil inside a value path, where the
	// entry itself is the container.
	top *attribute
	// leaf is what is compared: top, its sub-attribute, or a sub-attribute of
	// the entry.
	leaf *attribute
	test test
}

// missing is a comparison with an attribute that the resource type lacks.
func missing(op ast.CompareOperator, null bool) *node {
	return &node{kind: nodeMissing, test: test{op: op, null: null}}
}

// match evaluates n on root, a T, or on an entry inside a value path.
func (b *binding) match(n *node, c reflect.Value) bool {
	switch n.kind {
	case nodeAnd:
		return b.match(n.left, c) && b.match(n.right, c)
	case nodeOr:
		return b.match(n.left, c) || b.match(n.right, c)
	case nodeNot:
		return !b.match(n.left, c)
	case nodeMissing:
		return n.test.absent()
	}
	if n.top == nil {
		return n.test.field(n.leaf, c.Field(n.leaf.index))
	}
	if n.top == b.schemas {
		return b.matchSchemas(n, c)
	}
	c, ok := b.container(c, n.top.ext)
	if !ok {
		return n.kind == nodeCompare && n.test.absent()
	}
	f := c.Field(n.top.index)
	if n.kind == nodeValuePath {
		return b.matchValuePath(n, f)
	}
	return n.matchTop(f)
}

// matchTop compares the field of n.top, or the sub-attribute n.leaf in it;
// one value that passes is enough (RFC 7644 §3.4.2.2).
func (n *node) matchTop(f reflect.Value) bool {
	switch {
	case n.leaf == n.top:
		return n.test.field(n.top, f)
	case !n.top.MultiValued:
		o, ok := object(f)
		if !ok {
			return n.test.absent()
		}
		return n.test.field(n.leaf, o.Field(n.leaf.index))
	}
	for i := range f.Len() {
		if n.test.field(n.leaf, f.Index(i).Field(n.leaf.index)) {
			return true
		}
	}
	return f.Len() == 0 && n.test.absent()
}

func (b *binding) matchValuePath(n *node, f reflect.Value) bool {
	if !n.top.MultiValued {
		o, ok := object(f)
		return ok && b.match(n.left, o)
	}
	for i := range f.Len() {
		if b.match(n.left, f.Index(i)) {
			return true
		}
	}
	return false
}

// matchSchemas compares the URNs that an answer would list.
func (b *binding) matchSchemas(n *node, root reflect.Value) bool {
	urns := []string{b.urn}
	for _, x := range b.exts {
		if _, ok := b.container(root, x); ok {
			urns = append(urns, x.urn)
		}
	}
	return n.test.field(b.schemas, reflect.ValueOf(urns))
}

// Equal reports the string attribute that f, or one of the terms that f joins
// by and, compares with eq: the canonical name ("id", "userName",
// "externalId", "emails.value", "urn:…:User:employeeNumber", …) and the value
// as the client wrote it. Of several, the one that tells most is taken, in the
// order of those names. Terms under or and not are not looked at.
//
// whole means that every resource whose attribute equals value (by Fold,
// unless the attribute is caseExact) satisfies f; otherwise the candidates
// must be tried with Match.
func (f *Filter) Equal() (attr, value string, whole, ok bool) {
	best := len(indexed) + 1
	f.root.equalities(false, func(path, v string) {
		rank := len(indexed)
		for i, p := range indexed {
			if p == path {
				rank = i
			}
		}
		if rank < best {
			best, attr, value, ok = rank, path, v, true
		}
	})
	return attr, value, ok && f.root.kind == nodeCompare, ok
}

// indexed orders attributes by how few resources share a value.
var indexed = [...]string{"id", "userName", "externalId", "emails.value"}

// equalities calls found for each eq on a string among the terms joined by
// and.
func (n *node) equalities(inside bool, found func(path, value string)) {
	switch n.kind {
	case nodeAnd:
		n.left.equalities(inside, found)
		n.right.equalities(inside, found)
	case nodeValuePath:
		n.left.equalities(true, found)
	case nodeCompare:
		if n.test.op == ast.EQ && n.leaf.kind == kindString && !n.test.null && (!inside || n.leaf == n.leaf.parent.value) {
			found(n.leaf.path, n.test.text)
		}
	}
}

// parseFilter reads and resolves a filter.
func (b *binding) parseFilter(s string, tol Tolerances) (*Filter, error) {
	f, _, err := b.parseFilterWith(s, resolver{b: b, tol: tol})
	return f, err
}

// parseFilterAcross is parseFilter in which unknown attributes have no value.
func (b *binding) parseFilterAcross(s string, tol Tolerances) (f *Filter, unknown []string, err error) {
	return b.parseFilterWith(s, resolver{b: b, tol: tol, across: true})
}

func (b *binding) parseFilterWith(s string, r resolver) (f *Filter, unknown []string, err error) {
	tol := r.tol
	expr, err := filter.Parse(s, filter.Options{Unquoted: tol.Has(tolUnquotedFilter), SubAttribute: tol.Has(tolFilterSubAttribute)})
	if err != nil {
		return nil, nil, BadRequest(TypeInvalidFilter, "%v", err)
	}
	root, err := r.node(expr)
	if err != nil {
		return nil, nil, BadRequest(TypeInvalidFilter, "filter: %v", err)
	}
	return &Filter{b: b, expr: expr, root: root}, r.unknown, nil
}

// compareText applies an operator to texts that are folded alike.
func compareText(op ast.CompareOperator, s, with string) bool {
	switch op {
	case ast.EQ:
		return s == with
	case ast.NE:
		return s != with
	case ast.CO:
		return strings.Contains(s, with)
	case ast.SW:
		return strings.HasPrefix(s, with)
	case ast.EW:
		return strings.HasSuffix(s, with)
	}
	return ordered(op, strings.Compare(s, with))
}

func ordered(op ast.CompareOperator, c int) bool {
	switch op {
	case ast.EQ:
		return c == 0
	case ast.NE:
		return c != 0
	case ast.GT:
		return c > 0
	case ast.GE:
		return c >= 0
	case ast.LT:
		return c < 0
	case ast.LE:
		return c <= 0
	}
	return false
}
