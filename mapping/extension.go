package mapping

import (
	"slices"
	"time"

	"github.com/sharearefund/scim-bridge/scim"
)

// UserExtensionURN names the extension of User for what is particular to
// Share A Refund.
const UserExtensionURN = "urn:sharearefund:params:scim:schemas:extension:2.0:User"

// UserExtension is that extension; schemas/ShareARefundUser.json has the
// characteristics of its attributes. The first four are the client's to
// write, the others are computed for every answer.
type UserExtension struct {
	CountryCode           string  `scim:"countryCode"`
	OrganizationIDs       []int64 `scim:"organizationIds"`
	DefaultOrganizationID *int64  `scim:"defaultOrganizationId"`
	IdentityProviderID    *int64  `scim:"identityProviderId"`

	Managed       *bool            `scim:"managed"`
	AccountState  string           `scim:"accountState"`
	Invite        *InviteView      `scim:"invite"`
	EffectiveRole *RoleView        `scim:"effectiveRole"`
	Memberships   []MembershipView `scim:"memberships"`
	NotApplied    []string         `scim:"notApplied"`
}

// InviteView shows the person's latest invite, after acceptance too.
type InviteView struct {
	ID        string    `scim:"id"`
	State     string    `scim:"state"`
	ExpiresAt time.Time `scim:"expiresAt"`
}

// RoleView shows the role in the default organization and why it is held.
type RoleView struct {
	ID      *int64 `scim:"id"`
	Name    string `scim:"name"`
	Weight  *int64 `scim:"weight"`
	Because string `scim:"because"`
}

// MembershipView shows one membership in an organization of the tenant. The
// role is flat because a complex attribute holds no complex one (RFC 7643
// §2.3.8).
type MembershipView struct {
	OrganizationID *int64 `scim:"organizationId"`
	RoleID         *int64 `scim:"roleId"`
	RoleName       string `scim:"roleName"`
	RoleWeight     *int64 `scim:"roleWeight"`
	State          string `scim:"state"`
	Because        string `scim:"because"`
}

// NewUserCodec is the codec of User resources as this bridge serves them.
func NewUserCodec() (*scim.Codec[scim.User], error) {
	return scim.NewUserCodec(scim.Extension{
		URN: UserExtensionURN,
		New: func() any { return new(UserExtension) },
	})
}

// Extension returns u's extension, or nil when u has none.
func Extension(u *scim.User) *UserExtension {
	for _, x := range u.Extensions {
		if e, ok := x.(*UserExtension); ok {
			return e
		}
	}
	return nil
}

// setExtension replaces u's extension, which has the place that NewUserCodec
// gives it. It never writes to a slice that another user may share.
func setExtension(u *scim.User, e *UserExtension) {
	x := make([]any, max(1, len(u.Extensions)))
	copy(x, u.Extensions)
	x[0] = e
	u.Extensions = x
}

// wishes returns a copy of the part of the extension that a client may write;
// nil for nil.
func (e *UserExtension) wishes() *UserExtension {
	if e == nil {
		return nil
	}
	return &UserExtension{
		CountryCode: e.CountryCode, OrganizationIDs: slices.Clone(e.OrganizationIDs),
		DefaultOrganizationID: clonePointer(e.DefaultOrganizationID), IdentityProviderID: clonePointer(e.IdentityProviderID),
	}
}
