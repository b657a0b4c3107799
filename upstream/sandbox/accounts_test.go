package sandbox

import (
	"strconv"
	"testing"
)

func itoa(id int64) string { return strconv.FormatInt(id, 10) }

func userPath(a Account) string { return "/users/" + itoa(a.ID) }

func TestSeeds(t *testing.T) {
	w := newWorld(t, Options{Users: 4})
	state := w.State()
	equal(t, "accounts", len(state.Accounts), 7)
	equal(t, "owner", state.Account("owner200@sharearefund.example").Membership(200), Membership{200, 1, "active"})
	var got []string
	for _, a := range state.Accounts[3:] {
		got = append(got, a.Email+" "+memberships(a)+" "+a.Role.Name)
	}
	equal(t, "people", got, []string{
		"person00001@example.com 113:active Viewer", "person00002@example.com 114:active Viewer",
		"person00003@example.com 113:active 114:active Viewer", "person00004@example.com 113:active Viewer",
	})
	equal(t, "organizations", state.Organizations, []Organization{{113, "Acme Freight"}, {114, "Acme Retail"}, {200, "Globex Parcel"}})
	equal(t, "google", state.IdentityProviders[3], IdentityProvider{4, "Google", "google", false})
	equal(t, "ledger", w.Ledger(), []Entry{})
}

