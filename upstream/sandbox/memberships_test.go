package sandbox

import (
	"testing"
)

// administrators is a client whose own role is Owner.
var administrators = []Client{{ID: "root", Secret: "s", APIKey: "sak_root", Organizations: []int64{113, 114, 200}, Weight: 100}}

func TestSetRole(t *testing.T) {
	w := newWorld(t, Options{Clients: administrators})
	member := w.join(acme, "member@example.com", 113)
	suspended := w.join(acme, "suspended@example.com", 113)
	w.do(acme, "POST", userPath(suspended)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	invited := w.find(w.invite(acme, "invited@example.com", 113).Email)
	abroad := w.find("owner200@sharearefund.example")
	for _, tc := range []struct {
		name, token string
		who         Account
		body        string
		status      int
		code, want  string
	}{
		{"a member gets another role", acme, member, `{"organization_id":113,"role_id":3}`, 200, "", "113:active"},
		{"up to the credential's weight", acme, member, `{"organization_id":113,"role_id":2}`, 200, "", "113:active"},
		{"not above it", acme, member, `{"organization_id":113,"role_id":1}`, 403, "forbidden", "113:active"},
		{"an owner may", "sak_root", member, `{"organization_id":113,"role_id":1}`, 200, "", "113:active"},
		{"a missing membership is made", acme, member, `{"organization_id":114,"role_id":4}`, 200, "", "113:active 114:active"},
		{"not in others' organizations", acme, member, `{"organization_id":200,"role_id":5}`, 403, "forbidden", "113:active 114:active"},
		{"not in unknown ones", acme, member, `{"organization_id":999,"role_id":5}`, 403, "forbidden", "113:active 114:active"},
		{"a suspended one stays so", acme, suspended, `{"organization_id":113,"role_id":3}`, 200, "", "113:suspended"},
		{"an invited one stays so", acme, invited, `{"organization_id":113,"role_id":3}`, 200, "", "113:invited"},
		{"a missing one is invited before acceptance", acme, invited, `{"organization_id":114,"role_id":4}`, 200, "", "113:invited 114:invited"},
		{"not of people one cannot see", acme, abroad, `{"organization_id":113,"role_id":5}`, 404, "not_found", "200:active"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.do(tc.token, "PUT", userPath(tc.who)+"/role", tc.body).is(tc.status, tc.code)
			equal(t, "memberships", memberships(w.find(tc.who.Email)), tc.want)
		})
	}
	w.t = t
	i := w.State().InvitesOf("invited@example.com")[0]
	equal(t, "the invite carries the lower role", []any{i.RoleID, i.OrganizationIDs}, []any{int64(4), []int64{113, 114}})
	if err := w.Accept("invited@example.com"); err != nil {
		t.Fatal(err)
	}
	got := w.find("invited@example.com")
	equal(t, "roles after acceptance", []int64{got.Membership(113).RoleID, got.Membership(114).RoleID}, []int64{3, 4})
}

func TestDeactivateAndActivate(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(acme, "jamie@example.com", 113, 114)
	w.do(acme, "PUT", userPath(a)+"/role", `{"organization_id":114,"role_id":3}`).is(200, "")
	for _, step := range []struct {
		name, call, body   string
		memberships, state string
		accessible         bool
		effect             bool
	}{
		{"suspends what is named", "deactivate", `[113]`, "113:suspended 114:active", "active", true, true},
		{"again changes nothing", "deactivate", `[113]`, "113:suspended 114:active", "active", true, false},
		{"blocks with the last one", "deactivate", `[114,113]`, "113:suspended 114:suspended", "blocked", false, true},
		{"brings back what is named", "activate", `[114]`, "113:suspended 114:active", "active", true, true},
		{"again changes nothing", "activate", `[114]`, "113:suspended 114:active", "active", true, false},
		{"and the rest", "activate", `[113,114]`, "113:active 114:active", "active", true, true},
	} {
		entries := len(w.Ledger())
		got := w.do(acme, "POST", userPath(a)+"/"+step.call, `{"organization_ids":`+step.body+`}`).is(200, "").account()
		equal(t, step.name, []any{memberships(got), got.AccountState, got.Accessible}, []any{step.memberships, step.state, step.accessible})
		equal(t, step.name+": entry", len(w.Ledger()) > entries, step.effect)
	}
	equal(t, "the role is kept", w.find("jamie@example.com").Membership(114).RoleID, int64(3))
	w.do(acme, "POST", userPath(a)+"/deactivate", `{"organization_ids":[113,200]}`).is(403, "forbidden")
	w.do(globex, "POST", userPath(a)+"/deactivate", `{"organization_ids":[200]}`).is(404, "not_found")
	equal(t, "refused calls change nothing", memberships(w.find("jamie@example.com")), "113:active 114:active")
}

