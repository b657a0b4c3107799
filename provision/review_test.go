package provision_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// unguarded lets a test take from everybody.
const unguarded = "guards: {deactivations: off, role_losses: off, invites: off, addresses: off}"

// inBothModesIdle is inBothModes where no job does what a request leaves.
func inBothModesIdle(t *testing.T, f func(t *testing.T, s *bridgetest.Stack), tenant ...string) {
	t.Helper()
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			f(t, bridgetest.Start(t, bridgetest.Config{Sandbox: sandbox.Options{Invites: mode}, Tenant: tenant, Idle: true}))
		})
	}
}

// acceptedPerson has accepted, and the bridge knows it.
func acceptedPerson(t *testing.T, s *bridgetest.Stack, email string) string {
	t.Helper()
	id := person(s, email)
	accept(t, s, email)
	s.Must(200, "GET", "/Users/"+id, "")
	return id
}

// holder is an account that was there before the bridge, with a role in each of
// the organizations, and whom a create adopted.
func holder(t *testing.T, s *bridgetest.Stack, email string, role int64, orgs ...int64) string {
	t.Helper()
	a := sandbox.NewAccount{Email: email, FirstName: strings.Split(email, "@")[0], LastName: "Test"}
	for _, org := range orgs {
		a.Memberships = append(a.Memberships, sandbox.Membership{OrganizationID: org, RoleID: role, State: "active"})
	}
	if _, err := s.Sandbox.AddAccount(a); err != nil {
		t.Fatal(err)
	}
	return person(s, email)
}

// newcomer is a Viewer of an organization who was there before the bridge, and
// whom a change adopted.
func newcomer(t *testing.T, s *bridgetest.Stack, email string, org int64) string {
	t.Helper()
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: email, Memberships: []sandbox.Membership{{OrganizationID: org, RoleID: 5, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	id := s.Must(200, "GET", byUserName(email), "").JSON("Resources.0.id").(string)
	s.Must(200, "PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"add","path":"title","value":"Dr"}`))
	return id
}

// What takes access away may take effect without the bridge hearing of it.
// Whoever is in a group again has access again.
func TestAccessComesBackAfterALostWithdrawal(t *testing.T) {
	inBothModesIdle(t, func(t *testing.T, s *bridgetest.Stack) {
		for _, accepted := range []bool{true, false} {
			email := fmt.Sprintf("cas.%t@example.com", accepted)
			cas := person(s, email)
			g := s.Must(201, "POST", "/Groups", group("Managers", cas)).ID()
			if accepted {
				accept(t, s, email)
			}
			s.Must(200, "GET", "/Users/"+cas, "")
			faults(t, s, sandbox.Rule{Operation: "deactivate_user", Cut: "after"}, sandbox.Rule{Operation: "revoke_invite", Cut: "after"},
				sandbox.Rule{Operation: "get_user", Status: 503}, sandbox.Rule{Operation: "get_invite", After: 1, Status: 503})
			s.Must(503, "PATCH", "/Groups/"+g, removeMember(cas))
			faults(t, s)
			equal(t, "access", fmt.Sprint(access(s, email)), "[]")
			s.Must(200, "GET", "/Users/"+cas, "")
			s.Must(200, "PATCH", "/Groups/"+g, removeMember(cas))
			equal(t, "access", fmt.Sprint(access(s, email)), "[]")
			equal(t, "active", s.Must(200, "GET", "/Users/"+cas, "").JSON("active"), any(true))
			s.Must(200, "PATCH", "/Groups/"+g, addMembers(cas))
			equal(t, "access of "+email, fmt.Sprint(access(s, email)), "[113 114]")
			s.Must(204, "DELETE", "/Groups/"+g, "")
		}
	}, append(ruled, "require_group: true", unguarded)...)
}

// What a group gave is taken away with it, though the bridge never heard that it
// was given.
func TestGiftWhoseAnswerWasLostIsTakenAwayAgain(t *testing.T) {
	for name, given := range map[string]string{"Managers": "113:3", "Retail": "113:5 114:4"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := bridgetest.Start(t, bridgetest.Config{Tenant: append([]string{unguarded}, ruled...), Idle: true})
			ana := newcomer(t, s, "ana@example.com", 113)
			g := s.Must(201, "POST", "/Groups", group(name)).ID()
			faults(t, s, sandbox.Rule{Operation: "set_role", Cut: "after"}, sandbox.Rule{Operation: "get_user", Status: 503})
			s.Must(200, "PATCH", "/Groups/"+g, addMembers(ana))
			faults(t, s)
			equal(t, "Ana", held(s, "ana@example.com"), given)
			s.Must(200, "GET", "/Users/"+ana, "")
			s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))
			equal(t, "Ana", held(s, "ana@example.com"), "113:5")
		})
	}
}

