package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func invitePath(id string) string { return "/platform/invites/" + id }

func TestInviteMakesAnAccountAtOnceOrOnAcceptance(t *testing.T) {
	t.Run("immediate", func(t *testing.T) {
		w := newWorld(t, Options{})
		r := w.invite(acme, "Jamie@example.com", 113, 114)
		a := w.find("jamie@example.com")
		equal(t, "account", []any{a.ID, a.AccountState, a.Accessible, memberships(a), *a.InviteID},
			[]any{r.UserID, "new", false, "113:invited 114:invited", r.InviteID})
		w.do(acme, "POST", invitePath(r.InviteID)+"/accept", `{"IdentityProviderId":2,"Subject":"00u1"}`).is(200, "")
		a = w.find("jamie@example.com")
		equal(t, "accepted", []any{a.ID, a.AccountState, a.Accessible, memberships(a), *a.IdentityProviderID},
			[]any{r.UserID, "active", true, "113:active 114:active", int64(2)})
	})
	t.Run("deferred", func(t *testing.T) {
		w := newWorld(t, Options{Invites: Deferred})
		r := w.invite(acme, "Jamie@example.com", 113, 114)
		equal(t, "user id", r.UserID, int64(0))
		if a := w.State().Account("jamie@example.com"); a != nil {
			t.Fatalf("an account before acceptance: %+v", a)
		}
		w.do(acme, "GET", "/users/email/jamie@example.com", "").is(404, "not_found")
		w.do(acme, "POST", "/users", `{"email":"JAMIE@example.com"}`).is(409, "email_taken")
		i := w.do(acme, "POST", invitePath(r.InviteID)+"/accept", `{"IdentityProviderId":2,"Subject":"00u1"}`).is(200, "").invite()
		a := w.find("jamie@example.com")
		equal(t, "accepted", []any{*i.UserID, i.State, a.AccountState, memberships(a), *a.InviteID},
			[]any{a.ID, "accepted", "active", "113:active 114:active", r.InviteID})
	})
}

func TestInviteAgain(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			first := w.invite(acme, "jamie@example.com", 113)
			for _, step := range []struct {
				name          string
				organizations []int64
				status        string
				covers        []int64
				effect        bool
			}{
				{"the same", []int64{113}, "already_invited", []int64{113}, false},
				{"more", []int64{113, 114}, "invited", []int64{113, 114}, true},
				{"a part", []int64{114}, "already_invited", []int64{113, 114}, false},
			} {
				entries := len(w.Ledger())
				r := w.invite(acme, "JAMIE@example.com", step.organizations...)
				equal(t, step.name, []string{r.Status, r.InviteID}, []string{step.status, first.InviteID})
				equal(t, step.name+": organizations", w.State().InvitesOf("jamie@example.com")[0].OrganizationIDs, step.covers)
				equal(t, step.name+": entry", len(w.Ledger()) > entries, step.effect)
			}
			equal(t, "mails", mailsTo(w.Sandbox, "jamie@example.com"), []string{"invite"})
			if err := w.Accept("jamie@example.com"); err != nil {
				t.Fatal(err)
			}
			r := w.invite(acme, "jamie@example.com", 113, 114)
			equal(t, "a member", []any{r.Status, r.UserID}, []any{"already_member", w.find("jamie@example.com").ID})
			equal(t, "invited", w.Stats().PeopleInvited, int64(2))
		})
	}
}

// An invite carries one role: adding organizations with another one must not give more than either call asked for.
func TestInviteCarriesTheLowestRole(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			for _, step := range []struct {
				body string
				role int64
			}{
				{`{"Users":[{"Email":"a@example.com","RoleId":3}],"OrganizationIds":[113]}`, 3},
				{`{"Users":[{"Email":"a@example.com","RoleId":5}],"OrganizationIds":[114]}`, 5},
			} {
				w.do(acme, "POST", "/platform/invites", step.body).is(200, "")
				equal(t, "role", w.State().InvitesOf("a@example.com")[0].RoleID, step.role)
			}
			if err := w.Accept("a@example.com"); err != nil {
				t.Fatal(err)
			}
			a := w.find("a@example.com")
			want := []int64{3, 5} // the account's memberships have a role each
			if mode == Deferred {
				want = []int64{5, 5}
			}
			equal(t, "roles", []int64{a.Membership(113).RoleID, a.Membership(114).RoleID}, want)
		})
	}
}

