package scim

import (
	"testing"
	"time"
)

// testExtension is bound like the platform's own extension.
type testExtension struct {
	CountryCode           string           `scim:"countryCode"`
	OrganizationIDs       []int64          `scim:"organizationIds"`
	DefaultOrganizationID *int64           `scim:"defaultOrganizationId"`
	IdentityProviderID    *int64           `scim:"identityProviderId"`
	Managed               *bool            `scim:"managed"`
	AccountState          string           `scim:"accountState"`
	Invite                *testInvite      `scim:"invite"`
	EffectiveRole         *testRole        `scim:"effectiveRole"`
	Memberships           []testMembership `scim:"memberships"`
	NotApplied            []string         `scim:"notApplied"`
}

type testInvite struct {
	ID        string    `scim:"id"`
	State     string    `scim:"state"`
	ExpiresAt time.Time `scim:"expiresAt"`
}

type testRole struct {
	ID      *int64 `scim:"id"`
	Name    string `scim:"name"`
	Weight  *int64 `scim:"weight"`
	Because string `scim:"because"`
}

type testMembership struct {
	OrganizationID *int64 `scim:"organizationId"`
	RoleID         *int64 `scim:"roleId"`
	RoleName       string `scim:"roleName"`
	RoleWeight     *int64 `scim:"roleWeight"`
	State          string `scim:"state"`
	Because        string `scim:"because"`
}

const testURN = "urn:sharearefund:params:scim:schemas:extension:2.0:User"

func newCodec(t testing.TB) *Codec[User] {
	t.Helper()
	c, err := NewUserCodec(Extension{URN: testURN, New: func() any { return new(testExtension) }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// entraUser is Microsoft Entra ID's create request with its default mappings.
const entraUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"joy.young@contoso.com","active":true,"displayName":"Joy Young",
"emails":[{"primary":true,"type":"work","value":"joy.young@contoso.com"}],"meta":{"resourceType":"User"},
"name":{"formatted":"Joy Young","familyName":"Young","givenName":"Joy"},"roles":[],"addresses":null,"title":null,
"phoneNumbers":[{"type":"work","value":"+1 425 555 0100"}],
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"department":"Sales","employeeNumber":"42","manager":"26118915-6090-4610-87e4-49d8ca9f808d"}}`

func fullUser() *User {
	return &User{
		ID: "2819c223-7f76-453a-919d-413861904646", ExternalID: "701984", UserName: "bjensen@example.com",
		Meta: Meta{ResourceType: "User", Created: time.Date(2026, 1, 23, 4, 56, 22, 0, time.UTC), LastModified: time.Date(2026, 5, 13, 4, 42, 34, 0, time.UTC),
			Location: "https://example.com/scim/v2/Users/2819c223-7f76-453a-919d-413861904646", Version: `W/"3694e05e9dff591"`},
		Name:        &Name{Formatted: "Ms. Barbara J Jensen, III", FamilyName: "Jensen", GivenName: "Barbara", MiddleName: "Jane", HonorificPrefix: "Ms.", HonorificSuffix: "III"},
		DisplayName: "Babs Jensen", NickName: "Babs", ProfileURL: "https://login.example.com/bjensen", Title: "Tour Guide", UserType: "Employee",
		PreferredLanguage: "en-US", Locale: "en-US", Timezone: "America/Los_Angeles", Active: new(true), Password: "t1meMa$heen",
		Emails:       []MultiValue{{Value: "bjensen@example.com", Type: "work", Primary: new(true)}, {Value: "babs@jensen.org", Type: "home"}},
		PhoneNumbers: []MultiValue{{Value: "555-555-5555", Type: "work"}, {Value: "555-555-4444", Type: "mobile"}},
		Addresses: []Address{{Type: "work", StreetAddress: "100 Universal City Plaza", Locality: "Hollywood", Region: "CA", PostalCode: "91608", Country: "US",
			Formatted: "100 Universal City Plaza\nHollywood, CA 91608 USA", Primary: new(true)}},
		Groups: []GroupRef{{Value: "e9e30dba-f08f-4109-8486-d5c6a331660a", Ref: "https://example.com/scim/v2/Groups/e9e30dba", Display: "Tour Guides", Type: "direct"}},
		Roles:  []MultiValue{{Value: "Admin"}},
		Enterprise: &EnterpriseUser{EmployeeNumber: "701984", CostCenter: "4130", Organization: "Universal Studios", Division: "Theme Park", Department: "Tour Operations",
			Manager: &Manager{Value: "26118915-6090-4610-87e4-49d8ca9f808d", Ref: "../Users/26118915-6090-4610-87e4-49d8ca9f808d", DisplayName: "John Smith"}},
		Extensions: []any{&testExtension{CountryCode: "US", OrganizationIDs: []int64{113, 114}, Managed: new(true), AccountState: "active",
			Invite:        &testInvite{ID: "inv_1", State: "accepted", ExpiresAt: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)},
			EffectiveRole: &testRole{ID: new(int64(3)), Name: "Manager", Weight: new(int64(50)), Because: "default role"},
			Memberships:   []testMembership{{OrganizationID: new(int64(113)), RoleID: new(int64(3)), RoleName: "Manager", RoleWeight: new(int64(50)), State: "active"}},
			NotApplied:    []string{"nickName: no such field upstream"}}},
	}
}
