package scim

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The Go types of resources that have no handler yet bind as well.
type testGroup struct {
	Schemas     []string     `scim:"schemas"`
	ID          string       `scim:"id"`
	ExternalID  string       `scim:"externalId"`
	Meta        Meta         `scim:"meta"`
	DisplayName string       `scim:"displayName"`
	Members     []testMember `scim:"members"`
}

type testMember struct {
	Value   string `scim:"value"`
	Ref     string `scim:"$ref"`
	Type    string `scim:"type"`
	Display string `scim:"display"`
}

func TestOtherResourceTypes(t *testing.T) {
	c, err := NewCodec[testGroup]("Group")
	if err != nil {
		t.Fatal(err)
	}
	g, notes, err := c.Decode([]byte(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group","http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
		"externalId":"8aa1","displayName":"X","members":[{"value":"u1","display":null},{"value":"u2","$ref":null}]}`), DialectEntra)
	if err != nil || len(notes) != 1 {
		t.Fatalf("%v, notes %v", err, notes)
	}
	p, err := c.DecodePatch(operations(`{"op":"Remove","path":"members","value":[{"value":"u1"}]},{"op":"Add","path":"members","value":[{"$ref":null,"value":"u2"},{"$ref":null,"value":"u3"}]},
		{"op":"remove","path":"members[value eq \"u9\"]"},{"op":"replace","value":{"id":"g","displayName":"Y"}}`), DialectEntra)
	if err != nil {
		t.Fatal(err)
	}
	next, changes, err := c.Apply(p, g)
	if err != nil {
		t.Fatal(err)
	}
	want := &testGroup{ExternalID: "8aa1", DisplayName: "Y", Members: []testMember{{Value: "u2"}, {Value: "u3"}}}
	if d := cmp.Diff(want, next); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if len(changes) != 2 {
		t.Errorf("changes %v", changes)
	}
	if p, err = c.DecodePatch(operations(`{"op":"replace","path":"members[value eq \"u2\"].value","value":"u4"}`), DialectRFC); err == nil {
		t.Errorf("an immutable sub-attribute was replaced: %+v", p)
	}
}

func TestBindingNamesWhatDoesNotFit(t *testing.T) {
	type noField struct {
		Schemas []string `scim:"schemas"`
	}
	type wrongType struct {
		Schemas string `scim:"schemas"`
	}
	type plainBool struct {
		CountryCode           string           `scim:"countryCode"`
		OrganizationIDs       []int64          `scim:"organizationIds"`
		DefaultOrganizationID *int64           `scim:"defaultOrganizationId"`
		IdentityProviderID    *int64           `scim:"identityProviderId"`
		Managed               bool             `scim:"managed"`
		AccountState          string           `scim:"accountState"`
		Invite                *testInvite      `scim:"invite"`
		EffectiveRole         *testRole        `scim:"effectiveRole"`
		Memberships           []testMembership `scim:"memberships"`
		NotApplied            []string         `scim:"notApplied"`
	}
	ext := func(v any) []Extension { return []Extension{{URN: testURN, New: func() any { return v }}} }
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"an unknown resource type", second(NewCodec[User]("Device")), `no resource type "Device"`},
		{"no struct", second(NewCodec[string]("User")), "a resource is a struct"},
		{"a missing field", second(NewCodec[noField]("Role")), `has no field tagged "id"`},
		{"a field of the wrong type", second(NewCodec[wrongType]("Role")), "multi-valued and needs a slice"},
		{"a field without an attribute", second(NewCodec[User]("Group")), `has no field tagged "members"`},
		{"an unknown extension", second(NewUserCodec(Extension{URN: "urn:x", New: func() any { return new(testExtension) }})), `no schema "urn:x"`},
		{"an extension twice", second(NewUserCodec(ext(new(testExtension))[0], ext(new(testExtension))[0])), "given twice"},
		{"the enterprise extension again", second(NewUserCodec(Extension{URN: EnterpriseUserSchema, New: func() any { return new(EnterpriseUser) }})), "given twice"},
		{"no New", second(NewUserCodec(Extension{URN: testURN})), "has no New"},
		{"New of a struct", second(NewUserCodec(ext(testExtension{})...)), "returns a pointer to a struct"},
		{"New of nil", second(NewUserCodec(ext(nil)...)), "returns a pointer to a struct"},
		{"a boolean that is no pointer", second(NewUserCodec(ext(new(plainBool))...)), "is boolean and needs [*bool], not bool"},
		{"extensions without a place", second(NewCodec[testGroup]("Group", ext(new(testExtension))...)), "no field Extensions"},
		{"a surplus field", second(NewCodec[struct {
			Schemas     []string     `scim:"schemas"`
			ID          string       `scim:"id"`
			ExternalID  string       `scim:"externalId"`
			Meta        Meta         `scim:"meta"`
			DisplayName string       `scim:"displayName"`
			Members     []testMember `scim:"members"`
			Extra       string       `scim:"extra"`
		}]("Group")), `field tagged "extra" has no attribute`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.err == nil || !strings.Contains(tt.err.Error(), tt.want) {
				t.Errorf("error %v, want %q", tt.err, tt.want)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestApplyRefusesAnotherResourceType(t *testing.T) {
	users := newCodec(t)
	groups, err := NewCodec[testGroup]("Group")
	if err != nil {
		t.Fatal(err)
	}
	p, err := groups.DecodePatch(operations(`{"op":"replace","path":"displayName","value":"x"}`), DialectRFC)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = users.Apply(p, before())
	wantError(t, err, 500, "", "")
	// Two codecs of one type understand each other.
	if p, err = newCodec(t).DecodePatch(operations(`{"op":"replace","path":"displayName","value":"x"}`), DialectRFC); err != nil {
		t.Fatal(err)
	}
	if next, _, err := users.Apply(p, before()); err != nil || next.DisplayName != "x" {
		t.Errorf("%+v, %v", next, err)
	}
}

func TestCodecIsSafeForConcurrentUse(t *testing.T) {
	c := newCodec(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				u, _, err := c.Decode([]byte(entraUser), DialectEntra)
				if err != nil {
					t.Error(err)
					return
				}
				p, err := c.DecodePatch([]byte(entraPatch), DialectEntra)
				if err != nil {
					t.Error(err)
					return
				}
				next, _, err := c.Apply(p, u)
				if err != nil || *next.Active || next.Emails[0].Value != "new@contoso.com" {
					t.Errorf("%+v, %v", next, err)
					return
				}
				c.Append(nil, next, Projection{})
			}
		})
	}
	wg.Wait()
}
