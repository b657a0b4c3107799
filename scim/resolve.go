package scim

import (
	"fmt"
	"strings"

	ast "github.com/scim2/filter-parser/v2"
)

// resolve finds the attribute, and the sub-attribute when one is named, that
// a path of a filter or of a PATCH means. Names and URNs are found in any
// case. The error says what is unknown, and where.
func (b *binding) resolve(p ast.AttributePath, tol Tolerances) (top, sub *attribute, err error) {
	from := &b.names
	if p.URIPrefix != nil {
		switch x := b.extension(*p.URIPrefix); {
		case x != nil:
			from = &x.names
		case !equalASCII(*p.URIPrefix, b.urn):
			return nil, nil, unknownf("unknown schema %q; a %s has %s", shorten(*p.URIPrefix), b.resourceType, b.urns())
		}
	}
	top = from.findString(p.AttributeName)
	if top == nil && p.URIPrefix == nil && tol.Has(tolExtensionNoURN) {
		top = b.inExtension(p.AttributeName)
	}
	if top == nil {
		return nil, nil, unknownf("unknown attribute %q; see /Schemas for those of a %s", shorten(p.String()), b.resourceType)
	}
	if p.SubAttribute != nil {
		if sub, err = top.sub(*p.SubAttribute); err != nil {
			return nil, nil, err
		}
	}
	return top, sub, nil
}

// inExtension finds an attribute that the first extension to have it has.
func (b *binding) inExtension(name string) *attribute {
	for _, x := range b.exts {
		if a := x.names.findString(name); a != nil {
			return a
		}
	}
	return nil
}

// sub finds a sub-attribute of a.
func (a *attribute) sub(name string) (*attribute, error) {
	if a.kind != kindComplex {
		return nil, unknownf("%s has no sub-attributes, so none is named %q", a.path, shorten(name))
	}
	s := a.names.findString(name)
	if s == nil {
		return nil, unknownf("unknown sub-attribute %q of %s", shorten(name), a.path)
	}
	return s, nil
}

func (b *binding) urns() string {
	urns := []string{b.urn}
	for _, x := range b.exts {
		urns = append(urns, x.urn)
	}
	return strings.Join(urns, ", ")
}

// unknownError is a name that the resource type does not have, as opposed to
// one that is written or used wrongly.
type unknownError struct{ msg string }

func (e *unknownError) Error() string { return e.msg }

func unknownf(format string, args ...any) error {
	return &unknownError{fmt.Sprintf(format, args...)}
}
