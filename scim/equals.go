package scim

import ast "github.com/scim2/filter-parser/v2"

// EqualTerm is a comparison with eq of a string attribute.
type EqualTerm struct {
	// Path is canonical: "id", "displayName", "members.value".
	Path string
	// Value is as the client wrote it.
	Value string
}

// Equals lists the terms of a filter that is nothing but comparisons of
// strings with eq, joined by and; ok is false for every other filter. A
// resource satisfies f exactly when each term holds of one of the attribute's
// values (by Fold, unless the attribute is caseExact). The complex attribute
// itself stands for its value: members eq "x", members.value eq "x" and
// members[value eq "x"] are the same term.
func (f *Filter) Equals() (terms []EqualTerm, ok bool) {
	return f.root.equals(nil)
}

func (n *node) equals(terms []EqualTerm) ([]EqualTerm, bool) {
	switch n.kind {
	case nodeAnd:
		terms, ok := n.left.equals(terms)
		if !ok {
			return nil, false
		}
		return n.right.equals(terms)
	case nodeValuePath:
		// Several terms in brackets must hold of one entry.
		if n.left.kind == nodeCompare {
			return n.left.equals(terms)
		}
	case nodeCompare:
		if n.test.op == ast.EQ && !n.test.null && n.leaf.kind == kindString {
			return append(terms, EqualTerm{n.leaf.path, n.test.text}), true
		}
	}
	return nil, false
}

// Mentions reports whether f looks at the attribute at a canonical path, a
// part of it or what it is part of, as Patch.Mentions does.
func (f *Filter) Mentions(path string) bool { return f.root.mentions(path) }

func (n *node) mentions(path string) bool {
	switch n.kind {
	case nodeAnd, nodeOr:
		return n.left.mentions(path) || n.right.mentions(path)
	case nodeNot, nodeValuePath:
		return n.left.mentions(path)
	case nodeMissing:
		return false
	}
	at := n.leaf.path
	return within(at, path) || within(path, at) || n.leaf.ext != nil && equalASCII(n.leaf.ext.urn, path)
}