// What set_role took away before acceptance must not come back with the invite.
func TestRevivedInviteKeepsTheLowerRole(t *testing.T) {
	w := newWorld(t, Options{})
	r := w.do(acme, "POST", "/platform/invites", `{"Users":[{"Email":"a@example.com","RoleId":3}],"OrganizationIds":[113]}`).results()[0]
	w.do(acme, "PUT", "/users/"+itoa(r.UserID)+"/role", `{"organization_id":113,"role_id":5}`).is(200, "")
	w.do(acme, "DELETE", invitePath(r.InviteID), "").is(200, "")
	w.do(acme, "POST", invitePath(r.InviteID)+"/resend", "").is(200, "")
	equal(t, "role", w.find("a@example.com").Membership(113).RoleID, int64(5))
}

func TestInviteResults(t *testing.T) {
	w := newWorld(t, Options{Users: 1})
	body := `{"OrganizationIds":[113],"Users":[
		{"Email":"a@example.com","RoleId":5},
		{"Email":"A@example.com","RoleId":5},
		{"Email":"person00001@example.com","RoleId":5},
		{"Email":"nobody","RoleId":5},
		{"Email":"b@example.com","RoleId":1},
		{"Email":"b@example.com","RoleId":77},
		{"Email":"b@example.com","RoleId":5,"IdentityProviderId":4},
		{"Email":"b@example.com","RoleId":5,"CountryId":"Canada"},
		{"Email":"b@example.com"}]}`
	var got []string
	for _, r := range w.do(acme, "POST", "/platform/invites", body).results() {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", r.Email, r.Status, r.Error.Code, r.Error.Field)))
	}
	equal(t, "results", got, []string{
		"a@example.com invited", "A@example.com already_invited", "person00001@example.com already_member",
		"nobody rejected invalid_field Email", "b@example.com rejected forbidden", "b@example.com rejected invalid_field RoleId",
		"b@example.com rejected invalid_field IdentityProviderId", "b@example.com rejected invalid_field CountryId",
		"b@example.com invited",
	})
	equal(t, "ledger", operationsOf(w.Ledger()), []string{"invite_users", "invite_users"})
	for _, e := range w.Ledger() {
		if e.Before != nil || e.After == nil || e.InviteID == nil || *e.UserID != e.After.ID || e.Credential != "acme" {
			t.Errorf("entry: %+v", e)
		}
	}
	many := `{"OrganizationIds":[113],"Users":[` + strings.Repeat(`{"Email":"x@example.com"},`, 100) + `{"Email":"x@example.com"}]}`
	w.do(acme, "POST", "/platform/invites", many).is(422, "invalid_field")
	w.do(acme, "POST", "/platform/invites", `{"OrganizationIds":[113,200],"Users":[{"Email":"c@example.com"}]}`).is(403, "forbidden")
}

func TestInviteMails(t *testing.T) {
	for _, tc := range []struct {
		name, fields string
		want         []string
	}{
		{"by default", `"RoleId":5`, []string{"invite"}},
		{"when asked", `"ShouldActivateByEmail":true,"IdentityProviderId":2`, []string{"invite"}},
		{"without a provider to sign in with", `"ShouldActivateByEmail":false`, []string{"invite"}},
		{"not when the first sign-in accepts", `"ShouldActivateByEmail":false,"IdentityProviderId":2`, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, Options{})
			w.do(acme, "POST", "/platform/invites", `{"Users":[{"Email":"a@example.com",`+tc.fields+`}],"OrganizationIds":[113]}`).is(200, "")
			equal(t, "mails", mailsTo(w.Sandbox, "a@example.com"), tc.want)
		})
	}
}

