package mapping

import (
	"slices"
	"time"
)

// The states of an account, a membership and an invite, as the upstream
// contract names them.
const (
	AccountNew     = "new"
	AccountActive  = "active"
	AccountLocked  = "locked"
	AccountBlocked = "blocked"

	MembershipActive    = "active"
	MembershipInvited   = "invited"
	MembershipSuspended = "suspended"

	InvitePending  = "pending"
	InviteAccepted = "accepted"
	InviteRevoked  = "revoked"
	InviteExpired  = "expired"
	// InviteUnknown is the state of an invite that only its account told of.
	InviteUnknown = ""
)

// Account is what upstream holds of one person: an account, an invite that
// has not become one, or both. The zero value holds nothing: nobody upstream.
type Account struct {
	// UserID is 0 while the person is only invited.
	UserID    int64  `json:"user_id,omitempty"`
	Email     string `json:"email,omitempty"`
	FirstName string `json:"first_name,omitempty"`
	LastName  string `json:"last_name,omitempty"`
	CountryID string `json:"country_id,omitempty"`
	OtherID   string `json:"other_id,omitempty"`
	// State is empty while there is no account.
	State                 string       `json:"state,omitempty"`
	Memberships           []Membership `json:"memberships,omitempty"`
	DefaultOrganizationID int64        `json:"default_organization_id,omitempty"`
	IdentityProviderID    int64        `json:"identity_provider_id,omitempty"`
	// CameFrom is the id of the invite that the account came from; "" when it
	// came from none.
	CameFrom string `json:"came_from,omitempty"`
	// Invite is the person's latest invite that we know of.
	Invite    *Invite   `json:"invite,omitempty"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
}

// Membership ties an account to an organization with a role.
type Membership struct {
	OrganizationID int64  `json:"organization_id"`
	RoleID         int64  `json:"role_id"`
	State          string `json:"state"`
}

// Invite is an invitation into organizations.
type Invite struct {
	ID              string    `json:"id"`
	State           string    `json:"state"`
	RoleID          int64     `json:"role_id,omitempty"`
	OrganizationIDs []int64   `json:"organization_ids,omitempty"`
	ExpiresAt       time.Time `json:"expires_at,omitzero"`
}

// Clone copies a deeply.
func (a Account) Clone() Account {
	a.Memberships = slices.Clone(a.Memberships)
	if a.Invite != nil {
		i := *a.Invite
		i.OrganizationIDs = slices.Clone(i.OrganizationIDs)
		a.Invite = &i
	}
	return a
}

// Exists reports whether upstream has an account or an invite, in any state.
func (a Account) Exists() bool { return a.UserID != 0 || a.Invite != nil }

// Pending reports whether the person has been invited and never accepted.
func (a Account) Pending() bool {
	if a.UserID == 0 {
		return a.Invite != nil
	}
	return a.State == AccountNew
}

// membership finds the one in an organization.
func (a Account) membership(org int64) (Membership, bool) {
	for _, m := range a.Memberships {
		if m.OrganizationID == org {
			return m, true
		}
	}
	return Membership{}, false
}

// invitedTo reports whether a live invite covers an organization.
func (a Account) invitedTo(org int64) bool {
	return a.Invite != nil && (a.Invite.State == InvitePending || a.Invite.State == InviteExpired) &&
		slices.Contains(a.Invite.OrganizationIDs, org)
}

// ActiveIn reports whether the person has, or is being offered, access to any
// of the organizations. A person who has yet to accept is active, and so is
// one whose invite expired or whose account is locked: none of that is the
// identity provider's doing.
func (a Account) ActiveIn(orgs []int64) bool {
	return slices.ContainsFunc(orgs, a.hasAccess)
}

// Accepted reports whether somebody accepted between before and after: an
// organization that was offered gives access.
func Accepted(before, after Account) bool {
	return slices.ContainsFunc(after.Memberships, func(m Membership) bool {
		was, member := before.membership(m.OrganizationID)
		offered := member && was.State == MembershipInvited || !member && before.UserID == 0 && before.Invite != nil
		return m.State == MembershipActive && offered
	})
}

// Live reports whether any organization that shows gives or offers access.
func (a Account) Live() bool {
	if a.UserID == 0 {
		return a.Invite != nil && (a.Invite.State == InvitePending || a.Invite.State == InviteExpired)
	}
	return slices.ContainsFunc(a.Memberships, func(m Membership) bool {
		return m.State == MembershipActive || m.State == MembershipInvited
	})
}

func (a Account) hasAccess(org int64) bool {
	if m, ok := a.membership(org); ok {
		return m.State == MembershipActive || m.State == MembershipInvited
	}
	return a.UserID == 0 && a.invitedTo(org)
}

// AccessIn lists those of the organizations that the person has, or is being
// offered, access to.
func (a Account) AccessIn(orgs []int64) []int64 {
	var in []int64
	for _, org := range orgs {
		if a.hasAccess(org) {
			in = append(in, org)
		}
	}
	return in
}

// HeldIn lists those of the organizations in which the person has a
// membership of any state or, while there is no account, a live invite. (An
// account shows what it is invited to among its memberships; what is known of
// its invite may be older.)
func (a Account) HeldIn(orgs []int64) []int64 {
	var in []int64
	for _, org := range orgs {
		if _, ok := a.membership(org); ok || a.UserID == 0 && a.invitedTo(org) {
			in = append(in, org)
		}
	}
	return in
}

// SharedBeyond reports whether organizations other than the given ones hold
// the person too, or share the live invite of somebody without an account.
func (a Account) SharedBeyond(orgs []int64) bool {
	if a.UserID == 0 && a.Invite != nil && (a.Invite.State == InvitePending || a.Invite.State == InviteExpired) &&
		len(without(a.Invite.OrganizationIDs, orgs)) > 0 {
		return true
	}
	return slices.ContainsFunc(a.Memberships, func(m Membership) bool {
		return !slices.Contains(orgs, m.OrganizationID)
	})
}

// Equal reports whether a and b show the same state.
func (a Account) Equal(b Account) bool {
	if a.UserID != b.UserID || a.Email != b.Email || a.FirstName != b.FirstName || a.LastName != b.LastName ||
		a.CountryID != b.CountryID || a.OtherID != b.OtherID || a.State != b.State ||
		a.DefaultOrganizationID != b.DefaultOrganizationID || a.IdentityProviderID != b.IdentityProviderID || a.CameFrom != b.CameFrom ||
		!a.UpdatedAt.Equal(b.UpdatedAt) || !slices.Equal(a.Memberships, b.Memberships) {
		return false
	}
	if a.Invite == nil || b.Invite == nil {
		return a.Invite == b.Invite
	}
	return a.Invite.ID == b.Invite.ID && a.Invite.State == b.Invite.State && a.Invite.RoleID == b.Invite.RoleID &&
		a.Invite.ExpiresAt.Equal(b.Invite.ExpiresAt) && slices.Equal(a.Invite.OrganizationIDs, b.Invite.OrganizationIDs)
}
