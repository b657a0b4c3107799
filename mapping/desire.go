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
}

// Desire decides what u is due. previous is what upstream was last asked for:
// its address stands in for an Entra tombstone name and its country stays
// where u gives none; its zero value when there is none. Errors are
// *scim.Error of 400.
func (p *Policy) Desire(u *scim.User, previous Profile) (Desire, error) {
	return p.desire(u, previous, Extension(u))
}

// DesireOf is Desire for a person whom upstream shows as cur: what u leaves
// open stays as it is there, and as previous has it only while there is
// nobody. Unless the client names organizations, those that hold the person stay; where some
// give access and others have suspended it, that stays so too. Organizations
// that have left the tenant meanwhile do not stand in the way of taking
// access away.
func (p *Policy) DesireOf(u *scim.User, cur Account, previous Profile) (Desire, error) {
	e := Extension(u)
	if u.Active != nil && !*u.Active {
		e = p.known(e)
	}
	if cur.Exists() {
		previous = cur.Profile()
	}
	d, err := p.desire(u, previous, e)
	if err != nil || e != nil && len(e.OrganizationIDs) > 0 {
		return d, err
	}
	held, access := cur.HeldIn(p.Organizations), cur.AccessIn(p.Organizations)
	switch {
	case len(access) > 0:
		d.Organizations, d.Untouched = access, without(held, access)
	case len(held) > 0:
		d.Organizations = held
	}
	return d, nil
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
	if err := d.wishes(e, p); err != nil {
		return Desire{}, err
	}
	return d, nil
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
				return scim.BadRequest(scim.TypeInvalidValue, "%s:organizationIds: %d is not an organization of this tenant (have %s)",
					UserExtensionURN, org, joinIDs(p.Organizations))
			}
			if !slices.Contains(d.Organizations, org) {
				d.Organizations = append(d.Organizations, org)
			}
		}
	}
	if e.DefaultOrganizationID != nil && !slices.Contains(d.Organizations, *e.DefaultOrganizationID) {
		return scim.BadRequest(scim.TypeInvalidValue, "%s:defaultOrganizationId: %d is not among the person's organizations (%s)",
			UserExtensionURN, *e.DefaultOrganizationID, joinIDs(d.Organizations))
	}
	if e.IdentityProviderID != nil {
		d.IdentityProviderID = *e.IdentityProviderID
	}
	return nil
}

// known is e without the organizations that are not the tenant's.
func (p *Policy) known(e *UserExtension) *UserExtension {
	if e == nil {
		return nil
	}
	k := e.wishes()
	k.OrganizationIDs = slices.DeleteFunc(k.OrganizationIDs, func(org int64) bool { return !slices.Contains(p.Organizations, org) })
	k.DefaultOrganizationID = nil
	return k
}

// CheckProvider refuses a change to an identity provider that upstream does not
// have enabled. One that was named before stays, whatever became of it: it must
// not stand in the way of other changes. before is nil for a new person.
func (p *Policy) CheckProvider(before, after *scim.User) error {
	is := Extension(after)
	if is == nil || is.IdentityProviderID == nil || p.IdentityProviders == nil || slices.Contains(p.IdentityProviders, *is.IdentityProviderID) {
		return nil
	}
	if before != nil {
		if was := Extension(before); was != nil && was.IdentityProviderID != nil && *was.IdentityProviderID == *is.IdentityProviderID {
			return nil
		}
	}
	return scim.BadRequest(scim.TypeInvalidValue, "%s:identityProviderId: %d is not an enabled identity provider of Share A Refund (have %s)",
		UserExtensionURN, *is.IdentityProviderID, joinIDs(p.IdentityProviders))
}

func joinIDs(ids []int64) string {
	s := make([]string, len(ids))
	for i, id := range ids {
		s[i] = strconv.FormatInt(id, 10)
	}
	return strings.Join(s, ", ")
}
