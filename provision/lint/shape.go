package lint

import (
	"strings"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

// shape is what a resource shows: the codes that it speaks for, and those that
// it speaks against. A code in neither is left open.
type shape struct{ wrong, right mask }

func (s *shape) say(c code, wrong bool) {
	if wrong {
		s.wrong |= 1 << c
	} else {
		s.right |= 1 << c
	}
}

// shapeOf is what u shows, as a client of the dialect sends it or would read
// it. The name that Entra gives to a deleted user says nothing about mappings.
func shapeOf(d scim.Dialect, u *scim.User) shape {
	var s shape
	if len(u.UserName) > 32 && mapping.IsTombstoneName(u.UserName) {
		s.say(tombstone, d == scim.DialectEntra)
		return s
	}
	s.say(tombstone, false)
	if d == scim.DialectEntra && u.ExternalID != "" {
		s.say(externalID, !isGUID(u.ExternalID))
	}
	_, _, err := mapping.Address(u, "")
	s.say(noEmail, err != nil)
	s.say(userName, err == nil && !strings.Contains(u.UserName, "@"))
	s.say(nameMissing, u.Name == nil || u.Name.GivenName == "" || u.Name.FamilyName == "")
	s.say(emailType, untyped(d, u.Emails))
	return s
}

// untyped reports whether there are addresses and none says what it is for.
// Entra looks people up by the type; to others a primary one does as well.
func untyped(d scim.Dialect, emails []scim.MultiValue) bool {
	for i := range emails {
		e := &emails[i]
		if strings.EqualFold(e.Type, "work") || d != scim.DialectEntra && e.Primary != nil && *e.Primary {
			return false
		}
	}
	return len(emails) > 0
}

// isGUID reports whether s is a GUID as Entra writes them: 8-4-4-4-12
// hexadecimal digits.
func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch c := s[i] | 0x20; {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if s[i] != '-' {
				return false
			}
		case (s[i] < '0' || s[i] > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}

// addsRoles reports whether p adds to the roles of a person, as
// AppRoleAssignmentsComplex does, where it could replace them: one that is
// there already would stay.
func addsRoles(codec *scim.Codec[scim.User], p *scim.Patch) bool {
	const there = "lint: a role that is there already"
	held := true
	next, _, err := codec.Apply(p, &scim.User{UserName: there, Roles: []scim.MultiValue{{Value: there, Primary: &held}}})
	if err != nil || next == nil || len(next.Roles) < 2 {
		return false
	}
	for _, r := range next.Roles {
		if r.Value == there {
			return true
		}
	}
	return false
}
