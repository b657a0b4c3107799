package mapping

import (
	"fmt"
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// Known is what the bridge keeps of a person, besides what upstream shows.
type Known struct {
	ID      string
	Managed bool
	// Desired is what the client said; nil for an unmanaged person.
	Desired *scim.User
	// Written is what we last put upstream.
	Written Written
	// Groups are those that the person is in.
	Groups            []Group
	Version           int64
	Created, Modified time.Time
	// Location is the resource's URL.
	Location string
}

// dueOf is what the person is due by rules; empty where none governs.
func (p *Policy) dueOf(k Known, a Account) entitlement {
	if !p.Governs() || !k.Managed || k.Desired == nil {
		return entitlement{}
	}
	var d Desire
	if e := p.known(Extension(k.Desired)); e != nil && len(e.OrganizationIDs) > 0 {
		d.Organizations = e.OrganizationIDs
	} else {
		if d.Organizations = slices.Clone(p.DefaultOrganizations); d.Organizations == nil {
			d.Organizations = slices.Clone(p.Organizations)
		}
		p.stay(&d, a, Past{Written: k.Written})
	}
	due := p.entitle(k.Desired, k.Groups, d.Organizations)
	for i := range due.roles {
		due.roles[i].Keep = p.keeps(due.roles[i], a, k.Written)
	}
	return due
}

// View is the person as a provisioning client sees it: what the client said
// while upstream still holds what we wrote, upstream's value where somebody
// changed it there, and the activity that this tenant's memberships and
// invites have; somebody whom only the lack of a group keeps out is as active as
// the client said. Nothing of other organizations shows. The groups are left to
// the caller, the password is never part of it. The result shares nothing
// with its arguments.
func (p *Policy) View(k Known, a Account) *scim.User {
	var u *scim.User
	if k.Managed && k.Desired != nil {
		u = managedView(k, a)
	} else {
		u = unmanagedView(a)
	}
	u.Password = ""
	u.Groups = nil
	due := p.dueOf(k, a)
	due.withheld = k.Managed && k.Desired != nil && (due.withheld || k.Written.Withheld)
	active := a.ActiveIn(p.Organizations) || due.withheld && (k.Desired.Active == nil || *k.Desired.Active)
	u.Active = &active
	u.ID = k.ID
	u.Meta = scim.Meta{
		ResourceType: "User", Created: k.Created, LastModified: k.Modified, Location: k.Location,
	}
	if a.UpdatedAt.After(k.Modified) {
		u.Meta.LastModified = a.UpdatedAt
	}
	setExtension(u, p.extensionView(u, k, a, due))
	u.Meta.Version = version(k, u)
	return u
}

func managedView(k Known, a Account) *scim.User {
	u := cloneUser(k.Desired)
	seen, written := a.Profile(), k.Written.Profile
	if !a.Exists() {
		return u
	}
	if seen.FirstName != written.FirstName || seen.LastName != written.LastName {
		if u.Name == nil {
			u.Name = new(scim.Name)
		}
		if seen.FirstName != written.FirstName {
			u.Name.GivenName = seen.FirstName
		}
		if seen.LastName != written.LastName {
			u.Name.FamilyName = seen.LastName
		}
	}
	if scim.Fold(seen.Email) != scim.Fold(written.Email) {
		overrideEmail(u, written.Email, seen.Email)
	}
	if seen.CountryID != written.CountryID {
		overrideCountry(u, seen.CountryID)
	}
	return u
}

// overrideEmail makes email the address that Address takes from u, where it took
// previous before.
func overrideEmail(u *scim.User, previous, email string) {
	if i := addressEntry(u, previous); i >= 0 {
		u.Emails[i].Value = email
		return
	}
	yes := true
	u.Emails = append(u.Emails, scim.MultiValue{Value: email, Type: "work", Primary: &yes})
}

// overrideCountry makes code the country that Country takes from u, "" none.
func overrideCountry(u *scim.User, code string) {
	e := Extension(u)
	if e != nil && e.CountryCode != "" {
		if e.CountryCode = code; code != "" {
			return
		}
	}
	if i := countryEntry(u); i >= 0 {
		u.Addresses[i].Country = code
		if code == "" {
			overrideCountry(u, "") // no other address is to step in
		}
		return
	}
	if code == "" {
		return
	}
	if e == nil {
		e = new(UserExtension)
		setExtension(u, e)
	}
	e.CountryCode = code
}

// unmanagedView shows an account that was there before us, as far as a
// client needs to find it.
func unmanagedView(a Account) *scim.User {
	yes := true
	u := &scim.User{
		UserName: a.Email,
		Emails:   []scim.MultiValue{{Value: a.Email, Type: "work", Primary: &yes}},
	}
	if a.FirstName != "" || a.LastName != "" {
		u.Name = &scim.Name{GivenName: a.FirstName, FamilyName: a.LastName}
	}
	if a.CountryID != "" {
		setExtension(u, &UserExtension{CountryCode: a.CountryID})
	}
	return u
}

func (p *Policy) extensionView(u *scim.User, k Known, a Account, due entitlement) *UserExtension {
	e := Extension(u).wishes()
	if e == nil {
		e = new(UserExtension)
	}
	managed := k.Managed
	e.Managed = &managed
	e.AccountState = a.State
	e.Invite = p.inviteView(a)
	home := -1
	for _, org := range p.Organizations {
		m, ok := a.membership(org)
		if !ok && a.UserID == 0 && a.invitedTo(org) {
			m, ok = Membership{OrganizationID: org, RoleID: a.Invite.RoleID, State: MembershipInvited}, true
		}
		if !ok {
			continue
		}
		if home < 0 || org == a.DefaultOrganizationID {
			home = len(e.Memberships)
		}
		e.Memberships = append(e.Memberships, p.membershipView(m, due))
	}
	if home >= 0 {
		m := e.Memberships[home]
		e.EffectiveRole = &RoleView{ID: clonePointer(m.RoleID), Name: m.RoleName, Weight: clonePointer(m.RoleWeight), Because: m.Because}
	}
	e.NotApplied = p.notApplied(u, k, a, e, due)
	return e
}

func (p *Policy) inviteView(a Account) *InviteView {
	if a.Invite == nil {
		return nil
	}
	v := &InviteView{ID: a.Invite.ID, State: a.Invite.State, ExpiresAt: a.Invite.ExpiresAt}
	if v.State != InviteUnknown {
		return v
	}
	offered := false
	for _, org := range p.Organizations {
		m, _ := a.membership(org)
		offered = offered || m.State == MembershipInvited
	}
	switch {
	case a.State == AccountNew || offered:
		v.State = InvitePending
	case a.State == AccountActive || a.State == AccountLocked:
		v.State = InviteAccepted
	}
	return v
}

func (p *Policy) membershipView(m Membership, due entitlement) MembershipView {
	v := MembershipView{OrganizationID: &m.OrganizationID, RoleID: &m.RoleID, State: m.State}
	if r, ok := p.role(m.RoleID); ok {
		weight := int64(r.Weight)
		v.RoleName, v.RoleWeight = r.Name, &weight
	}
	v.Because = p.because(m, due)
	return v
}

// because says why a role is held.
func (p *Policy) because(m Membership, due entitlement) string {
	for _, d := range due.roles {
		switch {
		case d.OrganizationID != m.OrganizationID:
		case d.Role.ID == m.RoleID:
			return d.Because
		case d.Keep:
			return "held upstream"
		default:
			return fmt.Sprintf("held upstream; due is %s (%s)", d.Role.Name, d.Because)
		}
	}
	if m.RoleID == p.DefaultRole.ID {
		return "default role"
	}
	return "held upstream"
}

// notApplied names what the client said and upstream does not hold: it was
// not told, or would not take it. What somebody changed there since is in u
// already.
func (p *Policy) notApplied(u *scim.User, k Known, a Account, e *UserExtension, due entitlement) []string {
	if !k.Managed || k.Desired == nil {
		return nil
	}
	var names []string
	if due.withheld && *u.Active && !a.ActiveIn(p.Organizations) {
		names = append(names, "active")
	}
	if p.RolesAttribute && slices.ContainsFunc(u.Roles, p.ungrantable) {
		names = append(names, "roles")
	}
	if !a.Exists() {
		return names
	}
	if want, from, err := profileOf(u, a.Profile()); err == nil {
		d := Desire{EmailFrom: from.email, CountryFrom: from.country}
		names = append(names, d.attributesOf(differences(a.Profile(), want))...)
	}
	if len(e.OrganizationIDs) > 0 && a.ActiveIn(p.Organizations) && len(without(e.OrganizationIDs, a.HeldIn(p.Organizations))) > 0 {
		names = append(names, "organizationIds")
	}
	if e.DefaultOrganizationID != nil && a.UserID != 0 && *e.DefaultOrganizationID != a.DefaultOrganizationID {
		names = append(names, "defaultOrganizationId")
	}
	if e.IdentityProviderID != nil && *e.IdentityProviderID != a.IdentityProviderID {
		names = append(names, "identityProviderId")
	}
	return names
}

// ungrantable reports whether an entry of the attribute roles names no role of
// upstream, or one above the ceiling.
func (p *Policy) ungrantable(v scim.MultiValue) bool {
	r, ok := p.roleNamed(v)
	return !ok || p.Ceiling.ID != 0 && r.Weight > p.Ceiling.Weight
}
