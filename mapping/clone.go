package mapping

import (
	"slices"

	"github.com/sharearefund/scim-bridge/scim"
)

// cloneUser copies u deeply, but for extensions that are not ours.
func cloneUser(u *scim.User) *scim.User {
	c := *u
	c.Schemas = slices.Clone(u.Schemas)
	c.Name = clonePointer(u.Name)
	c.Active = clonePointer(u.Active)
	c.Emails = cloneValues(u.Emails)
	c.PhoneNumbers = cloneValues(u.PhoneNumbers)
	c.IMs = cloneValues(u.IMs)
	c.Photos = cloneValues(u.Photos)
	c.Addresses = slices.Clone(u.Addresses)
	for i := range c.Addresses {
		c.Addresses[i].Primary = clonePointer(c.Addresses[i].Primary)
	}
	c.Groups = slices.Clone(u.Groups)
	c.Entitlements = cloneValues(u.Entitlements)
	c.Roles = cloneValues(u.Roles)
	c.X509Certificates = cloneValues(u.X509Certificates)
	if c.Enterprise = clonePointer(u.Enterprise); c.Enterprise != nil {
		c.Enterprise.Manager = clonePointer(u.Enterprise.Manager)
	}
	c.Extensions = slices.Clone(u.Extensions)
	if e := Extension(u); e != nil {
		setExtension(&c, e.clone())
	}
	return &c
}

func cloneValues(vs []scim.MultiValue) []scim.MultiValue {
	c := slices.Clone(vs)
	for i := range c {
		c[i].Primary = clonePointer(c[i].Primary)
	}
	return c
}

func clonePointer[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// clone copies e deeply.
func (e *UserExtension) clone() *UserExtension {
	c := e.wishes()
	c.Managed = clonePointer(e.Managed)
	c.AccountState = e.AccountState
	c.Invite = clonePointer(e.Invite)
	if c.EffectiveRole = clonePointer(e.EffectiveRole); c.EffectiveRole != nil {
		c.EffectiveRole.ID = clonePointer(e.EffectiveRole.ID)
		c.EffectiveRole.Weight = clonePointer(e.EffectiveRole.Weight)
	}
	c.Memberships = slices.Clone(e.Memberships)
	for i := range c.Memberships {
		m := &c.Memberships[i]
		m.OrganizationID, m.RoleID, m.RoleWeight = clonePointer(m.OrganizationID), clonePointer(m.RoleID), clonePointer(m.RoleWeight)
	}
	c.NotApplied = slices.Clone(e.NotApplied)
	return c
}