func TestInviteOfSomebodyWithAnAccount(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			a := w.join(acme, "shared@example.com", 113)
			r := w.do(globex, "POST", "/platform/invites",
				`{"Users":[{"Email":"Shared@example.com","FirstName":"Mallory","RoleId":3}],"OrganizationIds":[200]}`).results()[0]
			equal(t, "result", []any{r.Status, r.UserID}, []any{"invited", a.ID})
			got := w.find("shared@example.com")
			equal(t, "account", []any{memberships(got), got.AccountState, got.FirstName, *got.InviteID},
				[]any{"113:active 200:invited", "active", "", *a.InviteID})
			w.do(globex, "PUT", invitePath(r.InviteID), `{"FirstName":"Eve"}`).is(200, "")
			equal(t, "the profile is the person's", w.find("shared@example.com").FirstName, "")
			w.do(acme, "GET", invitePath(r.InviteID), "").is(404, "not_found")
			w.do(globex, "POST", invitePath(r.InviteID)+"/accept", `{"IdentityProviderId":3,"Subject":"s"}`).is(200, "")
			got = w.find("shared@example.com")
			equal(t, "accepted", []any{memberships(got), got.Membership(200).RoleID, *got.IdentityProviderID},
				[]any{"113:active 200:active", int64(3), int64(1)})
		})
	}
}

func TestTwoCredentialsInviteTheSamePerson(t *testing.T) {
	w := newWorld(t, Options{Invites: Deferred})
	one, two := w.invite(acme, "jamie@example.com", 113), w.invite(globex, "jamie@example.com", 200)
	equal(t, "second", two.Status, "invited")
	if one.InviteID == two.InviteID {
		t.Error("an invite was shared between credentials")
	}
	w.do(acme, "POST", invitePath(one.InviteID)+"/accept", `{"IdentityProviderId":2,"Subject":"s"}`).is(200, "")
	a := w.find("jamie@example.com")
	equal(t, "memberships", memberships(a), "113:active 200:invited")
	i := w.do(globex, "GET", invitePath(two.InviteID), "").invite()
	equal(t, "the other invite", []any{i.State, *i.UserID}, []any{"pending", a.ID})
	w.do(acme, "POST", invitePath(two.InviteID)+"/accept", `{"IdentityProviderId":2,"Subject":"s"}`).is(404, "not_found")
	if err := w.Accept("jamie@example.com"); err != nil {
		t.Fatal(err)
	}
	equal(t, "memberships", memberships(w.find("jamie@example.com")), "113:active 200:active")
}

func TestUpdateInvite(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode, Clients: administrators})
			path := invitePath(w.invite("sak_root", "jamie@example.com", 113, 200).InviteID)
			for _, tc := range []struct {
				name, body string
				status     int
				code       string
				want       string // role and organizations
			}{
				{"profile", `{"FirstName":"Jamie","LastName":"J","CountryId":"CA","OtherId":"00u1"}`, 200, "", "5 [113 200]"},
				{"the same address", `{"Email":"JAMIE@example.com"}`, 200, "", "5 [113 200]"},
				{"another address", `{"Email":"j@example.com"}`, 409, "state_conflict", "5 [113 200]"},
				{"another organization of ours", `{"OrganizationIds":[114]}`, 200, "", "5 [200 114]"},
				{"one of others", `{"OrganizationIds":[113,200]}`, 403, "forbidden", "5 [200 114]"},
				{"none", `{"OrganizationIds":[]}`, 422, "invalid_field", "5 [200 114]"},
				{"a higher role", `{"RoleId":1}`, 403, "forbidden", "5 [200 114]"},
				{"an unknown role", `{"RoleId":9}`, 422, "invalid_field", "5 [200 114]"},
			} {
				w.do(acme, "PUT", path, tc.body).is(tc.status, tc.code)
				i := w.State().InvitesOf("jamie@example.com")[0]
				equal(t, tc.name, fmt.Sprint(i.RoleID, i.OrganizationIDs), tc.want)
				if mode == Immediate {
					equal(t, tc.name+": account", memberships(w.find("jamie@example.com")),
						strings.NewReplacer("5 [113 200]", "113:invited 200:invited", "5 [200 114]", "200:invited 114:invited").Replace(tc.want))
				}
			}
			w.do(acme, "PUT", path, `{"RoleId":3}`).is(403, "forbidden") // the role would hold in 200 too
			w.do("sak_root", "PUT", path, `{"RoleId":3}`).is(200, "")
			if err := w.Accept("jamie@example.com"); err != nil {
				t.Fatal(err)
			}
			a := w.find("jamie@example.com")
			equal(t, "accepted", []any{a.FirstName, a.OtherID, a.Membership(200).RoleID, a.Membership(114).RoleID, a.Membership(113).State},
				[]any{"Jamie", "00u1", int64(3), int64(3), ""})
			w.do(acme, "PUT", path, `{"FirstName":"X"}`).is(409, "state_conflict")
		})
	}
}

