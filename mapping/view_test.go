package mapping_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
	"github.com/sharearefund/scim-bridge/scim"
)

var monday = time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)

// jay is what a client said of Jay.
func jay() *scim.User {
	return &scim.User{
		UserName: "Jay@Example.com", ExternalID: "00u1", DisplayName: "Jay J", Title: "Buyer", Active: new(true), Password: "secret",
		Name:         &scim.Name{GivenName: "Jay", FamilyName: "Jackson", MiddleName: "Q"},
		Emails:       []scim.MultiValue{{Value: "jay@example.com", Type: "work", Primary: new(true)}, {Value: "jay@home.example", Type: "home"}},
		PhoneNumbers: []scim.MultiValue{{Value: "1", Type: "work", Primary: new(true)}},
		IMs:          []scim.MultiValue{{Value: "im"}}, Photos: []scim.MultiValue{{Value: "photo"}},
		Addresses: []scim.Address{{Type: "work", Country: "ca", Locality: "Toronto", Primary: new(true)}},
		Groups:    []scim.GroupRef{{Value: "g"}}, Roles: []scim.MultiValue{{Value: "r", Primary: new(false)}},
		Entitlements: []scim.MultiValue{{Value: "e"}}, X509Certificates: []scim.MultiValue{{Value: "x"}},
		Enterprise: &scim.EnterpriseUser{Department: "D", Manager: &scim.Manager{Value: "m"}},
		Extensions: []any{&mapping.UserExtension{OrganizationIDs: []int64{113, 114}, DefaultOrganizationID: new(int64(113))}},
	}
}

func upstreamJay() mapping.Account {
	a := account(member(114, 3, "active"), member(113, 5, "active"), member(200, 2, "active"))
	a.FirstName, a.LastName, a.CountryID = "Jay", "Jackson", "CA"
	a.DefaultOrganizationID, a.IdentityProviderID = 113, 2
	a.UpdatedAt = monday.Add(time.Hour)
	a.Invite = &mapping.Invite{ID: "inv_1", State: "accepted", ExpiresAt: monday}
	return a
}

func known() mapping.Known {
	return mapping.Known{
		ID: "id-1", Managed: true, Desired: jay(), Written: mapping.Written{Profile: upstreamJay().Profile()}, Version: 7,
		Created: monday, Modified: monday, Location: "https://bridge.example/scim/v2/Users/id-1",
	}
}

func roleView(m mapping.MembershipView) *mapping.RoleView {
	return &mapping.RoleView{ID: m.RoleID, Name: m.RoleName, Weight: m.RoleWeight, Because: m.Because}
}