// What a person held before and a group gave as well goes with the group.
func TestRoleHeldBeforeGoesWithItsGroup(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: append([]string{unguarded}, ruled...), Idle: true})
	ana := holder(t, s, "ana@example.com", 3, 113, 114)
	g := s.Must(201, "POST", "/Groups", group("Managers", ana)).ID()
	s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))
	equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:5")
}

// A name that was not answered for has taken roles away in part only: whoever
// takes one of the members out hears of it when that one's is gone.
func TestRemovalWaitsForAnUnansweredName(t *testing.T) {
	inBothModesIdle(t, func(t *testing.T, s *bridgetest.Stack) {
		for i, body := range []func(id string) string{
			removeMember,
			func(string) string { return bridgetest.PatchOp(`{"op":"remove","path":"members"}`) },
			func(string) string { return bridgetest.PatchOp(`{"op":"remove","path":"members[display sw \"ana\"]"}`) },
		} {
			email := fmt.Sprintf("ana%d@example.com", i)
			ana := acceptedPerson(t, s, email)
			g := s.Must(201, "POST", "/Groups", group("Managers", ana)).ID()
			faults(t, s, sandbox.Rule{Operation: "set_role", Status: 503})
			s.Must(503, "PATCH", "/Groups/"+g, bridgetest.PatchOp(`{"op":"replace","path":"displayName","value":"Former"}`))
			for range 2 {
				s.Must(503, "PATCH", "/Groups/"+g, body(ana))
			}
			faults(t, s)
			s.Must(200, "PATCH", "/Groups/"+g, body(ana))
			equal(t, "Ana", held(s, email), "113:5 114:5")
			s.Must(204, "DELETE", "/Groups/"+g, "")
		}
	}, append(ruled, unguarded)...)
}

// An addition may give less than the default role does.
func TestAdditionThatLowersIsRepeatedUntilDone(t *testing.T) {
	t.Parallel()
	s := documented(t, bridgetest.Config{}, "default_role: Viewer", "default_role: Manager", unguarded, "rules: [{match: Interns, role: Viewer}]")
	ana := acceptedPerson(t, s, "ana@example.com")
	equal(t, "Ana", held(s, "ana@example.com"), "113:3 114:3")
	g := s.Must(201, "POST", "/Groups", group("Interns")).ID()
	faults(t, s, sandbox.Rule{Operation: "set_role", Status: 503})
	for range 2 {
		s.Must(503, "PATCH", "/Groups/"+g, addMembers(ana))
	}
	faults(t, s)
	s.Must(200, "PATCH", "/Groups/"+g, addMembers(ana))
	equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:5")
}

// Whoever comes back at this moment was asked for its groups before.
func TestGroupChangesWhileAMemberComesBack(t *testing.T) {
	inBothModesIdle(t, func(t *testing.T, s *bridgetest.Stack) {
		managers := s.Must(201, "POST", "/Groups", group("Managers")).ID()
		for _, leaves := range []bool{true, false} {
			email := fmt.Sprintf("ana.%t@example.com", leaves)
			ana := acceptedPerson(t, s, email)
			want, change := "113:3 114:3", addMembers(ana)
			if leaves {
				s.Must(200, "PATCH", "/Groups/"+managers, addMembers(ana))
				want, change = "113:5 114:5", removeMember(ana)
			}
			s.Must(200, "PATCH", "/Users/"+ana, setActive(false))
			faults(t, s, sandbox.Rule{Operation: "activate_user", Gate: "back"})
			var both sync.WaitGroup
			both.Go(func() { s.Must(200, "PATCH", "/Users/"+ana, setActive(true)) })
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			if err := s.Sandbox.AwaitGate(ctx, "back", 1); err != nil {
				t.Fatal(err)
			}
			both.Go(func() {
				s.Must(200, "PATCH", "/Groups/"+managers, change)
				if leaves {
					equal(t, "Ana when the removal is answered", strings.Trim(held(s, email), "!"), want)
				}
			})
			eventually(t, "member", func() string {
				in, err := s.Store.MembersAmong(t.Context(), "acme", managers, []string{ana})
				return fmt.Sprint(in[ana], err)
			}, fmt.Sprint(!leaves, " <nil>"))
			if err := s.Sandbox.OpenGate("back"); err != nil {
				t.Fatal(err)
			}
			both.Wait()
			faults(t, s)
			equal(t, "Ana", held(s, email), want)
		}
	}, append(ruled, unguarded)...)
}