func TestRevokeInvite(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			r := w.invite(acme, "jamie@example.com", 113, 114)
			path := invitePath(r.InviteID)
			i := w.do(acme, "DELETE", path+"?organization_id=113", "").is(200, "").invite()
			equal(t, "a part", []any{i.State, i.OrganizationIDs}, []any{"pending", []int64{114}})
			if mode == Immediate {
				equal(t, "memberships", memberships(w.find("jamie@example.com")), "114:invited")
			}
			w.do(acme, "DELETE", path+"?organization_id=200", "").is(403, "forbidden")
			w.do(globex, "DELETE", path, "").is(404, "not_found")
			i = w.do(acme, "DELETE", path, "").is(200, "").invite()
			equal(t, "the rest", i.State, "revoked")
			if a := w.State().Account("jamie@example.com"); a != nil {
				t.Errorf("the account stays: %+v", a)
			}
			entries := len(w.Ledger())
			w.do(acme, "DELETE", path, "").is(200, "")
			equal(t, "entries after a repeated call", len(w.Ledger()), entries)
			w.do(acme, "POST", path+"/accept", `{"IdentityProviderId":2,"Subject":"s"}`).is(409, "state_conflict")

			again := w.invite(acme, "jamie@example.com", 113)
			equal(t, "again", again.Status, "invited")
			if again.InviteID == r.InviteID {
				t.Error("the revoked invite was used again")
			}
			w.do(acme, "POST", path+"/resend", "").is(409, "state_conflict") // another one is pending
			if err := w.Accept("jamie@example.com"); err != nil {
				t.Fatal(err)
			}
			w.do(acme, "DELETE", invitePath(again.InviteID), "").is(409, "state_conflict")
		})
	}
}

func TestRevokeKeepsAnAccountWithAnotherMembership(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(globex, "shared@example.com", 200)
	r := w.invite(acme, "shared@example.com", 113)
	w.do(acme, "DELETE", invitePath(r.InviteID), "").is(200, "")
	equal(t, "memberships", memberships(w.find("shared@example.com")), "200:active")
	w.do(acme, "GET", userPath(a), "").is(404, "not_found")

	n := w.invite(acme, "new@example.com", 113)
	w.invite(globex, "new@example.com", 200)
	w.do(acme, "DELETE", invitePath(n.InviteID), "").is(200, "")
	equal(t, "another's invite", memberships(w.find("new@example.com")), "200:invited")
}

