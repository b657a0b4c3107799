package scim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sharearefund/scim-bridge/schemas"
	"github.com/sharearefund/scim-bridge/scim/filter"
)

// Projection says which attributes an answer shows (RFC 7644 §3.9). The zero
// value shows what is returned by default. It is immutable.
type Projection struct {
	b *binding
	// shown is by attribute number; nil shows what is returned by default.
	shown []bool
}

// Default reports whether p shows what is returned by default.
func (p Projection) Default() bool { return p.shown == nil }

// Shows reports whether an answer shows the attribute at a canonical path
// ("groups", "members.display", "urn:…:User:department"), or something inside
// it, as far as the projection goes: it may still be unassigned. A path that
// the resource type does not have is not shown; the zero Projection, which
// belongs to no resource type, shows every path but password.
func (p Projection) Shows(path string) bool {
	if p.b == nil {
		return !equalASCII(path, "password")
	}
	as, err := p.b.targets(path)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(as, func(a *attribute) bool { return p.shown[a.no] && a.anyShown(p.shown) })
}

// anyShown tells whether a has no sub-attributes, or one that is shown.
func (a *attribute) anyShown(shown []bool) bool {
	return len(a.subs) == 0 || slices.ContainsFunc(a.subs, func(s *attribute) bool { return shown[s.no] })
}

// parseProjection reads both parameters.
func (b *binding) parseProjection(attributes, excluded string) (Projection, error) {
	switch {
	case attributes != "" && excluded != "":
		return Projection{}, BadRequest(TypeInvalidValue, "attributes and excludedAttributes are mutually exclusive (RFC 7644 §3.9); send one of them")
	case attributes != "":
		return b.project("attributes", attributes, true)
	case excluded != "":
		return b.project("excludedAttributes", excluded, false)
	}
	return Projection{}, nil
}

// project shows what list names (only) or everything else that is returned by
// default. Names that the resource type does not have are passed over, since
// they ask for nothing that it could show.
func (b *binding) project(parameter, list string, only bool) (Projection, error) {
	shown := make([]bool, len(b.all))
	if !only {
		shown = b.byDefault()
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		as, err := b.targets(name)
		if err != nil {
			return Projection{}, BadRequest(TypeInvalidValue, "%s: %v", parameter, err)
		}
		for _, a := range as {
			b.show(shown, a, only)
		}
	}
	for _, a := range b.all {
		switch a.Returned {
		case schemas.Always:
			shown[a.no] = true
		case schemas.Never:
			shown[a.no] = false
		}
	}
	return Projection{b: b, shown: shown}, nil
}

// show includes or excludes a and what is inside it. A complex attribute is
// shown as long as one of its sub-attributes is.
func (b *binding) show(shown []bool, a *attribute, on bool) {
	shown[a.no] = on
	for _, s := range a.subs {
		shown[s.no] = on
	}
	if p := a.parent; p != nil && on {
		shown[p.no] = true
	}
}

// targets lists the attributes that a name stands for: one, or all of an
// extension or of the core schema when the name is a URN, or none. Only a
// name that cannot be read is an error.
func (b *binding) targets(name string) ([]*attribute, error) {
	switch x := b.extension(name); {
	case x != nil:
		return x.attrs, nil
	case equalASCII(name, b.urn):
		return b.attrs, nil
	}
	path, err := filter.ParsePath(name, filter.Options{})
	if err != nil {
		return nil, err
	}
	if path.ValueExpression != nil {
		return nil, fmt.Errorf("%q has a value filter; name the attribute alone", shorten(name))
	}
	top, sub, err := b.resolve(path.AttributePath, 0)
	switch {
	case err != nil:
		return nil, nil
	case sub != nil:
		return []*attribute{sub}, nil
	}
	return []*attribute{top}, nil
}