// A rule gives the default role where the person is not: that is access.
func TestRuleGivesTheDefaultRoleElsewhere(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{unguarded, "rules: [{match: Retail, role: Viewer, organizations: [114]}]"}, Idle: true})
	ana := newcomer(t, s, "ana@example.com", 113)
	equal(t, "Ana", held(s, "ana@example.com"), "113:5")
	g := s.Must(201, "POST", "/Groups", group("Retail", ana)).ID()
	equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:5")
	faults(t, s, sandbox.Rule{Operation: "deactivate_user", Status: 503})
	s.Must(503, "PATCH", "/Groups/"+g, removeMember(ana))
	faults(t, s)
	s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))
	equal(t, "Ana", held(s, "ana@example.com"), "113:5")
}

// An organization that left the tenant does not keep roles in the others.
func TestRoleGoesThoughAnOrganizationLeftTheTenant(t *testing.T) {
	t.Parallel()
	rules := "rules: [{match: Managers, role: Manager}]"
	cfg := bridgetest.Config{Tenant: []string{unguarded, rules}, Store: filepath.Join(t.TempDir(), "bridge.db"), Idle: true}
	s := bridgetest.Start(t, cfg)
	body := bridgetest.User("ana@example.com", fmt.Sprintf(`%q:{"organizationIds":[113,114]}`, bridgetest.ExtensionURN))
	ana := s.Must(201, "POST", "/Users", body).ID()
	accept(t, s, "ana@example.com")
	g := s.Must(201, "POST", "/Groups", group("Managers", ana)).ID()
	equal(t, "Ana", held(s, "ana@example.com"), "113:3 114:3")
	cfg.Over = s
	s = documented(t, cfg, "[113, 114]", "[113]", cfg.Tenant...)
	s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))
	equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:3")
}

// documented is a stack whose tenant's document has another text in place of one.
func documented(t *testing.T, cfg bridgetest.Config, old, now string, lines ...string) *bridgetest.Stack {
	t.Helper()
	cfg.Idle, cfg.NoScan = true, true
	s := bridgetest.Start(t, cfg)
	s.Apply(strings.Replace(bridgetest.Tenant("acme", s.UpstreamURL, lines...), old, now, 1))
	return s
}

// revived has somebody who was deleted while invited accept all the same.
func revived(t *testing.T, s *bridgetest.Stack, c *clock, email string) {
	t.Helper()
	id := person(s, email)
	invite := s.Must(200, "GET", "/Users/"+id, "").Extension()["invite"].(map[string]any)["id"].(string)
	s.Must(204, "DELETE", "/Users/"+id, "")
	c.advance(2 * time.Minute)
	if _, err := operator(t, s).ResendInvite(t.Context(), invite); err != nil {
		t.Fatal(err)
	}
	accept(t, s, email)
}

// operator is somebody who works at Share A Refund with the tenant's credential.
func operator(t *testing.T, s *bridgetest.Stack) *upstream.Client {
	t.Helper()
	client, err := upstream.New(upstream.Options{BaseURL: s.UpstreamURL, ClientID: "acme", ClientSecret: "acme-secret"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestLateAcceptanceThatCannotBeTakenBackKeepsNobodyElse(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Deferred, "invites: {resend_expired: 1}")
	revived(t, s, c, "lea@example.com")
	person(s, "eve@example.com")
	c.advance(2 * time.Minute)
	if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "eve@example.com", InviteState: "expired"}); err != nil {
		t.Fatal(err)
	}
	faults(t, s, sandbox.Rule{Operation: "deactivate_user", Status: 403})
	sweep(t, s)
	eventually(t, "mails to Eve", func() string { return fmt.Sprint(mails(s, "eve@example.com")) }, "2")
	equal(t, "access", fmt.Sprint(access(s, "lea@example.com")), "[113 114]")
	faults(t, s)
	sweep(t, s)
	eventually(t, "access", func() string { return fmt.Sprint(access(s, "lea@example.com")) }, "[]")
}

func TestLateAcceptanceLeavesProtectedAccountsAlone(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Deferred, "guards: {protected: {role: Viewer}}")
	revived(t, s, c, "lea@example.com")
	sweep(t, s)
	eventually(t, "follow-up", func() string { return unfinished(t, s) }, "[]")
	equal(t, "access", fmt.Sprint(access(s, "lea@example.com")), "[113 114]")
}

// Whom upstream seemed to have lost was deleted by no client.
func TestAcceptanceOfAForgottenInviteIsNotLate(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Deferred)
	if _, err := operator(t, s).InviteUsers(t.Context(), []upstream.InviteUser{{Email: "bob@example.com", RoleID: 5}}, []int64{113, 114}); err != nil {
		t.Fatal(err)
	}
	sweep(t, s)
	bob := s.Must(200, "GET", byUserName("bob@example.com"), "").JSON("Resources.0.id").(string)
	faults(t, s, sandbox.Rule{Operation: "get_invite", Status: 404})
	s.Must(404, "GET", "/Users/"+bob, "")
	faults(t, s)
	c.advance(2 * time.Minute)
	accept(t, s, "bob@example.com")
	sweep(t, s)
	eventually(t, "follow-up", func() string { return unfinished(t, s) }, "[]")
	equal(t, "access", fmt.Sprint(access(s, "bob@example.com")), "[113 114]")
}