func TestInvitesExpire(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			r := w.invite(acme, "jamie@example.com", 113)
			path := invitePath(r.InviteID)
			w.clock.advance(7*24*time.Hour - time.Millisecond)
			equal(t, "in time", w.do(acme, "GET", path, "").invite().State, "pending")
			w.clock.advance(time.Millisecond)
			equal(t, "too late", w.do(acme, "GET", path, "").invite().State, "expired")
			w.do(acme, "POST", path+"/accept", `{"IdentityProviderId":2,"Subject":"s"}`).is(409, "state_conflict")
			w.do(acme, "PUT", path, `{"FirstName":"J"}`).is(409, "state_conflict")
			equal(t, "entries", len(w.Ledger()), 1)
			i := w.do(acme, "POST", path+"/resend", "").is(200, "").invite()
			equal(t, "sent again", []any{i.State, i.ExpiresAt}, []any{"pending", w.clock.Now().Add(7 * 24 * time.Hour)})
			equal(t, "mails", mailsTo(w.Sandbox, "jamie@example.com"), []string{"invite", "invite"})
			w.clock.advance(8 * 24 * time.Hour)
			again := w.invite(acme, "jamie@example.com", 113)
			if again.Status != "invited" || again.InviteID == r.InviteID || again.UserID != r.UserID {
				t.Errorf("invited after expiry: %+v, first %+v", again, r)
			}
			equal(t, "revoking the expired one", w.do(acme, "DELETE", path, "").is(200, "").invite().State, "revoked")
			if err := w.Accept("jamie@example.com"); err != nil {
				t.Fatal(err)
			}
			equal(t, "memberships", memberships(w.find("jamie@example.com")), "113:active")
		})
	}
}

func TestResendRevivesARevokedInvite(t *testing.T) {
	for _, mode := range []InviteMode{Immediate, Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t, Options{Invites: mode})
			r := w.invite(acme, "jamie@example.com", 113, 114)
			w.do(acme, "DELETE", invitePath(r.InviteID), "").is(200, "")
			i := w.do(acme, "POST", invitePath(r.InviteID)+"/resend", "").is(200, "").invite()
			equal(t, "invite", []any{i.State, i.OrganizationIDs, i.UserID != nil}, []any{"pending", []int64{113, 114}, mode == Immediate})
			if err := w.Accept("jamie@example.com"); err != nil {
				t.Fatal(err)
			}
			equal(t, "memberships", memberships(w.find("jamie@example.com")), "113:active 114:active")
			w.do(acme, "POST", invitePath(r.InviteID)+"/resend", "").is(409, "state_conflict")
		})
	}
}

// Sending a deactivated invitation again is inviting again.
func TestResendWithoutActivation(t *testing.T) {
	w := newWorld(t, Options{})
	r := w.invite(acme, "jamie@example.com", 113)
	w.do(acme, "POST", "/users/"+itoa(r.UserID)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	w.do(acme, "POST", invitePath(r.InviteID)+"/resend", "").is(200, "")
	a := w.find("jamie@example.com")
	equal(t, "account", []any{a.AccountState, memberships(a)}, []any{"new", "113:invited"})
}

func TestAcceptInvite(t *testing.T) {
	w := newWorld(t, Options{})
	r := w.do(acme, "POST", "/platform/invites", `{"Users":[{"Email":"a@example.com","IdentityProviderId":2}],"OrganizationIds":[113]}`).results()[0]
	other := w.invite(acme, "b@example.com", 113)
	path := invitePath(r.InviteID) + "/accept"
	for _, tc := range []struct {
		name, path, body string
		status           int
		code             string
	}{
		{"needs a provider", path, `{"Subject":"s"}`, 422, "invalid_field"},
		{"needs a subject", path, `{"IdentityProviderId":2,"Subject":""}`, 422, "invalid_field"},
		{"not a disabled provider", path, `{"IdentityProviderId":4,"Subject":"s"}`, 422, "invalid_field"},
		{"not another provider", path, `{"IdentityProviderId":3,"Subject":"s"}`, 422, "invalid_field"},
		{"accepts", path, `{"IdentityProviderId":2,"Subject":"s"}`, 200, ""},
		{"once", path, `{"IdentityProviderId":2,"Subject":"s"}`, 409, "state_conflict"},
		{"one account a sign-in", invitePath(other.InviteID) + "/accept", `{"IdentityProviderId":2,"Subject":"s"}`, 409, "state_conflict"},
		{"nothing unknown", invitePath("inv_x") + "/accept", `{"IdentityProviderId":2,"Subject":"s"}`, 404, "not_found"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.do(acme, "POST", tc.path, tc.body).is(tc.status, tc.code)
		})
	}
	w.t = t
	if err := w.Accept("a@example.com"); err == nil {
		t.Error("accepted by mail though nothing is pending")
	}
}
