package sandbox

import (
	"slices"
	"time"
)

// The states of accounts, memberships and invites.
const (
	StateNew     = "new"
	StateActive  = "active"
	StateLocked  = "locked"
	StateBlocked = "blocked"

	StateInvited   = "invited"
	StateSuspended = "suspended"

	StatePending  = "pending"
	StateAccepted = "accepted"
	StateRevoked  = "revoked"
	StateExpired  = "expired"
)

// Account is the record of an account in the form of the Users API. A profile field that is not set is "".
type Account struct {
	ID                    int64        `json:"id"`
	Email                 string       `json:"email"`
	FirstName             string       `json:"first_name"`
	LastName              string       `json:"last_name"`
	CountryID             string       `json:"country_id"`
	OtherID               string       `json:"other_id"`
	Role                  *Role        `json:"role"`
	Memberships           []Membership `json:"memberships"`
	DefaultOrganizationID *int64       `json:"default_organization_id"`
	IdentityProviderID    *int64       `json:"identity_provider_id"`
	AccountState          string       `json:"account_state"`
	Accessible            bool         `json:"accessible"`
	InviteID              *string      `json:"invite_id"`
	CreatedAt             time.Time    `json:"created_at"`
	UpdatedAt             time.Time    `json:"updated_at"`
	LastLoginAt           *time.Time   `json:"last_login_at"`
}

// Role is a role in the form of the Users API.
type Role struct {
	ID     int64  `json:"id"`
	Name   string `json:"name"`
	Weight int    `json:"weight"`
}

// Membership ties an account to an organization.
type Membership struct {
	OrganizationID int64  `json:"organization_id"`
	RoleID         int64  `json:"role_id"`
	State          string `json:"state"`
}

// Membership returns the account's membership in the organization; State is "" when there is none.
func (a Account) Membership(organizationID int64) Membership {
	for _, m := range a.Memberships {
		if m.OrganizationID == organizationID {
			return m
		}
	}
	return Membership{}
}

// Invite is the record of an invite in the form of the User Management API.
type Invite struct {
	ID                 string    `json:"Id"`
	Email              string    `json:"Email"`
	FirstName          string    `json:"FirstName"`
	LastName           string    `json:"LastName"`
	CountryID          string    `json:"CountryId"`
	OtherID            string    `json:"OtherId"`
	RoleID             int64     `json:"RoleId"` // the lowest, where the organizations have different ones
	OrganizationIDs    []int64   `json:"OrganizationIds"`
	IdentityProviderID *int64    `json:"IdentityProviderId"`
	State              string    `json:"State"`
	UserID             *int64    `json:"UserId"`
	CreatedAt          time.Time `json:"CreatedAt"`
	ExpiresAt          time.Time `json:"ExpiresAt"`
}

// platformUser is the record of an account in the form of the User Management API.
type platformUser struct {
	ID                    int64                `json:"Id"`
	Email                 string               `json:"Email"`
	FirstName             string               `json:"FirstName"`
	LastName              string               `json:"LastName"`
	CountryID             string               `json:"CountryId"`
	OtherID               string               `json:"OtherId"`
	Memberships           []platformMembership `json:"Memberships"`
	DefaultOrganizationID *int64               `json:"DefaultOrganizationId"`
	IdentityProviderID    *int64               `json:"IdentityProviderId"`
	AccountState          string               `json:"AccountState"`
	IsAccessible          bool                 `json:"IsAccessible"`
	InviteID              *string              `json:"InviteId"`
	CreatedAt             time.Time            `json:"CreatedAt"`
	UpdatedAt             time.Time            `json:"UpdatedAt"`
	LastLoginAt           *time.Time           `json:"LastLoginAt"`
}

type platformMembership struct {
	OrganizationID int64  `json:"OrganizationId"`
	RoleID         int64  `json:"RoleId"`
	State          string `json:"State"`
}

