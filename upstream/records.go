package upstream

import "time"

// The states of an account.
const (
	AccountNew     = "new"     // invited, not yet accepted
	AccountActive  = "active"  // can sign in where a membership is active
	AccountLocked  = "locked"  // too many failed sign-ins; a password reset unlocks
	AccountBlocked = "blocked" // deactivated: no access, still listed, can be reactivated
)

// The states of a membership.
const (
	MembershipActive    = "active"
	MembershipInvited   = "invited"
	MembershipSuspended = "suspended"
)

// The states of an invite.
const (
	InvitePending  = "pending"
	InviteAccepted = "accepted"
	InviteRevoked  = "revoked"
	InviteExpired  = "expired"
)

// Account is one person on the platform. Both families of the API (snake_case and PascalCase) decode into it.
// Zero numbers and empty strings mean that the service answered null or left the field out.
type Account struct {
	ID                                             int64
	Email, FirstName, LastName, CountryID, OtherID string
	Role                                           *Role // held in the default organization; nil when not answered (lists)
	Memberships                                    []Membership
	DefaultOrganizationID                          int64 // 0: none
	IdentityProviderID                             int64 // 0: none
	AccountState                                   string
	Accessible                                     bool   // an active account with at least one active membership
	InviteID                                       string // the invite that the account came from; "" for none
	CreatedAt, UpdatedAt                           time.Time
	LastLoginAt                                    time.Time // zero: never
}

// Membership is a person's place in one organization.
type Membership struct {
	OrganizationID, RoleID int64
	State                  string
}

// Role is a permission level; more Weight means more permission.
type Role struct {
	ID     int64
	Name   string
	Weight int
}

// Organization is one that the credential may manage.
type Organization struct {
	ID   int64
	Name string
}

// IdentityProvider is a way to sign in.
type IdentityProvider struct {
	ID           int64
	Name, Prefix string
	Enabled      bool
}

// Invite is an offer of membership in one or more organizations to one e-mail address.
type Invite struct {
	ID                                             string
	Email, FirstName, LastName, CountryID, OtherID string
	RoleID                                         int64
	OrganizationIDs                                []int64
	IdentityProviderID                             int64 // 0: none
	State                                          string
	UserID                                         int64 // 0: no account yet
	CreatedAt, ExpiresAt                           time.Time
}

// Profile is a change of profile fields: nil leaves a field as it is, a pointer to "" clears it.
type Profile struct {
	Email, FirstName, LastName, CountryID, OtherID *string
}

// InviteUpdate is a change of a pending invite.
type InviteUpdate struct {
	Profile
	RoleID          *int64  // nil: leave
	OrganizationIDs []int64 // nil: leave
}

// InviteUser is one person to invite.
type InviteUser struct {
	Email, FirstName, LastName, CountryID, OtherID string
	RoleID                                         int64 // 0: the service's default
	IdentityProviderID                             int64 // 0: none
	// ShouldActivateByEmail sends the invite mail. False together with an identity provider sends none: the account
	// waits for the first sign-in through that provider.
	ShouldActivateByEmail bool
}

// InviteStatus is what became of one person of an invite_users call.
type InviteStatus string

// The outcomes of inviting one person. Only Invited changed something.
const (
	Invited        InviteStatus = "invited"
	AlreadyInvited InviteStatus = "already_invited"
	AlreadyMember  InviteStatus = "already_member"
	Rejected       InviteStatus = "rejected"
)

// InviteResult is the outcome for one person, in the order of the request.
type InviteResult struct {
	Email    string
	Status   InviteStatus
	InviteID string // "" when there is none
	UserID   int64  // 0 while there is no account
	// Resolved tells that the answer was lost and the outcome was read back from the pending invites: the person is
	// invited, by this call or by an earlier one.
	Resolved bool
	// CreatedAt is when that invite was made; zero unless Resolved.
	CreatedAt time.Time
	Error     *Error // set exactly when Status is Rejected
}