func TestViewOfManaged(t *testing.T) {
	viewer := mapping.MembershipView{OrganizationID: new(int64(113)), RoleID: new(int64(5)), RoleName: "Viewer", RoleWeight: new(int64(10)), State: "active", Because: "default role"}
	manager := mapping.MembershipView{OrganizationID: new(int64(114)), RoleID: new(int64(3)), RoleName: "Manager", RoleWeight: new(int64(50)), State: "active", Because: "held upstream"}
	base := func() *scim.User {
		u := jay()
		u.Password, u.Groups, u.ID = "", nil, "id-1"
		u.Meta = scim.Meta{ResourceType: "User", Created: monday, LastModified: monday.Add(time.Hour), Location: "https://bridge.example/scim/v2/Users/id-1"}
		u.Extensions = []any{&mapping.UserExtension{
			OrganizationIDs: []int64{113, 114}, DefaultOrganizationID: new(int64(113)),
			Managed: new(true), AccountState: "active", Invite: &mapping.InviteView{ID: "inv_1", State: "accepted", ExpiresAt: monday},
			EffectiveRole: roleView(viewer), Memberships: []mapping.MembershipView{viewer, manager},
		}}
		return u
	}
	ext := func(u *scim.User) *mapping.UserExtension { return mapping.Extension(u) }
	for _, tt := range []struct {
		name    string
		known   func(*mapping.Known)
		account func(*mapping.Account)
		want    func(*scim.User)
	}{
		{name: "as sent"},
		{name: "the case of the address is the client's", account: func(a *mapping.Account) { a.Email = "JAY@example.com" }},
		{name: "upstream's names", account: func(a *mapping.Account) { a.FirstName, a.LastName = "Jamie", "" },
			want: func(u *scim.User) { u.Name.GivenName, u.Name.FamilyName = "Jamie", "" }},
		{name: "upstream's name where none was sent", known: func(k *mapping.Known) { k.Desired.Name, k.Written.FirstName, k.Written.LastName = nil, "", "Jackson" },
			want: func(u *scim.User) {
				u.Name = &scim.Name{GivenName: "Jay"}
				ext(u).NotApplied = []string{"name.familyName"}
			}},
		{name: "upstream's address", account: func(a *mapping.Account) { a.Email = "new@example.com" }, want: func(u *scim.User) { u.Emails[0].Value = "new@example.com" }},
		{name: "upstream's address where the user name was it", known: func(k *mapping.Known) { k.Desired.Emails = nil }, account: func(a *mapping.Account) { a.Email = "new@example.com" },
			want: func(u *scim.User) {
				u.Emails = []scim.MultiValue{{Value: "new@example.com", Type: "work", Primary: new(true)}}
			}},
		{name: "upstream's country", account: func(a *mapping.Account) { a.CountryID = "FR" }, want: func(u *scim.User) { u.Addresses[0].Country = "FR" }},
		{name: "upstream's country before the extension's", known: func(k *mapping.Known) { mapping.Extension(k.Desired).CountryCode = "ca" }, account: func(a *mapping.Account) { a.CountryID = "FR" },
			want: func(u *scim.User) { ext(u).CountryCode = "FR" }},
		{name: "upstream's country where none was sent", known: func(k *mapping.Known) { k.Desired.Addresses, k.Written.CountryID = nil, "" }, want: func(u *scim.User) { u.Addresses = nil; ext(u).CountryCode = "CA" }},
		{name: "a country that was emptied, twice over", known: func(k *mapping.Known) { mapping.Extension(k.Desired).CountryCode = "ca" }, account: func(a *mapping.Account) { a.CountryID = "" },
			want: func(u *scim.User) { u.Addresses[0].Country = "" }},
		{name: "what was not applied", account: func(a *mapping.Account) { a.DefaultOrganizationID, a.IdentityProviderID = 114, 1 },
			known: func(k *mapping.Known) {
				k.Desired.Name.GivenName, k.Desired.Emails[0].Value, k.Desired.Addresses[0].Country = "James", "other@example.com", "FR"
				mapping.Extension(k.Desired).IdentityProviderID = new(int64(2))
			},
			want: func(u *scim.User) {
				u.Name.GivenName, u.Emails[0].Value, u.Addresses[0].Country = "James", "other@example.com", "FR"
				e := ext(u)
				e.IdentityProviderID = new(int64(2))
				e.EffectiveRole = roleView(manager)
				e.NotApplied = []string{"emails", "name.givenName", "addresses.country", "defaultOrganizationId", "identityProviderId"}
			}},
		{name: "an organization that is not held", account: func(a *mapping.Account) { a.Memberships = []mapping.Membership{member(113, 5, "active")} },
			want: func(u *scim.User) {
				ext(u).Memberships = []mapping.MembershipView{viewer}
				ext(u).NotApplied = []string{"organizationIds"}
			}},
		{name: "a foreign default does not show", account: func(a *mapping.Account) { a.DefaultOrganizationID = 200 }, want: func(u *scim.User) { ext(u).NotApplied = []string{"defaultOrganizationId"} }},
		{name: "locked is active", account: func(a *mapping.Account) { a.State = "locked" }, want: func(u *scim.User) { ext(u).AccountState = "locked" }},
		{name: "suspended is not", account: func(a *mapping.Account) { a.Memberships[0].State, a.Memberships[1].State = "suspended", "suspended" },
			want: func(u *scim.User) {
				u.Active = new(false)
				ext(u).Memberships[0].State, ext(u).Memberships[1].State = "suspended", "suspended"
			}},
		{name: "others' access is nothing to us", account: func(a *mapping.Account) { a.Memberships = a.Memberships[2:] },
			want: func(u *scim.User) {
				u.Active = new(false)
				ext(u).Memberships, ext(u).EffectiveRole = nil, nil
			}},
		{name: "nobody upstream", account: func(a *mapping.Account) { *a = mapping.Account{} },
			want: func(u *scim.User) {
				u.Active, u.Meta.LastModified = new(false), monday
				e := ext(u)
				e.AccountState, e.Invite, e.EffectiveRole, e.Memberships = "", nil, nil, nil
			}},
		{name: "a role that nobody lists", account: func(a *mapping.Account) {
			a.Memberships = []mapping.Membership{member(113, 99, "active"), member(114, 3, "active")}
		},
			want: func(u *scim.User) {
				e := ext(u)
				e.Memberships[0] = mapping.MembershipView{OrganizationID: new(int64(113)), RoleID: new(int64(99)), State: "active", Because: "held upstream"}
				e.EffectiveRole = roleView(e.Memberships[0])
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, a, want := known(), upstreamJay(), base()
			if tt.known != nil {
				tt.known(&k)
			}
			if tt.account != nil {
				tt.account(&a)
			}
			if tt.want != nil {
				tt.want(want)
			}
			got := testPolicy().View(k, a)
			want.Meta.Version = got.Meta.Version
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestViewOfInvites(t *testing.T) {
	for _, tt := range []struct {
		name      string
		account   mapping.Account
		active    bool
		state     string
		membersIn []int64
	}{
		{name: "pending", account: invited("pending", 113, 200), active: true, state: "pending", membersIn: []int64{113}},
		{name: "expired stays active", account: invited("expired", 114), active: true, state: "expired", membersIn: []int64{114}},
		{name: "withdrawn", account: invited("revoked", 113), state: "revoked"},
		{name: "pending with an account", account: withInvite(account(member(113, 5, "invited")), "pending", 113), active: true, state: "pending", membersIn: []int64{113}},
		{name: "new account that tells nothing", account: withInvite(account(member(113, 5, "invited")), ""), active: true, state: "pending", membersIn: []int64{113}},
		{name: "invited account that tells nothing", account: withInvite(account(member(113, 5, "invited"), member(200, 5, "active")), ""), active: true, state: "pending", membersIn: []int64{113}},
		{name: "active account that tells nothing", account: withInvite(account(member(113, 5, "active")), ""), active: true, state: "accepted", membersIn: []int64{113}},
		{name: "blocked account that tells nothing", account: withInvite(account(member(113, 5, "suspended")), ""), membersIn: []int64{113}},
		{name: "accepted and blocked", account: withInvite(account(member(113, 5, "suspended")), "accepted", 113), state: "accepted", membersIn: []int64{113}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			u := testPolicy().View(mapping.Known{ID: "id-1"}, tt.account)
			e := mapping.Extension(u)
			var in []int64
			for _, m := range e.Memberships {
				in = append(in, *m.OrganizationID)
			}
			if *u.Active != tt.active || e.Invite.State != tt.state || !slices.Equal(in, tt.membersIn) {
				t.Fatalf("active %v, invite %q, memberships in %v, want %v, %q, %v", *u.Active, e.Invite.State, in, tt.active, tt.state, tt.membersIn)
			}
		})
	}
}

func TestViewOfUnmanaged(t *testing.T) {
	a := upstreamJay()
	a.OtherID = "not an externalId"
	got := testPolicy().View(mapping.Known{ID: "id-1", Desired: jay()}, a)
	if got.UserName != a.Email || got.ExternalID != "" || got.Title != "" || mapping.Extension(got).CountryCode != "CA" || *mapping.Extension(got).Managed {
		t.Fatalf("got %+v with %+v", got, mapping.Extension(got))
	}
	if diff := cmp.Diff([]scim.MultiValue{{Value: a.Email, Type: "work", Primary: new(true)}}, got.Emails); diff != "" {
		t.Fatalf("emails (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&scim.Name{GivenName: "Jay", FamilyName: "Jackson"}, got.Name); diff != "" {
		t.Fatalf("name (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string(nil), mapping.Extension(got).NotApplied); diff != "" {
		t.Fatal(diff)
	}
}

func TestVersion(t *testing.T) {
	version := func(k mapping.Known, a mapping.Account) string { return testPolicy().View(k, a).Meta.Version }
	was := version(known(), upstreamJay())
	if want := `W/"`; was[:3] != want {
		t.Fatalf("%s is no weak entity tag", was)
	}
	for _, tt := range []struct {
		name    string
		known   func(*mapping.Known)
		account func(*mapping.Account)
		changes bool
	}{
		{name: "nothing"},
		{name: "the row", known: func(k *mapping.Known) { k.Version++ }, changes: true},
		{name: "the person", known: func(k *mapping.Known) { k.ID = "id-2" }, changes: true},
		{name: "managed", known: func(k *mapping.Known) { k.Managed = false }, changes: true},
		{name: "e-mail", account: func(a *mapping.Account) { a.Email = "x@example.com" }, changes: true},
		{name: "case of the e-mail", account: func(a *mapping.Account) { a.Email = "JAY@example.com" }},
		{name: "name", account: func(a *mapping.Account) { a.FirstName = "X" }, changes: true},
		{name: "a letter from one name to the other", account: func(a *mapping.Account) { a.FirstName, a.LastName = "JayJ", "ackson" }, changes: true},
		{name: "country", account: func(a *mapping.Account) { a.CountryID = "FR" }, changes: true},
		{name: "account state", account: func(a *mapping.Account) { a.State = "locked" }, changes: true},
		{name: "role", account: func(a *mapping.Account) { a.Memberships[0].RoleID = 2 }, changes: true},
		{name: "membership", account: func(a *mapping.Account) { a.Memberships[0].State = "suspended" }, changes: true},
		{name: "order of memberships", account: func(a *mapping.Account) { slices.Reverse(a.Memberships) }},
		{name: "default organization", account: func(a *mapping.Account) { a.DefaultOrganizationID = 114 }, changes: true},
		{name: "invite state", account: func(a *mapping.Account) { a.Invite.State = "expired" }, changes: true},
		{name: "invite's end", account: func(a *mapping.Account) { a.Invite.ExpiresAt = monday.Add(1) }, changes: false},
		{name: "invite's scope, which is not shown", account: func(a *mapping.Account) { a.Invite.OrganizationIDs = []int64{113} }},
		{name: "another tenant's role", account: func(a *mapping.Account) { a.Memberships[2].RoleID = 1 }},
		{name: "another tenant's membership", account: func(a *mapping.Account) { a.Memberships = a.Memberships[:2] }},
		{name: "other id, which is not shown", account: func(a *mapping.Account) { a.OtherID = "x" }},
		{name: "when it was updated", account: func(a *mapping.Account) { a.UpdatedAt = monday.Add(2 * time.Hour) }},
		{name: "groups", known: func(k *mapping.Known) { k.Desired.Groups = nil }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k, a := known(), upstreamJay()
			if tt.known != nil {
				tt.known(&k)
			}
			if tt.account != nil {
				tt.account(&a)
			}
			if now := version(k, a); (now != was) != tt.changes {
				t.Fatalf("%s became %s, want a change: %v", was, now, tt.changes)
			}
		})
	}
}

// spoil changes everything that u leads to.
func spoil(u *scim.User) {
	u.Name.GivenName = "spoilt"
	*u.Active = !*u.Active
	for _, vs := range [][]scim.MultiValue{u.Emails, u.PhoneNumbers, u.IMs, u.Photos, u.Entitlements, u.Roles, u.X509Certificates} {
		for i := range vs {
			vs[i].Value = "spoilt"
			if vs[i].Primary != nil {
				*vs[i].Primary = !*vs[i].Primary
			}
		}
	}
	for i := range u.Addresses {
		u.Addresses[i].Country = "spoilt"
		*u.Addresses[i].Primary = false
	}
	for i := range u.Groups {
		u.Groups[i].Value = "spoilt"
	}
	if u.Enterprise != nil {
		u.Enterprise.Department, u.Enterprise.Manager.Value = "spoilt", "spoilt"
	}
	e := mapping.Extension(u)
	e.CountryCode = "spoilt"
	for i := range e.OrganizationIDs {
		e.OrganizationIDs[i] = -1
	}
	if e.DefaultOrganizationID != nil {
		*e.DefaultOrganizationID = -1
	}
	for i := range e.Memberships {
		*e.Memberships[i].OrganizationID, *e.Memberships[i].RoleID = -1, -1
	}
	if e.EffectiveRole != nil {
		*e.EffectiveRole.ID = -2
	}
	if e.Invite != nil {
		e.Invite.State = "spoilt"
	}
}

func TestResultsShareNothing(t *testing.T) {
	k, a := known(), upstreamJay()
	view := testPolicy().View(k, a)
	spoil(view)
	if m := mapping.Extension(view).Memberships[0]; *m.RoleID == -2 {
		t.Error("the effective role shares memory with its membership")
	}
	if diff := cmp.Diff(jay(), k.Desired); diff != "" {
		t.Errorf("View shares memory with what the client said:\n%s", diff)
	}
	if diff := cmp.Diff(upstreamJay(), a); diff != "" {
		t.Errorf("View shares memory with the account:\n%s", diff)
	}
	for name, make := range map[string]func(cur, body *scim.User) *scim.User{"Replacement": mapping.Replacement, "Adopted": mapping.Adopted} {
		for _, body := range []func() *scim.User{jay, func() *scim.User { return &scim.User{UserName: "jay@example.com", Name: &scim.Name{}} }} {
			said := body()
			cur := testPolicy().View(known(), upstreamJay())
			cur.Groups = []scim.GroupRef{{Value: "g"}}
			was := testPolicy().View(known(), upstreamJay())
			was.Groups = []scim.GroupRef{{Value: "g"}}
			spoil(make(cur, said))
			if diff := cmp.Diff(was, cur); diff != "" {
				t.Errorf("%s shares memory with the current user:\n%s", name, diff)
			}
			if diff := cmp.Diff(body(), said); diff != "" {
				t.Errorf("%s shares memory with the body:\n%s", name, diff)
			}
		}
	}
}