// account is an account as the sandbox keeps it. Values are never changed once they are in the state: a change is a
// clone that replaces it, so that readers, the ledger and stale reads may hold on to old ones.
type account struct {
	accountFields
	Memberships []membership
	Identities  []identity
}

// accountFields are the comparable part of an account; zero numbers, times and strings stand for null.
type accountFields struct {
	ID                  int64
	Email               string
	FirstName           string
	LastName            string
	CountryID           string
	OtherID             string
	DefaultOrganization int64
	IdentityProvider    int64
	State               string
	InviteID            string
	CreatedAt           time.Time
	UpdatedAt           time.Time
	LastLoginAt         time.Time

	Accepted  bool   // the person has once accepted an invite, or was created without one
	CreatedBy string // the credential of create_user, which alone may give the first membership
	Passwords int    // how often the password was set
	Sessions  int    // the generation of the person's tokens; older ones are dead
}

type membership struct {
	OrganizationID int64
	RoleID         int64
	State          string
	Accepted       bool // what activation brings a suspended membership back to: active, or invited
}

// identity is a sign-in of an account at an identity provider.
type identity struct {
	ProviderID int64
	Subject    string
}

func (a *account) clone() *account {
	n := *a
	n.Memberships = slices.Clone(a.Memberships)
	n.Identities = slices.Clone(a.Identities)
	return &n
}

// same reports whether the two hold the same, their UpdatedAt aside.
func (a *account) same(b *account) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := a.accountFields, b.accountFields
	x.UpdatedAt, y.UpdatedAt = time.Time{}, time.Time{}
	return x == y && slices.Equal(a.Memberships, b.Memberships) && slices.Equal(a.Identities, b.Identities)
}

// membership returns the membership in the organization, to be changed in place on a clone only, or nil.
func (a *account) membership(organizationID int64) *membership {
	for i := range a.Memberships {
		if a.Memberships[i].OrganizationID == organizationID {
			return &a.Memberships[i]
		}
	}
	return nil
}

func (a *account) join(m membership) {
	a.Memberships = append(a.Memberships, m)
	if a.DefaultOrganization == 0 {
		a.DefaultOrganization = m.OrganizationID
	}
}

func (a *account) leave(organizationID int64) {
	a.Memberships = slices.DeleteFunc(a.Memberships, func(m membership) bool { return m.OrganizationID == organizationID })
	if a.DefaultOrganization != organizationID {
		return
	}
	a.DefaultOrganization = 0
	if len(a.Memberships) > 0 {
		a.DefaultOrganization = a.Memberships[0].OrganizationID
	}
}

func (a *account) hasActiveMembership() bool {
	return slices.ContainsFunc(a.Memberships, func(m membership) bool { return m.State == StateActive })
}

func (a *account) accessible() bool { return a.State == StateActive && a.hasActiveMembership() }

// in reports whether the account belongs, or is invited, to one of the organizations; false for nil.
func (a *account) in(organizationIDs []int64) bool {
	return a != nil && slices.ContainsFunc(a.Memberships, func(m membership) bool {
		return slices.Contains(organizationIDs, m.OrganizationID)
	})
}

func (a *account) organizationIDs() []int64 {
	ids := make([]int64, len(a.Memberships))
	for i, m := range a.Memberships {
		ids[i] = m.OrganizationID
	}
	return ids
}

// invite is an invite as the sandbox keeps it, immutable once in the state like account.
type invite struct {
	inviteFields
	Organizations []int64 // kept when the invite is revoked, so that resending can revive it
}

type inviteFields struct {
	Seq              int64
	ID               string
	Email            string
	FirstName        string
	LastName         string
	CountryID        string
	OtherID          string
	RoleID           int64
	IdentityProvider int64
	State            string // pending, accepted or revoked: expiry is read off the clock
	UserID           int64
	CreatedAt        time.Time
	ExpiresAt        time.Time
}