func TestDeactivateBeforeAcceptance(t *testing.T) {
	w := newWorld(t, Options{})
	r := w.invite(acme, "new@example.com", 113, 114)
	path, invite := "/users/"+itoa(r.UserID), "/platform/invites/"+r.InviteID
	state := func() []string {
		a := w.find("new@example.com")
		i := w.do(acme, "GET", invite, "").is(200, "").invite()
		return []string{a.AccountState, memberships(a), i.State}
	}
	w.do(acme, "POST", path+"/deactivate", `{"organization_ids":[113,114]}`).is(200, "")
	equal(t, "deactivated", state(), []string{"blocked", "113:suspended 114:suspended", "revoked"})
	w.do(acme, "POST", invite+"/accept", `{"IdentityProviderId":2,"Subject":"s"}`).is(409, "state_conflict")
	equal(t, "a suspended membership", w.invite(acme, "new@example.com", 113).Status, "already_member")

	w.do(acme, "POST", path+"/activate", `{"organization_ids":[113,114]}`).is(200, "")
	equal(t, "activated", state(), []string{"new", "113:invited 114:invited", "revoked"})
	equal(t, "mails", len(w.Outbox()), 1)
	if err := w.Accept("new@example.com"); err == nil {
		t.Error("a revoked invite was accepted")
	}
	w.do(acme, "POST", invite+"/resend", "").is(200, "")
	equal(t, "sent again", state(), []string{"new", "113:invited 114:invited", "pending"})
	equal(t, "mails", len(w.Outbox()), 2)

	w.do(acme, "POST", path+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	equal(t, "one organization leaves the invite", w.do(acme, "GET", invite, "").invite().OrganizationIDs, []int64{114})
	if err := w.Accept("new@example.com"); err != nil {
		t.Fatal(err)
	}
	equal(t, "accepted", state(), []string{"active", "113:suspended 114:active", "accepted"})
}

// An invitation to somebody who is here already must not become access by deactivating and activating it.
func TestActivationDoesNotAcceptForThePerson(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(globex, "shared@example.com", 200)
	w.invite(acme, "shared@example.com", 113)
	w.do(acme, "POST", userPath(a)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	got := w.do(acme, "POST", userPath(a)+"/activate", `{"organization_ids":[113]}`).is(200, "").account()
	equal(t, "memberships", memberships(got), "200:active 113:invited")
}

func TestCredentialDoesNotTouchOthersOrganizations(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(acme, "shared@example.com", 113)
	w.invite(globex, "shared@example.com", 200)
	w.do(globex, "POST", userPath(a)+"/deactivate", `{"organization_ids":[200]}`).is(200, "")
	got := w.find("shared@example.com")
	equal(t, "memberships", memberships(got), "113:active 200:suspended")
	equal(t, "still accessible", got.Accessible, true)
	w.do(globex, "DELETE", userPath(a)+"?organization_id=113", "").is(403, "forbidden")
}

func TestLastOwner(t *testing.T) {
	w := newWorld(t, Options{Clients: administrators})
	owner := w.find("owner113@sharearefund.example")
	second := w.join(acme, "second@example.com", 113)
	token := w.signIn(owner)
	refused := func() {
		t.Helper()
		w.do(acme, "POST", userPath(owner)+"/deactivate", `{"organization_ids":[113]}`).is(409, "last_owner")
		w.do(acme, "PUT", userPath(owner)+"/role", `{"organization_id":113,"role_id":5}`).is(409, "last_owner")
		w.do(token, "DELETE", "/users/me", "").is(409, "last_owner")
	}
	refused()
	w.do("sak_root", "PUT", userPath(second)+"/role", `{"organization_id":113,"role_id":1}`).is(200, "")
	if _, err := w.Edit(Edit{UserID: second.ID, AccountState: "locked"}); err != nil {
		t.Fatal(err)
	}
	refused() // an owner who cannot get in is none
	if _, err := w.Edit(Edit{UserID: second.ID, AccountState: "active"}); err != nil {
		t.Fatal(err)
	}
	w.do(acme, "POST", userPath(owner)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	w.do(acme, "PUT", userPath(second)+"/role", `{"organization_id":113,"role_id":5}`).is(409, "last_owner")
	w.do(acme, "POST", userPath(owner)+"/activate", `{"organization_ids":[113]}`).is(200, "")
	w.do(acme, "PUT", userPath(second)+"/role", `{"organization_id":113,"role_id":5}`).is(200, "")
}

func TestRemoveUser(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(acme, "jamie@example.com", 113, 114)
	w.do(acme, "DELETE", userPath(a)+"?organization_id=113", "").is(409, "state_conflict")
	w.do(acme, "POST", userPath(a)+"/deactivate", `{"organization_ids":[113,114]}`).is(200, "")
	w.do(acme, "DELETE", userPath(a)+"?organization_id=113", "").is(204, "")
	got := w.find("jamie@example.com")
	equal(t, "memberships", memberships(got), "114:suspended")
	equal(t, "default", *got.DefaultOrganizationID, int64(114))
	w.do(acme, "DELETE", userPath(a)+"?organization_id=113", "").is(404, "not_found")
	w.do(acme, "DELETE", userPath(a)+"?organization_id=114", "").is(204, "")
	w.do(acme, "GET", userPath(a), "").is(404, "not_found")
	last := w.Ledger()[len(w.Ledger())-1]
	equal(t, "the account goes", []any{last.Operation, *last.UserID, last.Before.Email, last.After}, []any{"remove_user", a.ID, "jamie@example.com", (*Account)(nil)})
	invite := w.State().InvitesOf("jamie@example.com")[0]
	equal(t, "its invite stays readable", []any{invite.State, *invite.UserID}, []any{"accepted", a.ID})
	again := w.invite(acme, "jamie@example.com", 113)
	if again.Status != "invited" || again.UserID == a.ID {
		t.Errorf("invited again: got %+v, want a new account", again)
	}

	w.do(acme, "DELETE", "/users/"+itoa(again.UserID)+"?organization_id=113", "").is(204, "")
	equal(t, "an invited person's invite", w.State().InvitesOf("jamie@example.com")[1].State, "revoked")
}

// signIn returns a token of the person.
func (w *world) signIn(a Account) string {
	w.t.Helper()
	var out struct {
		AccessToken string `json:"access_token"`
	}
	w.exchange(w.IDToken(Identity{ProviderID: *a.IdentityProviderID, Subject: "sign-in-" + a.Email, Email: a.Email})).is(200, "").into(&out)
	return out.AccessToken
}
