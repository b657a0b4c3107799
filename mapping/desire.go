package mapping

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sharearefund/scim-bridge/scim"
)

// Profile is the part of a person that upstream's profile fields hold.
type Profile struct {
	Email     string `json:"email,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	CountryID string `json:"country_id,omitempty"`
}

// Profile returns a's profile fields.
func (a Account) Profile() Profile {
	return Profile{Email: a.Email, FirstName: a.FirstName, LastName: a.LastName, CountryID: a.CountryID}
}

// Desire is what a person is due upstream according to what the client said.
type Desire struct {
	Profile Profile
	// EmailFrom and CountryFrom name the SCIM attributes behind the address
	// and the country; "" where what was there before is kept.
	EmailFrom, CountryFrom string
	// OtherID is informative and set when the person is first made.
	OtherID string
	Active  bool
	// Organizations are those that the person is to be a member of, each
	// once and all of the tenant's. Those with a suspended membership are
	// to have it back.
	Organizations []int64
	// Untouched are further organizations that hold the person without
	// access and are to stay as they are: the client named neither them nor
	// a change of activity.
	Untouched          []int64
	IdentityProviderID int64
	// Role is due where no membership exists yet, and is the most that is
	// kept when access comes back.
	Role Role
	// Roles are due in place of Role in some of the Organizations, whatever
	// is held there.
	Roles []DueRole
	// Granted are those of the Organizations that a rule adds.
	Granted []int64
	// KeptOut are further organizations that the person would be in, if it
	// were in a group that gives access to them.
	KeptOut []int64
	// Withheld says that there is no organization for the person to be in,
	// mostly because it is in no group that gives access: then Active is false,
	// whatever the client said.
	Withheld bool
}

// due is the role that is due in an organization. Where Roles has none, what
// is held there stays.
func (d *Desire) due(org int64) DueRole {
	for _, r := range d.Roles {
		if r.OrganizationID == org {
			return r
		}
	}
	return DueRole{OrganizationID: org, Role: d.Role, Because: "default role", Keep: true}
}

// lowest is the least of the roles due in the organizations: what an invite to
// all of them carries.
func (d *Desire) lowest(orgs []int64) Role {
	if len(orgs) == 0 {
		return d.Role
	}
	low := d.due(orgs[0]).Role
	for _, org := range orgs[1:] {
		if r := d.due(org).Role; r.Weight < low.Weight {
			low = r
		}
	}
	return low
}

// Desire decides what u is due, of whom nothing is upstream and who is in no
// group. previous is what upstream was last asked for: its address stands in
// for an Entra tombstone name and its country stays where u gives none; its
// zero value when there is none. Errors are *scim.Error of 400.
func (p *Policy) Desire(u *scim.User, previous Profile) (Desire, error) {
	e := Extension(u)
	d, err := p.desire(u, previous, e)
	if err != nil {
		return d, err
	}
	p.rule(&d, u, nil, e)
	return d, nil
}

// Past is what is known of a person beside what upstream shows.
type Past struct {
	// Written is what we last put upstream.
	Written Written
	// Groups are those that the person is in.
	Groups []Group
	// Restore are organizations that a change which was cut short had begun to
	// take away.
	Restore []int64
	// Unsaid says that the client says nothing now: what it said earlier and is
	// not possible any more is left out.
	Unsaid bool
}

// DesireOf is Desire for a person whom upstream shows as cur: what u leaves
// open stays as it is there, and as was written last only while there is
// nobody. Unless the client names organizations, those that hold the person
// stay, but for those that a rule had added; where some give access and others
// have suspended it, that stays so too. Organizations that have left the
// tenant meanwhile do not stand in the way of taking access away.
func (p *Policy) DesireOf(u *scim.User, cur Account, past Past) (Desire, error) {
	e := Extension(u)
	if past.Unsaid || u.Active != nil && !*u.Active {
		e = p.known(e)
	}
	profile := past.Written.Profile
	if cur.Exists() {
		profile = cur.Profile()
	}
	d, err := p.desire(u, profile, e)
	if err != nil {
		return d, err
	}
	if e == nil || len(e.OrganizationIDs) == 0 {
		p.stay(&d, cur, past)
	}
	p.rule(&d, u, past.Groups, e)
	for i := range d.Roles {
		d.Roles[i].Keep = p.keeps(d.Roles[i], cur, past.Written)
	}
	return d, nil
}

// stay leaves the person in the organizations that hold it, but for those that
// rules had added, and in those that the lack of a group had taken away: rules
// decide anew about both.
func (p *Policy) stay(d *Desire, cur Account, past Past) {
	granted := past.Written.Granted
	all := cur.HeldIn(p.Organizations)
	held, access := without(all, granted), without(cur.AccessIn(p.Organizations), granted)
	switch {
	case cur.ActiveIn(p.Organizations), past.Written.Withheld && cur.Exists():
		d.Organizations, d.Untouched = access, without(held, access)
	case len(all) > 0:
		d.Organizations = held
	}
	if kept := p.ours(past.Written.KeptOut); cur.Exists() {
		d.Organizations = append(d.Organizations, without(kept, d.Organizations)...)
		d.Untouched = without(d.Untouched, kept)
	}
	if restore := without(p.ours(past.Restore), granted); d.Active && len(restore) > 0 {
		d.Organizations = append(restore, without(d.Organizations, restore)...)
		d.Untouched = without(d.Untouched, restore)
	}
}

// ours are those of the organizations that the tenant manages.
func (p *Policy) ours(orgs []int64) []int64 {
	return without(orgs, without(orgs, p.Organizations))
}

// keeps reports whether a role that differs from what is due stays: one that
// was given behind our back, until something is said of the person, and one
// above the ceiling. What is only offered, or suspended, has yet to be given
// by us.
func (p *Policy) keeps(due DueRole, cur Account, previous Written) bool {
	m, _ := cur.membership(due.OrganizationID)
	if m.State != MembershipActive || previous.role(due.OrganizationID) != 0 {
		return false
	}
	return !due.Ruled || p.Ceiling.ID != 0 && p.weight(m.RoleID) > p.Ceiling.Weight
}

func (p *Policy) desire(u *scim.User, previous Profile, e *UserExtension) (Desire, error) {
	profile, from, err := profileOf(u, previous)
	if err != nil {
		return Desire{}, err
	}
	d := Desire{
		Profile: profile, EmailFrom: from.email, CountryFrom: from.country,
		OtherID:            u.ExternalID,
		Active:             u.Active == nil || *u.Active,
		Organizations:      slices.Clone(p.Organizations),
		IdentityProviderID: p.IdentityProviderID,
		Role:               p.DefaultRole,
	}
	if p.DefaultOrganizations != nil {
		d.Organizations = slices.Clone(p.DefaultOrganizations)
	}
	if err := d.wishes(e, p); err != nil {
		return Desire{}, err
	}
	return d, nil
}

// rule applies the tenant's rules to what is due, and puts the organization
// that the client wants to be the default one first: an account starts in the
// first one that it is invited to.
func (p *Policy) rule(d *Desire, u *scim.User, groups []Group, e *UserExtension) {
	if p.Governs() {
		due := p.entitle(u, groups, d.Organizations)
		d.Roles, d.Granted, d.KeptOut = due.roles, due.granted, due.keptOut
		d.Untouched = without(d.Untouched, due.granted)
		d.Organizations = nil
		for _, r := range due.roles {
			d.Organizations = append(d.Organizations, r.OrganizationID)
		}
	}
	if len(d.Organizations) == 0 {
		d.Withheld, d.Active = d.Active, false
	}
	if e == nil || e.DefaultOrganizationID == nil {
		return
	}
	if i := slices.Index(d.Organizations, *e.DefaultOrganizationID); i > 0 {
		d.Organizations = append([]int64{*e.DefaultOrganizationID}, slices.Delete(d.Organizations, i, i+1)...)
	}
}

// sources name the SCIM attributes that a profile comes from.
type sources struct{ email, country string }

// profileOf is what upstream's profile fields are to hold.
func profileOf(u *scim.User, previous Profile) (Profile, sources, error) {
	email, emailFrom, err := Address(u, previous.Email)
	if err != nil {
		return Profile{}, sources{}, err
	}
	country, countryFrom, err := Country(u)
	if err != nil {
		return Profile{}, sources{}, err
	}
	if country == "" {
		country = previous.CountryID // upstream's country is never emptied
	}
	p := Profile{Email: email, CountryID: country}
	if u.Name != nil {
		p.FirstName, p.LastName = u.Name.GivenName, u.Name.FamilyName
	}
	return p, sources{emailFrom, countryFrom}, nil
}

// wishes applies the extension's writable attributes.
func (d *Desire) wishes(e *UserExtension, p *Policy) error {
	if e == nil {
		return nil
	}
	if len(e.OrganizationIDs) > 0 {
		d.Organizations = nil
		for _, org := range e.OrganizationIDs {
			if !slices.Contains(p.Organizations, org) {
				return p.unknownOrganization(org)
			}
			if !slices.Contains(d.Organizations, org) {
				d.Organizations = append(d.Organizations, org)
			}
		}
	}
	may := p.mayBeIn(e.OrganizationIDs)
	if e.DefaultOrganizationID != nil && !slices.Contains(may, *e.DefaultOrganizationID) {
		return scim.BadRequest(scim.TypeInvalidValue, "%s:defaultOrganizationId: %d is not among the person's organizations (%s)",
			UserExtensionURN, *e.DefaultOrganizationID, joinIDs(may))
	}
	if e.IdentityProviderID != nil {
		d.IdentityProviderID = *e.IdentityProviderID
	}
	return nil
}

// mayBeIn are the organizations that the client named and those that a rule can
// add to them; where it named none, upstream tells in which the person is.
func (p *Policy) mayBeIn(named []int64) []int64 {
	if len(named) == 0 {
		return p.Organizations
	}
	may := slices.Clone(named)
	for _, r := range p.Rules {
		may = append(may, without(r.Organizations, may)...)
	}
	return may
}

// known is e without the organizations that are not the tenant's, and without
// a default one that is not among the person's.
func (p *Policy) known(e *UserExtension) *UserExtension {
	if e == nil {
		return nil
	}
	k := e.wishes()
	k.OrganizationIDs = p.ours(k.OrganizationIDs)
	if k.DefaultOrganizationID != nil && !slices.Contains(p.mayBeIn(k.OrganizationIDs), *k.DefaultOrganizationID) {
		k.DefaultOrganizationID = nil
	}
	return k
}

// CheckNamed refuses a change to an organization that is not the tenant's, or to
// an identity provider that upstream does not have enabled: also of somebody who
// is inactive, so that nothing stands in the way of the return. What was named
// before stays, whatever became of it: it must not stand in the way of other
// changes. before is nil for a new person.
func (p *Policy) CheckNamed(before, after *scim.User) error {
	is := Extension(after)
	if is == nil {
		return nil
	}
	was := &UserExtension{}
	if before != nil {
		if e := Extension(before); e != nil {
			was = e
		}
	}
	// A deactivation goes before everything else that is said with it.
	leaving := before != nil && (before.Active == nil || *before.Active) && after.Active != nil && !*after.Active
	for _, org := range is.OrganizationIDs {
		if !leaving && !slices.Contains(p.Organizations, org) && !slices.Contains(was.OrganizationIDs, org) {
			return p.unknownOrganization(org)
		}
	}
	id := is.IdentityProviderID
	if id == nil || p.IdentityProviders == nil || slices.Contains(p.IdentityProviders, *id) ||
		was.IdentityProviderID != nil && *was.IdentityProviderID == *id {
		return nil
	}
	return scim.BadRequest(scim.TypeInvalidValue, "%s:identityProviderId: %d is not an enabled identity provider of Share A Refund (have %s)",
		UserExtensionURN, *id, joinIDs(p.IdentityProviders))
}

func (p *Policy) unknownOrganization(org int64) error {
	return scim.BadRequest(scim.TypeInvalidValue, "%s:organizationIds: %d is not an organization of this tenant (have %s)",
		UserExtensionURN, org, joinIDs(p.Organizations))
}

func joinIDs(ids []int64) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(s, ", ")
}
