package mapping_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/mapping"
)

func member(org, role int64, state string) mapping.Membership {
	return mapping.Membership{OrganizationID: org, RoleID: role, State: state}
}

// account is Jay's, in the state that the memberships make likely.
func account(ms ...mapping.Membership) mapping.Account {
	a := mapping.Account{UserID: 4021, Email: "jay@example.com", State: mapping.AccountBlocked, Memberships: ms}
	for _, m := range ms {
		switch {
		case m.State == mapping.MembershipActive:
			a.State = mapping.AccountActive
		case m.State == mapping.MembershipInvited && a.State == mapping.AccountBlocked:
			a.State = mapping.AccountNew
		}
	}
	return a
}

func withInvite(a mapping.Account, state string, orgs ...int64) mapping.Account {
	a.Invite = &mapping.Invite{ID: "inv_1", State: state, RoleID: 5, OrganizationIDs: orgs}
	return a
}

// invited is Jay without an account.
func invited(state string, orgs ...int64) mapping.Account {
	return withInvite(mapping.Account{Email: "jay@example.com"}, state, orgs...)
}

func TestMayAdopt(t *testing.T) {
	ours := account(member(113, 5, "active"))
	for _, tt := range []struct {
		name    string
		adopt   mapping.Adoption
		cur     mapping.Account
		email   string
		wantWhy string
	}{
		{name: "verified domain, any case", adopt: mapping.AdoptVerifiedDomain, cur: ours, email: "Jay@Example.COM"},
		{name: "a pending invite", adopt: mapping.AdoptVerifiedDomain, cur: invited("pending", 113), email: "jay@example.com"},
		{name: "never", adopt: mapping.AdoptNever, cur: ours, email: "jay@example.com", wantWhy: "policy"},
		{name: "the zero policy", cur: ours, email: "jay@example.com", wantWhy: "policy"},
		{name: "another domain", adopt: mapping.AdoptVerifiedDomain, cur: ours, email: "jay@example.org", wantWhy: `"jay@example.org" is not in a verified domain of this tenant (example.com)`},
		{name: "a subdomain", adopt: mapping.AdoptVerifiedDomain, cur: ours, email: "jay@mail.example.com", wantWhy: "verified"},
		{name: "the domain after a second @", adopt: mapping.AdoptVerifiedDomain, cur: ours, email: "jay@evil.org@example.com", wantWhy: "verified"},
		{name: "no address", adopt: mapping.AdoptVerifiedDomain, cur: ours, wantWhy: "verified"},
		{name: "only others hold it", adopt: mapping.AdoptVerifiedDomain, cur: account(member(200, 5, "active")), email: "jay@example.com", wantWhy: "none of this tenant's organizations (113, 114)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := testPolicy()
			p.Adopt = tt.adopt
			tt.cur.Email = tt.email
			ok, why := p.MayAdopt(tt.cur)
			if ok != (tt.wantWhy == "") || !strings.Contains(why, tt.wantWhy) {
				t.Fatalf("got %v, %q, want the reason %q", ok, why, tt.wantWhy)
			}
		})
	}
}

func TestAccount(t *testing.T) {
	orgs := []int64{113, 114}
	for _, tt := range []struct {
		name         string
		account      mapping.Account
		access, held []int64
		pending      bool
		shared       bool
	}{
		{name: "nobody"},
		{name: "active", account: account(member(113, 5, "active")), access: []int64{113}, held: []int64{113}},
		{name: "suspended in one", account: account(member(114, 5, "active"), member(113, 5, "suspended")), access: []int64{114}, held: []int64{113, 114}},
		{name: "locked", account: func() mapping.Account { a := account(member(113, 5, "active")); a.State = "locked"; return a }(), access: []int64{113}, held: []int64{113}},
		{name: "invited with an account", account: withInvite(account(member(113, 5, "invited")), "pending", 113), access: []int64{113}, held: []int64{113}, pending: true},
		{name: "blocked", account: withInvite(account(member(113, 5, "suspended")), "revoked", 113), held: []int64{113}},
		{name: "pending", account: invited("pending", 114), access: []int64{114}, held: []int64{114}, pending: true},
		{name: "expired", account: invited("expired", 114), access: []int64{114}, held: []int64{114}, pending: true},
		{name: "revoked", account: invited("revoked", 114), pending: true},
		{name: "shared", account: account(member(113, 5, "invited"), member(200, 5, "active")), access: []int64{113}, held: []int64{113}, shared: true},
		{name: "a shared invite", account: invited("pending", 113, 200), access: []int64{113}, held: []int64{113}, pending: true, shared: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := tt.account
			got := []any{a.AccessIn(orgs), a.HeldIn(orgs), a.ActiveIn(orgs), a.Pending(), a.SharedBeyond(orgs)}
			want := []any{tt.access, tt.held, len(tt.access) > 0, tt.pending, tt.shared}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("access, held, active, pending, shared (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAccountClone(t *testing.T) {
	a := withInvite(account(member(113, 5, "active")), "accepted", 113)
	b := a.Clone()
	if !a.Equal(b) || !b.Equal(a) {
		t.Fatal("a clone differs")
	}
	b.Memberships[0].RoleID = 1
	b.Invite.OrganizationIDs[0] = 1
	b.Invite.State = "revoked"
	if diff := cmp.Diff(withInvite(account(member(113, 5, "active")), "accepted", 113), a); diff != "" {
		t.Fatalf("changing the clone changed the original (-want +got):\n%s", diff)
	}
}

func TestAccountEqual(t *testing.T) {
	base := withInvite(account(member(113, 5, "active")), "accepted", 113)
	for name, change := range map[string]func(*mapping.Account){
		"id":           func(a *mapping.Account) { a.UserID++ },
		"e-mail":       func(a *mapping.Account) { a.Email += "x" },
		"first name":   func(a *mapping.Account) { a.FirstName += "x" },
		"last name":    func(a *mapping.Account) { a.LastName += "x" },
		"country":      func(a *mapping.Account) { a.CountryID += "x" },
		"other id":     func(a *mapping.Account) { a.OtherID += "x" },
		"state":        func(a *mapping.Account) { a.State += "x" },
		"default":      func(a *mapping.Account) { a.DefaultOrganizationID++ },
		"provider":     func(a *mapping.Account) { a.IdentityProviderID++ },
		"updated":      func(a *mapping.Account) { a.UpdatedAt = a.UpdatedAt.Add(1) },
		"membership":   func(a *mapping.Account) { a.Memberships[0].State += "x" },
		"no invite":    func(a *mapping.Account) { a.Invite = nil },
		"invite state": func(a *mapping.Account) { a.Invite.State += "x" },
		"invite id":    func(a *mapping.Account) { a.Invite.ID += "x" },
		"invite role":  func(a *mapping.Account) { a.Invite.RoleID++ },
		"invite ends":  func(a *mapping.Account) { a.Invite.ExpiresAt = a.Invite.ExpiresAt.Add(1) },
		"invite scope": func(a *mapping.Account) { a.Invite.OrganizationIDs = nil },
	} {
		b := base.Clone()
		change(&b)
		if base.Equal(b) || b.Equal(base) {
			t.Errorf("%s: a difference is not seen", name)
		}
	}
	if !(mapping.Account{}).Equal(mapping.Account{}) {
		t.Error("nobody differs from nobody")
	}
}