func (i *invite) clone() *invite {
	n := *i
	n.Organizations = slices.Clone(i.Organizations)
	return &n
}

func (i *invite) same(b *invite) bool {
	if i == nil || b == nil {
		return i == b
	}
	return i.inviteFields == b.inviteFields && slices.Equal(i.Organizations, b.Organizations)
}

func (i *invite) state(now time.Time) string {
	if i.State == StatePending && !now.Before(i.ExpiresAt) {
		return StateExpired
	}
	return i.State
}

func (i *invite) pending(now time.Time) bool { return i.state(now) == StatePending }

func (i *invite) covers(organizationID int64) bool {
	return slices.Contains(i.Organizations, organizationID)
}

// in reports whether the invite is, or was when it ended, to one of the organizations; false for nil.
func (i *invite) in(organizationIDs []int64) bool {
	return i != nil && slices.ContainsFunc(i.Organizations, func(id int64) bool { return slices.Contains(organizationIDs, id) })
}

// withdraw takes the organizations out of the invite and revokes it when none is left. It returns those taken out.
func (i *invite) withdraw(organizationIDs []int64) []int64 {
	var out, left []int64
	for _, id := range i.Organizations {
		if slices.Contains(organizationIDs, id) {
			out = append(out, id)
		} else {
			left = append(left, id)
		}
	}
	if len(left) == 0 {
		i.State = StateRevoked
	} else {
		i.Organizations = left
	}
	return out
}

// record is the invite as it is shown at that time.
func (i *invite) record(now time.Time) *Invite {
	if i == nil {
		return nil
	}
	return &Invite{
		ID: i.ID, Email: i.Email, FirstName: i.FirstName, LastName: i.LastName, CountryID: i.CountryID, OtherID: i.OtherID,
		RoleID: i.RoleID, OrganizationIDs: slices.Clone(i.Organizations), IdentityProviderID: orNull(i.IdentityProvider),
		State: i.state(now), UserID: orNull(i.UserID), CreatedAt: i.CreatedAt, ExpiresAt: i.ExpiresAt,
	}
}

// record is the account in the form of the Users API.
func (a *account) record(c *catalogue) *Account {
	if a == nil {
		return nil
	}
	out := &Account{
		ID: a.ID, Email: a.Email, FirstName: a.FirstName, LastName: a.LastName, CountryID: a.CountryID, OtherID: a.OtherID,
		Memberships:           make([]Membership, len(a.Memberships)),
		DefaultOrganizationID: orNull(a.DefaultOrganization), IdentityProviderID: orNull(a.IdentityProvider),
		AccountState: a.State, Accessible: a.accessible(), InviteID: orNull(a.InviteID),
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, LastLoginAt: orNull(a.LastLoginAt),
	}
	for i, m := range a.Memberships {
		out.Memberships[i] = Membership{m.OrganizationID, m.RoleID, m.State}
		if m.OrganizationID == a.DefaultOrganization {
			role, _ := c.role(m.RoleID)
			out.Role = &Role{role.ID, role.Name, role.Weight}
		}
	}
	return out
}

// platform is the account in the form of the User Management API.
func (a *account) platform() platformUser {
	out := platformUser{
		ID: a.ID, Email: a.Email, FirstName: a.FirstName, LastName: a.LastName, CountryID: a.CountryID, OtherID: a.OtherID,
		Memberships:           make([]platformMembership, len(a.Memberships)),
		DefaultOrganizationID: orNull(a.DefaultOrganization), IdentityProviderID: orNull(a.IdentityProvider),
		AccountState: a.State, IsAccessible: a.accessible(), InviteID: orNull(a.InviteID),
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, LastLoginAt: orNull(a.LastLoginAt),
	}
	for i, m := range a.Memberships {
		out.Memberships[i] = platformMembership{m.OrganizationID, m.RoleID, m.State}
	}
	return out
}

// orNull is nil for the zero value, which JSON shows as null.
func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
