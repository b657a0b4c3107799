package mapping

import (
	"slices"

	"github.com/sharearefund/scim-bridge/scim"
)

// Replacement is what a PUT of body makes of a person who is seen as cur:
// optional attributes that body omits are cleared, except those whose absence
// must never take anything away: active, roles, externalId and our
// extension's. Read-only attributes are cur's. The password is left out: it
// is never kept. The result shares nothing with its arguments.
func Replacement(cur, body *scim.User) *scim.User {
	next, was := cloneUser(body), cloneUser(cur)
	next.ID, next.Meta, next.Groups, next.Schemas = was.ID, was.Meta, was.Groups, was.Schemas
	next.Password = ""
	if next.Active == nil {
		next.Active = was.Active
	}
	if next.ExternalID == "" {
		next.ExternalID = was.ExternalID
	}
	if next.Roles == nil {
		next.Roles = was.Roles
	}
	said, kept := Extension(next).wishes(), Extension(was).wishes()
	switch {
	case said == nil && kept == nil:
		return next
	case said == nil:
		said = kept
	case kept != nil:
		said.fill(kept)
	}
	setExtension(next, said)
	return next
}

// Adopted is what a POST of body makes of an account that was there before
// us and is seen as cur: it is to be active unless body says otherwise, and
// the names that body leaves out stay as the account has them.
func Adopted(cur, body *scim.User) *scim.User {
	next := Replacement(cur, body)
	if body.Active == nil {
		active := true
		next.Active = &active
	}
	if cur.Name != nil {
		if next.Name == nil {
			next.Name = new(scim.Name)
		}
		if next.Name.GivenName == "" {
			next.Name.GivenName = cur.Name.GivenName
		}
		if next.Name.FamilyName == "" {
			next.Name.FamilyName = cur.Name.FamilyName
		}
	}
	return next
}

// fill takes what e leaves out from o.
func (e *UserExtension) fill(o *UserExtension) {
	if e.CountryCode == "" {
		e.CountryCode = o.CountryCode
	}
	if len(e.OrganizationIDs) == 0 {
		e.OrganizationIDs = slices.Clone(o.OrganizationIDs)
	}
	if e.DefaultOrganizationID == nil {
		e.DefaultOrganizationID = clonePointer(o.DefaultOrganizationID)
	}
	if e.IdentityProviderID == nil {
		e.IdentityProviderID = clonePointer(o.IdentityProviderID)
	}
}
