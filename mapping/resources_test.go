package mapping

import (
	"testing"

	"github.com/sharearefund/scim-bridge/scim"
)

// TestReadOnlyResources shows each resource type as schemas/*.json has it.
func TestReadOnlyResources(t *testing.T) {
	t.Parallel()
	role, err := NewRoleCodec()
	if err != nil {
		t.Fatal(err)
	}
	provider, err := NewIdentityProviderCodec()
	if err != nil {
		t.Fatal(err)
	}
	organization, err := NewOrganizationCodec()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, got, want string }{
		{"a role", string(role.Append(nil, &RoleResource{ID: "3", DisplayName: "Manager", Type: "Role", Description: "weight 50", Weight: new(int64(50))}, scim.Projection{})),
			`{"schemas":["urn:okta:scim:schemas:core:1.0:Role"],"id":"3","displayName":"Manager","type":"Role","description":"weight 50","weight":50}`},
		{"a role of no weight", string(role.Append(nil, &RoleResource{ID: "3", Weight: new(int64(0))}, scim.Projection{})),
			`{"schemas":["urn:okta:scim:schemas:core:1.0:Role"],"id":"3","weight":0}`},
		{"an identity provider", string(provider.Append(nil, &IdentityProviderResource{ID: "2", DisplayName: "Okta", Prefix: "okta", Enabled: new(false)}, scim.Projection{})),
			`{"schemas":["urn:sharearefund:params:scim:schemas:core:2.0:IdentityProvider"],"id":"2","displayName":"Okta","prefix":"okta","enabled":false}`},
		{"an organization", string(organization.Append(nil, &OrganizationResource{ID: "113", DisplayName: "Acme Freight"}, scim.Projection{})),
			`{"schemas":["urn:sharearefund:params:scim:schemas:core:2.0:Organization"],"id":"113","displayName":"Acme Freight"}`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, tt.got, tt.want)
		}
	}
	if id, meta := role.Identify(&RoleResource{ID: "3", Meta: scim.Meta{Version: "v"}}); id != "3" || meta.Version != "v" {
		t.Errorf("identified %q, %+v", id, meta)
	}
}
