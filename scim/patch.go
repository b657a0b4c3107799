package scim

import (
	"reflect"
	"strings"

	ast "github.com/scim2/filter-parser/v2"
)

// Patch is a PATCH request, read and validated (RFC 7644 §3.5.2). It is
// immutable and can be applied any number of times.
type Patch struct {
	// Skipped lists what was left out: operations on unknown attributes where
	// the dialect allows it, read-only attributes in a value without a path.
	Skipped []Note

	b     *binding
	tol   Tolerances
	steps []step
}

type patchOp uint8

const (
	opAdd patchOp = iota
	opReplace
	opRemove
)

// step changes one attribute. An operation without a path, or on a whole
// extension, is several steps.
type step struct {
	op    patchOp
	index int // Operations[index]

	top *attribute
	// sub is the sub-attribute of top, or nil for all of it.
	sub *attribute
	// filter selects entries of top, or is nil; equal is what an entry made
	// to match it is to hold, nil when the filter does not describe one.
	filter *node
	equal  []*node
	// path is as written, for errors.
	path string

	// value is what to set: a slice for a whole multi-valued attribute, an
	// entry where filter selects entries, otherwise of the type of the field.
	// It is invalid for a remove without a value. given holds the
	// sub-attributes that a complex value mentions, by entry in a slice.
	value reflect.Value
	given []uint64
	// clears: the value is null, or empty.
	clears bool
}

// target is what a path means: a step without its operation and value, or all
// the attributes of a schema.
type target struct {
	step
	all      []*attribute
	names    *names
	extended *extension
}

// Empty reports whether p has nothing to apply: it succeeds and changes
// nothing.
func (p *Patch) Empty() bool { return len(p.steps) == 0 }

// Mentions reports whether p may touch the attribute at a canonical path, a
// part of it or what it is part of: "name" and "name.givenName" are both
// mentioned by a change of either. The URN of an extension is mentioned by a
// change of any attribute in it. Case does not matter.
func (p *Patch) Mentions(path string) bool {
	for i := range p.steps {
		s := &p.steps[i]
		at := s.top.path
		if s.sub != nil {
			at = s.sub.path
		}
		if within(at, path) || within(path, at) || s.top.ext != nil && equalASCII(s.top.ext.urn, path) {
			return true
		}
	}
	return false
}

// within tells whether the path inner is outer or a part of it.
func within(inner, outer string) bool {
	if len(inner) < len(outer) || !equalASCII(inner[:len(outer)], outer) {
		return false
	}
	return len(inner) == len(outer) || inner[len(outer)] == '.'
}

// Password is the new password that p sets: the last one when it sets
// several, and false when it sets none or clears it.
func (p *Patch) Password() (Secret, bool) {
	for i := len(p.steps) - 1; i >= 0; i-- {
		s := &p.steps[i]
		if s.top.ext == nil && strings.EqualFold(s.top.path, "password") {
			if !s.value.IsValid() || s.clears {
				return "", false
			}
			return Secret(s.value.String()), true
		}
	}
	return "", false
}

// equalTerms lists the comparisons of a filter that is nothing but eq terms
// joined by and; false for any other filter.
func equalTerms(n *node, terms []*node) ([]*node, bool) {
	switch n.kind {
	case nodeAnd:
		terms, ok := equalTerms(n.left, terms)
		if !ok {
			return nil, false
		}
		return equalTerms(n.right, terms)
	case nodeCompare:
		if n.test.op == ast.EQ && !n.test.null && !n.leaf.MultiValued && (n.leaf.kind == kindString || n.leaf.kind == kindBool) {
			return append(terms, n), true
		}
	}
	return nil, false
}

// fill sets in an entry what the terms compare with, where it is unassigned.
func fill(entry reflect.Value, terms []*node) {
	for _, n := range terms {
		f := entry.Field(n.leaf.index)
		switch {
		case !unassigned(n.leaf, f):
		case n.leaf.kind == kindBool:
			setBool(f, n.test.bool)
		default:
			f.SetString(n.test.text)
		}
	}
}