// What expired is not sent again to somebody whom the client took access from.
func TestExpiredInviteOfADeactivatedPersonIsNotSentAgain(t *testing.T) {
	bothClocks(t, func(t *testing.T, mode sandbox.InviteMode) {
		s, c := startAt(t, mode, "invites: {resend_expired: 3}")
		id := person(s, "eve@example.com")
		invite := s.Must(200, "GET", "/Users/"+id, "").Extension()["invite"].(map[string]any)["id"].(string)
		s.Must(200, "PATCH", "/Users/"+id, setActive(false))
		c.advance(2 * time.Minute)
		if _, err := operator(t, s).ResendInvite(t.Context(), invite); err != nil {
			t.Fatal(err)
		}
		for round := range 3 {
			if round == 1 {
				if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "eve@example.com", InviteState: "expired"}); err != nil {
					t.Fatal(err)
				}
			}
			c.advance(2 * time.Minute)
			sweep(t, s)
			eventually(t, "follow-up", func() string { return unfinished(t, s) }, "[]")
		}
		equal(t, "mails", mails(s, "eve@example.com"), 2)
	})
}

// What upstream refuses to the last owner has changed nothing in the end, in
// whatever shape it was asked for.
func TestRefusalForTheLastOwnerChangesNothing(t *testing.T) {
	for name, leave := range map[string]struct{ method, body string }{
		"a removal":            {"PATCH", bridgetest.PatchOp(`{"op":"remove","path":"members"}`)},
		"a name":               {"PATCH", bridgetest.PatchOp(`{"op":"replace","path":"displayName","value":"Former"}`)},
		"a removal and a name": {"PATCH", bridgetest.PatchOp(`{"op":"replace","value":{"displayName":"Former","members":[]}}`)},
		"a PUT":                {"PUT", group("Former")},
		"DELETE":               {"DELETE", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := bridgetest.Config{Sandbox: sandbox.Options{Clients: []sandbox.Client{
				{ID: "chief", Secret: "acme-secret", Organizations: []int64{113, 114}, Weight: 100},
			}}}
			s := documented(t, cfg, "client_id: acme", "client_id: chief", unguarded, "ceiling: Owner", "rules: [{match: Owners, role: Owner}]")
			ana, ben := acceptedPerson(t, s, "ana@example.com"), acceptedPerson(t, s, "ben@example.com")
			g := s.Must(201, "POST", "/Groups", group("Owners", ana, ben)).ID()
			equal(t, "Ben", held(s, "ben@example.com"), "113:1 114:1")
			// The directory does not know that nobody else is an owner any more.
			other := holder(t, s, "other@example.com", 1, 113, 114)
			s.Must(200, "GET", "/Users/"+other, "")
			for _, email := range []string{"other@example.com", "owner113@sharearefund.example", "owner114@sharearefund.example"} {
				for _, m := range []int64{113, 114} {
					if strings.Contains(email, fmt.Sprint(227-m)) {
						continue
					}
					if _, err := s.Sandbox.Edit(sandbox.Edit{Email: email, Role: &sandbox.EditRole{OrganizationID: m, RoleID: 5}}); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 2 {
				s.Must(403, leave.method, "/Groups/"+g, leave.body)
				r := s.Must(200, "GET", "/Groups/"+g, "")
				equal(t, "name", r.JSON("displayName"), any("Owners"))
				equal(t, "members", len(r.JSON("members").([]any)), 2)
			}
			events, err := s.Store.Events(t.Context(), store.EventQuery{Tenant: "acme", ResourceID: g})
			if err != nil {
				t.Fatal(err)
			}
			restored := slices.DeleteFunc(events, func(e *store.Event) bool { return e.Action != "group.restore" })
			equal(t, "refusals by upstream", len(restored), 2)
		})
	}
}

// An invite does not tell when it was changed: for a while what we wrote last
// may not show.
func TestRoleOfAnInviteIsTakenAwayThoughReadsAreStale(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Deferred, append([]string{unguarded}, ruled...)...)
	ana := person(s, "ana@example.com")
	c.advance(2 * time.Minute)
	g := s.Must(201, "POST", "/Groups", group("Managers", ana)).ID()
	equal(t, "Ana", held(s, "ana@example.com"), "invite [113 114]:3")
	faults(t, s, sandbox.Rule{Operation: "get_invite", StaleMS: 30_000})
	s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))
	equal(t, "Ana", held(s, "ana@example.com"), "invite [113 114]:5")
}
