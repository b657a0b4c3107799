package mapping_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

func TestReplacement(t *testing.T) {
	cur := testPolicy().View(known(), upstreamJay())
	cur.Groups, cur.Schemas = []scim.GroupRef{{Value: "g"}}, []string{"s"}
	kept := func(change func(*scim.User)) *scim.User {
		u := &scim.User{
			ID: cur.ID, Meta: cur.Meta, Groups: cur.Groups, Schemas: cur.Schemas, UserName: "jay@example.com",
			Active: new(true), ExternalID: "00u1", Roles: cur.Roles,
			Extensions: []any{&mapping.UserExtension{OrganizationIDs: []int64{113, 114}, DefaultOrganizationID: new(int64(113))}},
		}
		change(u)
		return u
	}
	wish := func(e mapping.UserExtension) func(*scim.User) {
		return func(u *scim.User) { u.Extensions = []any{&e} }
	}
	for _, tt := range []struct {
		name string
		body scim.User
		want *scim.User
	}{
		{name: "what is omitted is cleared, but for what must not be", body: scim.User{UserName: "jay@example.com"}, want: kept(func(*scim.User) {})},
		{name: "what is sent is taken", body: scim.User{UserName: "jay@example.com", Title: "T", Active: new(false), ExternalID: "x", Roles: []scim.MultiValue{{Value: "y"}}},
			want: kept(func(u *scim.User) {
				u.Title, u.Active, u.ExternalID, u.Roles = "T", new(false), "x", []scim.MultiValue{{Value: "y"}}
			})},
		{name: "read-only attributes are not, nor the password", body: scim.User{
			UserName: "jay@example.com", ID: "x", Meta: scim.Meta{Version: "x"}, Groups: []scim.GroupRef{{Value: "x"}}, Schemas: []string{"x"}, Password: "secret",
		}, want: kept(func(*scim.User) {})},
		{name: "part of the extension", body: scim.User{UserName: "jay@example.com", Extensions: []any{&mapping.UserExtension{CountryCode: "FR", OrganizationIDs: []int64{113}, AccountState: "x"}}},
			want: kept(wish(mapping.UserExtension{CountryCode: "FR", OrganizationIDs: []int64{113}, DefaultOrganizationID: new(int64(113))}))},
		{name: "an empty list is an omitted one", body: scim.User{UserName: "jay@example.com", Extensions: []any{&mapping.UserExtension{OrganizationIDs: []int64{}, IdentityProviderID: new(int64(3))}}},
			want: kept(wish(mapping.UserExtension{OrganizationIDs: []int64{113, 114}, DefaultOrganizationID: new(int64(113)), IdentityProviderID: new(int64(3))}))},
		{name: "an extension of nil", body: scim.User{UserName: "jay@example.com", Extensions: []any{nil}}, want: kept(func(*scim.User) {})},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, mapping.Replacement(cur, &tt.body)); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestReplacementWithoutExtension(t *testing.T) {
	cur := &scim.User{ID: "id-1", Active: new(false)}
	want := &scim.User{ID: "id-1", UserName: "jay", Active: new(false)}
	if diff := cmp.Diff(want, mapping.Replacement(cur, &scim.User{UserName: "jay"})); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

func TestAdopted(t *testing.T) {
	a := upstreamJay()
	a.Memberships = []mapping.Membership{member(113, 5, "suspended")}
	cur := testPolicy().View(mapping.Known{ID: "id-1"}, a)
	for _, tt := range []struct {
		name       string
		body       scim.User
		wantActive bool
		wantName   *scim.Name
	}{
		{name: "says little", wantActive: true, wantName: &scim.Name{GivenName: "Jay", FamilyName: "Jackson"}},
		{name: "inactive", body: scim.User{Active: new(false)}, wantName: &scim.Name{GivenName: "Jay", FamilyName: "Jackson"}},
		{name: "one name", body: scim.User{Name: &scim.Name{GivenName: "Jamie"}}, wantActive: true, wantName: &scim.Name{GivenName: "Jamie", FamilyName: "Jackson"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.body.UserName, tt.body.ExternalID = "jay@example.com", "00u1"
			got := mapping.Adopted(cur, &tt.body)
			if *got.Active != tt.wantActive || got.ExternalID != "00u1" || got.ID != "id-1" || mapping.Extension(got).CountryCode != "CA" {
				t.Fatalf("got %+v with %+v", got, mapping.Extension(got))
			}
			if diff := cmp.Diff(tt.wantName, got.Name); diff != "" {
				t.Fatalf("name (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewUserCodec(t *testing.T) {
	codec, err := mapping.NewUserCodec()
	if err != nil {
		t.Fatal(err)
	}
	u := jay()
	text := codec.AppendFull(nil, u)
	back, err := codec.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	again := codec.AppendFull(nil, back)
	if diff := cmp.Diff(string(text), string(again)); diff != "" {
		t.Fatalf("what the client said changes in the store:\n%s", diff)
	}
	if diff := cmp.Diff(mapping.Extension(u), mapping.Extension(back)); diff != "" {
		t.Fatalf("extension (-want +got):\n%s", diff)
	}
}
