package scim

import (
	"fmt"
	"slices"

	ast "github.com/scim2/filter-parser/v2"
)

// groupPatch says what the steps of p change of a group.
func (c *GroupCodec) groupPatch(p *Patch) (*GroupPatch, error) {
	g := &GroupPatch{Skipped: p.Skipped}
	for i := range p.steps {
		s := &p.steps[i]
		switch s.top.path {
		case "displayName":
			g.DisplayName = s.text()
		case "externalId":
			g.ExternalID = s.text()
		case "members":
			change, err := c.memberChange(p, s)
			if err != nil {
				return nil, err
			}
			if change != nil {
				g.Members = append(g.Members, *change)
			}
		default:
			return nil, &Error{Status: 500, Err: fmt.Errorf("scim: a PATCH of a group changes %s, which nobody applies", s.top.path)}
		}
	}
	return g, nil
}

// text is what a string is to be after s: "" when it is unassigned.
func (s *step) text() *string {
	t := ""
	if s.op != opRemove {
		t = s.value.String()
	}
	return &t
}

// memberChange is what s changes of the members; nil when that is nothing.
func (c *GroupCodec) memberChange(p *Patch, s *step) (*MemberChange, error) {
	switch {
	case s.sub != nil:
		return nil, BadRequest(TypeMutability, "%s%s is %s: add and remove members as a whole", s.at(), s.sub.path, s.sub.Mutability)
	case s.filter != nil:
		return c.selectedMembers(p, s)
	}
	var values []string
	if s.value.IsValid() {
		for _, m := range s.value.Interface().([]Member) {
			values = append(values, m.Value)
		}
	}
	switch {
	case s.op == opReplace, s.op == opRemove && !s.value.IsValid():
		return &MemberChange{Op: MemberReplace, Values: values}, nil
	case len(values) == 0:
		return nil, nil
	case s.op == opRemove:
		return &MemberChange{Op: MemberRemove, Values: values}, nil
	}
	return &MemberChange{Op: MemberAdd, Values: values}, nil
}

// selectedMembers is memberChange where the path has a filter.
func (c *GroupCodec) selectedMembers(p *Patch, s *step) (*MemberChange, error) {
	switch {
	case s.op == opAdd && s.clears:
		return nil, nil
	case s.op == opAdd, s.op == opReplace && !s.clears:
		return c.describedMember(s)
	}
	if values, ok := c.named(s.filter, nil); ok {
		return &MemberChange{Op: MemberRemove, Values: values}, nil
	}
	// A path with a filter and no sub-attribute is a filter as well.
	f, err := c.b.parseFilter(s.path, p.tol)
	if err != nil {
		return nil, err
	}
	return &MemberChange{Op: MemberRemove, Filter: f}, nil
}

// named lists the members that a filter names by their value alone.
func (c *GroupCodec) named(n *node, values []string) ([]string, bool) {
	switch {
	case n.kind == nodeOr:
		values, ok := c.named(n.left, values)
		if !ok {
			return nil, false
		}
		return c.named(n.right, values)
	case n.kind != nodeCompare || n.leaf != c.value || n.test.op != ast.EQ || n.test.null:
		return nil, false
	case slices.Contains(values, n.test.text):
		return values, true
	}
	return append(values, n.test.text), true
}

// describedMember adds the member that the filter describes. To replace one is
// the same: nothing of a member can be changed, so that it is one is all that
// the operation says.
func (c *GroupCodec) describedMember(s *step) (*MemberChange, error) {
	id := ""
	for _, n := range s.equal {
		switch n.leaf {
		case c.value:
			id = n.test.text
		case c.kind:
			if err := checkMemberType(n.test.text); err != nil {
				return nil, BadRequest(TypeInvalidValue, "%s%v", s.at(), err)
			}
		}
	}
	if id == "" {
		return nil, BadRequest(TypeNoTarget, "%s%s does not name the member to add; name it by members[value eq \"…\"]", s.at(), s.path)
	}
	if m := s.value.Interface().(Member); m.Value != "" && m.Value != id {
		return nil, BadRequest(TypeMutability, "%sthe value of a member cannot be changed: remove the member and add the other", s.at())
	}
	return &MemberChange{Op: MemberAdd, Values: []string{id}}, nil
}
