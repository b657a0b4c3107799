package mapping

import "github.com/sharearefund/scim-bridge/scim"

// RoleResource is a Role resource: a role of Share A Refund, in the shape that
// Okta's entitlement discovery reads. schemas/Role.json has its
// characteristics. ID is the decimal id of the role upstream.
type RoleResource struct {
	// Schemas and ExternalID are there for the binding only, as in scim.User.
	Schemas    []string  `scim:"schemas"`
	ID         string    `scim:"id"`
	ExternalID string    `scim:"externalId"`
	Meta       scim.Meta `scim:"meta"`

	DisplayName string `scim:"displayName"`
	Type        string `scim:"type"`
	Description string `scim:"description"`
	Weight      *int64 `scim:"weight"`
}

// IdentityProviderResource is an IdentityProvider resource. ID is
// ProviderID behind "idp-": ids are unique over all resource types (RFC 7643
// §3.1).
type IdentityProviderResource struct {
	// Schemas and ExternalID are there for the binding only, as in scim.User.
	Schemas    []string  `scim:"schemas"`
	ID         string    `scim:"id"`
	ExternalID string    `scim:"externalId"`
	Meta       scim.Meta `scim:"meta"`

	// ProviderID is what the extension of a User calls identityProviderId.
	ProviderID  *int64 `scim:"identityProviderId"`
	DisplayName string `scim:"displayName"`
	Prefix      string `scim:"prefix"`
	Enabled     *bool  `scim:"enabled"`
}

// OrganizationResource is an Organization resource: one that the tenant
// manages. ID is OrganizationID behind "org-".
type OrganizationResource struct {
	// Schemas and ExternalID are there for the binding only, as in scim.User.
	Schemas    []string  `scim:"schemas"`
	ID         string    `scim:"id"`
	ExternalID string    `scim:"externalId"`
	Meta       scim.Meta `scim:"meta"`

	// OrganizationID is what the extension of a User lists in organizationIds.
	OrganizationID *int64 `scim:"organizationId"`
	DisplayName    string `scim:"displayName"`
}

// NewRoleCodec is the codec of Role resources.
func NewRoleCodec() (*scim.Codec[RoleResource], error) { return scim.NewCodec[RoleResource]("Role") }

// NewIdentityProviderCodec is the codec of IdentityProvider resources.
func NewIdentityProviderCodec() (*scim.Codec[IdentityProviderResource], error) {
	return scim.NewCodec[IdentityProviderResource]("IdentityProvider")
}

// NewOrganizationCodec is the codec of Organization resources.
func NewOrganizationCodec() (*scim.Codec[OrganizationResource], error) {
	return scim.NewCodec[OrganizationResource]("Organization")
}