func TestAccountIsSeenByThoseWhoManageAnOrganizationOfIt(t *testing.T) {
	w := newWorld(t, Options{})
	shared := w.join(acme, "shared@example.com", 113)
	for _, step := range []struct {
		name  string
		do    func()
		acme  int
		globe int
	}{
		{"a member of 113", func() {}, 200, 404},
		{"invited to 200", func() { w.invite(globex, "shared@example.com", 200) }, 200, 200},
		{"suspended in 113", func() {
			w.do(acme, "POST", userPath(shared)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
		}, 200, 200},
		{"removed from 113", func() { w.do(acme, "DELETE", userPath(shared)+"?organization_id=113", "").is(204, "") }, 404, 200},
	} {
		step.do()
		for _, path := range []string{userPath(shared), "/users/email/Shared@Example.com"} {
			equal(t, step.name+": acme", w.do(acme, "GET", path, "").status, step.acme)
			equal(t, step.name+": globex", w.do(globex, "GET", path, "").status, step.globe)
		}
	}
}

func TestRecordShowsMembershipsOfOthers(t *testing.T) {
	w := newWorld(t, Options{})
	shared := w.join(acme, "shared@example.com", 113)
	w.invite(globex, "shared@example.com", 200)
	got := w.do(globex, "GET", userPath(shared), "").is(200, "").account()
	equal(t, "memberships", memberships(got), "113:active 200:invited")
	equal(t, "accessible", got.Accessible, true)
	equal(t, "role", got.Role, &Role{5, "Viewer", 10})
}

func TestCreatedAccountIsSeenOnceItHasAMembership(t *testing.T) {
	w := newWorld(t, Options{Clients: []Client{{ID: "freight", Secret: "s", APIKey: "sak_freight", Organizations: []int64{113}, Weight: 80}}})
	a := w.do(acme, "POST", "/users", `{"email":"sam@example.com","first_name":"Sam"}`).is(201, "").account()
	equal(t, "state", a.AccountState, "active")
	equal(t, "accessible", a.Accessible, false)
	equal(t, "mails", len(w.Outbox()), 0)
	w.do(acme, "GET", userPath(a), "").is(404, "not_found")
	w.do(acme, "GET", "/users/email/sam@example.com", "").is(404, "not_found")
	w.do(acme, "POST", "/users", `{"email":"SAM@example.com"}`).is(409, "email_taken")
	w.do("sak_freight", "PUT", userPath(a)+"/role", `{"organization_id":113,"role_id":5}`).is(404, "not_found")
	got := w.do(acme, "PUT", userPath(a)+"/role", `{"organization_id":114,"role_id":3}`).is(200, "").account()
	equal(t, "memberships", memberships(got), "114:active")
	equal(t, "default", *got.DefaultOrganizationID, int64(114))
	equal(t, "accessible", got.Accessible, true)
	w.do(acme, "GET", userPath(a), "").is(200, "")
}

func TestUpdateUser(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(acme, "jamie@example.com", 113)
	w.join(globex, "taken@example.com", 200)
	w.clock.advance(1e9)
	got := w.do(acme, "PUT", userPath(a), `{"email":"Jamie.J@example.com","first_name":"Jamie","country_id":"CA","other_id":"00u1"}`).is(200, "").account()
	equal(t, "e-mail", got.Email, "Jamie.J@example.com")
	equal(t, "updated", got.UpdatedAt, epoch.Add(1e9))
	w.do(acme, "GET", "/users/email/jamie@example.com", "").is(404, "not_found")
	w.do(acme, "GET", "/users/email/JAMIE.j@example.com", "").is(200, "")
	got = w.do(acme, "PUT", userPath(a), `{"other_id":null,"last_name":"J"}`).is(200, "").account()
	equal(t, "kept and emptied", []string{got.FirstName, got.LastName, got.CountryID, got.OtherID}, []string{"Jamie", "J", "CA", ""})
	got = w.do(acme, "PUT", userPath(a), `{"email":"jamie.j@example.com"}`).is(200, "").account()
	equal(t, "other case", got.Email, "jamie.j@example.com")
	w.do(acme, "PUT", userPath(a), `{"email":"TAKEN@example.com"}`).is(409, "email_taken")
	w.do(globex, "PUT", userPath(a), `{"first_name":"X"}`).is(404, "not_found")

	entries := len(w.Ledger())
	w.do(acme, "PUT", userPath(a), `{"last_name":"J"}`).is(200, "")
	equal(t, "entries after a repeated call", len(w.Ledger()), entries)
}

func TestAddressOfSomebodyInvitedStays(t *testing.T) {
	w := newWorld(t, Options{})
	id := w.invite(acme, "new@example.com", 113)
	path := "/users/" + itoa(id.UserID)
	w.do(acme, "PUT", path, `{"email":"other@example.com"}`).is(409, "state_conflict")
	w.do(acme, "PUT", "/platform/invites/"+id.InviteID, `{"Email":"other@example.com"}`).is(409, "state_conflict")
	w.do(acme, "POST", path+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	w.do(acme, "PUT", path, `{"email":"other@example.com"}`).is(409, "state_conflict")
	w.do(acme, "POST", path+"/activate", `{"organization_ids":[113]}`).is(200, "")
	w.do(acme, "POST", "/platform/invites/"+id.InviteID+"/resend", "").is(200, "")
	w.do(acme, "PUT", path, `{"first_name":"New"}`).is(200, "")
	equal(t, "the invite keeps step", w.State().InvitesOf("new@example.com")[0].FirstName, "New")
}

func TestResetPassword(t *testing.T) {
	w := newWorld(t, Options{})
	a := w.join(acme, "jamie@example.com", 113)
	lock := func() {
		t.Helper()
		if _, err := w.Edit(Edit{UserID: a.ID, AccountState: "locked"}); err != nil {
			t.Fatal(err)
		}
	}
	lock()
	equal(t, "accessible while locked", w.find("jamie@example.com").Accessible, false)
	got := w.do(acme, "POST", userPath(a)+"/password_reset", `{}`).is(200, "").account()
	equal(t, "unlocked by a link", got.AccountState, "active")
	equal(t, "mails", mailsTo(w.Sandbox, "jamie@example.com"), []string{"invite", "password_reset"})
	lock()
	got = w.do(acme, "POST", userPath(a)+"/password_reset", `{"password":"correct horse"}`).is(200, "").account()
	equal(t, "unlocked by a password", got.AccountState, "active")
	equal(t, "mails", len(w.Outbox()), 2)
	w.do(globex, "POST", userPath(a)+"/password_reset", `{}`).is(404, "not_found")
	w.do(acme, "POST", userPath(a)+"/deactivate", `{"organization_ids":[113]}`).is(200, "")
	got = w.do(acme, "POST", userPath(a)+"/password_reset", `{}`).is(200, "").account()
	equal(t, "a blocked account stays so", got.AccountState, "blocked")
	fresh := w.invite(acme, "new@example.com", 113)
	w.do(acme, "POST", "/users/"+itoa(fresh.UserID)+"/password_reset", `{}`).is(409, "state_conflict")
}
