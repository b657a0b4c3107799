package provision_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// clock is a time that a test moves on; it never runs backwards.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// startAt is a stack whose bridge and upstream go by one clock.
func startAt(t *testing.T, mode sandbox.InviteMode, lines ...string) (*bridgetest.Stack, *clock) {
	t.Helper()
	c := new(clock)
	s := bridgetest.Start(t, bridgetest.Config{
		Sandbox: sandbox.Options{Invites: mode, Now: c.Now, TokenTTL: 1000 * time.Hour}, Tenant: lines,
		Change: func(o *bridge.Options) { o.Now, o.DirectoryInterval = c.Now, 1000*time.Hour },
	})
	return s, c
}

func faults(t *testing.T, s *bridgetest.Stack, rules ...sandbox.Rule) {
	t.Helper()
	if err := s.Sandbox.SetFaults(rules); err != nil {
		t.Fatal(err)
	}
}

// lostInvite lets an invite take effect, or not, without an answer and
// without a trace that the inviter could find; before it that many lists of
// invites are answered.
func lostInvite(cut string, lists int) []sandbox.Rule {
	return []sandbox.Rule{
		{Operation: "invite_users", Times: 1, Cut: cut},
		{Operation: "list_invites", After: lists, Times: 1, Status: 400},
	}
}

// sweep has a job scan the directory, which begins with what was cut short.
func sweep(t *testing.T, s *bridgetest.Stack) {
	t.Helper()
	j, err := s.Store.EnqueueJob(t.Context(), store.Job{Tenant: "acme", Kind: "directory.scan", RunAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	for j.State != store.JobDone {
		if j, err = s.Store.Job(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		if t.Context().Err() != nil {
			return
		}
	}
}

func inactiveUser(name string) string {
	return strings.Replace(bridgetest.User(name), `"active":true`, `"active":false`, 1)
}

// Accepting and being removed again before anybody looked leaves an invite
// that leads to an account that is gone.
func TestAcceptedAndGoneBeforeAnybodyLooked(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Deferred)
	id := s.Must(201, "POST", "/Users", bridgetest.User("ida@example.com")).ID()
	if err := s.Sandbox.Accept("ida@example.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "ida@example.com", Delete: true}); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Minute)
	before := s.Sandbox.Stats().Calls["get_invite"]
	s.Must(404, "GET", "/Users/"+id, "")
	if n := s.Sandbox.Stats().Calls["get_invite"] - before; n > 4 {
		t.Errorf("%d calls of get_invite for one GET", n)
	}
}

func TestDeactivationFindsAnInviteWhoseAnswerWasLost(t *testing.T) {
	for _, how := range []string{"patch", "delete"} {
		t.Run(how, func(t *testing.T) {
			inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
				id := s.Must(201, "POST", "/Users", inactiveUser("uma@example.com")).ID()
				faults(t, s, lostInvite("after", 0)...)
				s.Must(503, "PATCH", "/Users/"+id, setActive(true))
				equal(t, "access after the lost answer", fmt.Sprint(access(s, "uma@example.com")), "[113 114]")
				if how == "patch" {
					s.Must(200, "PATCH", "/Users/"+id, setActive(false))
				} else {
					s.Must(204, "DELETE", "/Users/"+id, "")
				}
				equal(t, "access after the acknowledged removal", fmt.Sprint(access(s, "uma@example.com")), "[]")
			})
		})
	}
}

func TestDeactivationFindsTheLostInviteOfANewAddress(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		id := s.Must(201, "POST", "/Users", bridgetest.User("una@example.com")).ID()
		faults(t, s, lostInvite("after", 1)...)
		s.Must(503, "PUT", "/Users/"+id, bridgetest.User("ulla@example.com"))
		s.Must(200, "PATCH", "/Users/"+id, setActive(false))
		equal(t, "access by the old address", fmt.Sprint(access(s, "una@example.com")), "[]")
		equal(t, "access by the new address", fmt.Sprint(access(s, "ulla@example.com")), "[]")
	})
}

func TestLostInviteDoesNotAdoptWhoWasThere(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate)
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "old@elsewhere.test", FirstName: "Old", LastName: "Hand",
		Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 3, State: "active"}, {OrganizationID: 114, RoleID: 3, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	faults(t, s, lostInvite("before", 0)...)
	s.Must(503, "POST", "/Users", bridgetest.User("old@elsewhere.test"))
	s.Must(503, "POST", "/Users", bridgetest.User("old@elsewhere.test"))
	c.advance(2 * time.Minute)
	s.Must(409, "POST", "/Users", bridgetest.User("old@elsewhere.test"))
	equal(t, "upstream effects", len(operations(s)), 0)
}

func TestSweepDoesNotAdoptWhoWasThere(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate)
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "old@elsewhere.test", FirstName: "Old", LastName: "Hand",
		Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 3, State: "active"}, {OrganizationID: 114, RoleID: 3, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	faults(t, s, lostInvite("before", 0)...)
	s.Must(503, "POST", "/Users", bridgetest.User("old@elsewhere.test"))
	c.advance(2 * time.Minute)
	sweep(t, s)
	u, _ := s.Must(200, "GET", byUserName("old@elsewhere.test"), "").JSON("Resources.0").(map[string]any)
	equal(t, "managed", u[bridgetest.ExtensionURN].(map[string]any)["managed"], any(false))
}

func TestRefusedChangeLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s, _ := startAt(t, sandbox.Immediate)
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "taken@example.com", Memberships: []sandbox.Membership{{OrganizationID: 200, RoleID: 3, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	id := s.Must(201, "POST", "/Users", bridgetest.User("rob@example.com")).ID()
	if err := s.Sandbox.Accept("rob@example.com"); err != nil {
		t.Fatal(err)
	}
	s.Must(400, "PUT", "/Users/"+id, bridgetest.User("taken@example.com"))
	// Somebody at Share A Refund suspends the person.
	for _, org := range []int64{113, 114} {
		if _, err := s.Sandbox.Edit(sandbox.Edit{
			Email: "rob@example.com", Membership: &sandbox.EditMembership{OrganizationID: org, State: "suspended"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.Must(200, "PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"Dr"}`))
	equal(t, "access", fmt.Sprint(access(s, "rob@example.com")), "[]")
}

func TestDeleteOfAnUnmanagedPersonWhoIsGone(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate)
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "ugo@example.com", Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 5, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	id, _ := s.Must(200, "GET", byUserName("ugo@example.com"), "").JSON("Resources.0.id").(string)
	if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "ugo@example.com", Delete: true}); err != nil {
		t.Fatal(err)
	}
	c.advance(time.Minute)
	s.Must(404, "DELETE", "/Users/"+id, "")
}

func TestRenameToATakenAddressKeepsTheInvite(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		id := s.Must(201, "POST", "/Users", bridgetest.User("kay@example.com")).ID()
		if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
			Email: "held@example.com", Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 5, State: "active"}},
		}); err != nil {
			t.Fatal(err)
		}
		s.Must(409, "PUT", "/Users/"+id, bridgetest.User("held@example.com"))
		equal(t, "access by the old address", fmt.Sprint(access(s, "kay@example.com")), "[113 114]")
		equal(t, "hits", s.Must(200, "GET", byUserName("held@example.com"), "").JSON("totalResults"), any(1.0))
	})
}

func TestInactiveCreateAfterALostOne(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		faults(t, s, lostInvite("after", 0)...)
		s.Must(503, "POST", "/Users", bridgetest.User("ina@example.com"))
		s.Must(503, "POST", "/Users", inactiveUser("ina@example.com"))
	})
}

// A member of one of the organizations is invited to the others, which makes
// the account the client's, but neither its address nor its password.
func TestInviteOfAPartialMemberDoesNotMoveTheAddress(t *testing.T) {
	t.Parallel()
	c := new(clock)
	s := bridgetest.Start(t, bridgetest.Config{
		Sandbox: sandbox.Options{Now: func() time.Time { return c.Now().Add(-time.Hour) }}, Tenant: []string{"reset_password: true"},
		Change: func(o *bridge.Options) { o.Now, o.DirectoryInterval = c.Now, 1000*time.Hour },
	})
	if _, err := s.Sandbox.AddAccount(sandbox.NewAccount{
		Email: "part@elsewhere.test", FirstName: "Pia", LastName: "Part",
		Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 3, State: "active"}},
	}); err != nil {
		t.Fatal(err)
	}
	id := s.Must(201, "POST", "/Users", bridgetest.User("part@elsewhere.test")).ID()
	r := s.Must(200, "PATCH", "/Users/"+id, bridgetest.PatchOp(
		`{"op":"replace","path":"emails[type eq \"work\"].value","value":"mine@elsewhere.test"}`, `{"op":"replace","value":{"password":"s3cret"}}`))
	equal(t, "notApplied", fmt.Sprint(r.Extension()["notApplied"]), "[emails]")
	equal(t, "access by the new address", fmt.Sprint(access(s, "mine@elsewhere.test")), "[]")
	equal(t, "resets", int(s.Sandbox.Stats().Calls["reset_password"]), 0)
}

func TestDeletePassesOverOrganizationsThatLeftTheTenant(t *testing.T) {
	t.Parallel()
	s, _ := startAt(t, sandbox.Immediate)
	id := s.Must(201, "POST", "/Users", bridgetest.User("org@example.com", fmt.Sprintf(`%q:{"organizationIds":[113,114]}`, bridgetest.ExtensionURN))).ID()
	row, err := s.Store.Tenant(t.Context(), "acme")
	if err != nil {
		t.Fatal(err)
	}
	row.Organizations = []int64{113}
	row.Spec = bytes.Replace(row.Spec, []byte("[113,114]"), []byte("[113]"), 1)
	if err := s.Store.Update(t.Context(), func(tx store.Tx) error { return tx.PutTenant(row) }); err != nil {
		t.Fatal(err)
	}
	for len(s.Must(200, "GET", "/Users/"+id, "").Extension()["memberships"].([]any)) > 1 {
		if t.Context().Err() != nil {
			return
		}
	}
	s.Must(204, "DELETE", "/Users/"+id, "")
	equal(t, "access", fmt.Sprint(access(s, "org@example.com")), "[114]")
}

// A rename that was cut short after the old invite was withdrawn goes on when
// it is sent again, under the same id.
func TestRenameThatWasCutShortGoesOn(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		id := s.Must(201, "POST", "/Users", bridgetest.User("rea@example.com")).ID()
		faults(t, s, sandbox.Rule{Operation: "invite_users", Times: 1, Status: 400})
		s.Must(400, "PUT", "/Users/"+id, bridgetest.User("rhea@example.com"))
		equal(t, "access by the old address", fmt.Sprint(access(s, "rea@example.com")), "[]")
		s.Must(200, "GET", "/Users/"+id, "")
		s.Must(200, "PUT", "/Users/"+id, bridgetest.User("rhea@example.com"))
		equal(t, "access by the new address", fmt.Sprint(access(s, "rhea@example.com")), "[113 114]")
		equal(t, "mails to the new address", mails(s, "rhea@example.com"), 1)
	})
}

// What a change made before its answer was lost is known to be the person's
// after a sweep, whoever comes first then.
func TestSweepFindsTheLostInviteOfAChange(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, c := startAt(t, mode)
			id := s.Must(201, "POST", "/Users", inactiveUser("sue@example.com")).ID()
			faults(t, s, lostInvite("after", 0)...)
			s.Must(503, "PATCH", "/Users/"+id, setActive(true))
			faults(t, s)
			c.advance(2 * time.Minute)
			sweep(t, s)
			equal(t, "active", s.Must(200, "GET", "/Users/"+id, "").JSON("active"), any(true))
			s.Must(200, "PATCH", "/Users/"+id, setActive(false))
			equal(t, "access", fmt.Sprint(access(s, "sue@example.com")), "[]")
			equal(t, "mails", mails(s, "sue@example.com"), 1)
		})
	}
}

// A relinked person stays with the new account while the old one still names
// the invite that it came from.
func TestRelinkOutlastsAScan(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		id := s.Must(201, "POST", "/Users", bridgetest.User("lia@example.com")).ID()
		if err := s.Sandbox.Accept("lia@example.com"); err != nil {
			t.Fatal(err)
		}
		s.Must(200, "GET", "/Users/"+id, "")
		a, err := s.Sandbox.AddAccount(sandbox.NewAccount{
			Email: "lia.new@example.com", Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: 5, State: "active"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Bridge.Service.RelinkPerson(t.Context(), "acme", id, a.ID, "cli"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := s.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
				t.Fatal(err)
			}
		}
		p, err := s.Bridge.Service.ShowPerson(t.Context(), "acme", id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "account", p.UserID, a.ID)
	})
}

// The names of somebody whom upstream no longer has are free for others.
func TestNamesOfAPersonWhoIsGoneAreFree(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate)
	s.Must(201, "POST", "/Users", bridgetest.User("gil@example.com"))
	id := s.Must(201, "POST", "/Users", bridgetest.User("gus@example.com")).ID()
	if err := s.Sandbox.Accept("gus@example.com"); err != nil {
		t.Fatal(err)
	}
	s.Must(409, "PUT", "/Users/"+id, bridgetest.User("gil@example.com"))
	if _, err := s.Sandbox.Edit(sandbox.Edit{Email: "gil@example.com", Delete: true}); err != nil {
		t.Fatal(err)
	}
	c.advance(2 * time.Minute)
	s.Must(200, "PUT", "/Users/"+id, bridgetest.User("gil@example.com"))
	equal(t, "id by the name", s.Must(200, "GET", byUserName("gil@example.com"), "").JSON("Resources.0.id"), any(id))
}

// What was sent upstream is finished and written down although the client
// hangs up.
func TestChangeOutlivesTheClient(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{})
	id := s.Must(201, "POST", "/Users", bridgetest.User("hal@example.com")).ID()
	faults(t, s, sandbox.Rule{Operation: "deactivate_user", Times: 1, Gate: "slow", When: "after"})
	ctx, hangUp := context.WithCancel(t.Context())
	req := httptest.NewRequestWithContext(ctx, "PATCH", s.Base+"/Users/"+id, strings.NewReader(setActive(false)))
	req.Header.Set("Authorization", "Bearer "+s.Token)
	req.Header.Set("Content-Type", "application/scim+json")
	answer := httptest.NewRecorder()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Handler.ServeHTTP(answer, req)
	}()
	if err := s.Sandbox.AwaitGate(t.Context(), "slow", 1); err != nil {
		t.Fatal(err)
	}
	hangUp()
	if err := s.Sandbox.OpenGate("slow"); err != nil {
		t.Fatal(err)
	}
	<-done
	equal(t, "status", answer.Code, 200)
	events, err := s.Store.Events(t.Context(), store.EventQuery{ResourceID: id, Newest: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the last event", events[0].Action+" "+events[0].Outcome, "user.patch ok")
}

// Between the steps of a rename upstream has nobody; that is no 404.
func TestReadDuringARename(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate)
	id := s.Must(201, "POST", "/Users", bridgetest.User("eli@example.com")).ID()
	c.advance(2 * time.Minute)
	faults(t, s, sandbox.Rule{Operation: "invite_users", Times: 1, Gate: "slow", When: "before"})
	done := make(chan bridgetest.Response)
	go func() { done <- s.Do("PUT", "/Users/"+id, bridgetest.User("elias@example.com")) }()
	if err := s.Sandbox.AwaitGate(t.Context(), "slow", 1); err != nil {
		t.Error(err)
	}
	read, made := s.Do("GET", "/Users/"+id, ""), s.Do("POST", "/Users", bridgetest.User("eli@example.com"))
	if err := s.Sandbox.OpenGate("slow"); err != nil {
		t.Error(err)
	}
	equal(t, "status of the PUT", (<-done).Status, 200)
	equal(t, "status of the GET", read.Status, 503)
	equal(t, "status of the POST", made.Status, 503)
	equal(t, "userName", s.Must(200, "GET", "/Users/"+id, "").JSON("userName"), any("elias@example.com"))
}

// The invite of an attempt whose answer was lost is recognised although
// upstream does not show it yet.
func TestLostCreateIsRecognisedBeforeItShows(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		rules := lostInvite("after", 0)
		faults(t, s, rules...)
		s.Must(503, "POST", "/Users", bridgetest.User("lou@example.com"))
		faults(t, s, sandbox.Rule{Operation: "get_invite", StaleMS: 60_000})
		s.Must(201, "POST", "/Users", bridgetest.User("lou@example.com"))
		equal(t, "mails", mails(s, "lou@example.com"), 1)
	})
}

// half starts to delete a person and fails at the second organization.
func half(t *testing.T, s *bridgetest.Stack) (id string) {
	t.Helper()
	id = s.Must(201, "POST", "/Users", bridgetest.User("half@example.com")).ID()
	if err := s.Sandbox.Accept("half@example.com"); err != nil {
		t.Fatal(err)
	}
	s.Must(200, "GET", "/Users/"+id, "")
	if err := s.Sandbox.SetFaults([]sandbox.Rule{{Operation: "remove_user", After: 1, Status: 503}}); err != nil {
		t.Fatal(err)
	}
	s.Must(503, "DELETE", "/Users/"+id, "")
	equal(t, "access after half a removal", len(access(s, "half@example.com")), 0)
	if err := s.Sandbox.SetFaults(nil); err != nil {
		t.Fatal(err)
	}
	return id
}

func TestDeleteThatStoppedHalfWayStaysSo(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		s.Must(200, "PATCH", "/Users/"+half(t, s), bridgetest.PatchOp(`{"op":"replace","path":"title","value":"Dr"}`))
		equal(t, "access after a request that does not mention it", len(access(s, "half@example.com")), 0)
	})
}

func TestDeleteThatStoppedHalfWayIsTakenBack(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		s.Must(200, "PUT", "/Users/"+half(t, s), bridgetest.User("half@example.com"))
		equal(t, "access", fmt.Sprint(access(s, "half@example.com")), "[113 114]")
	})
}

// TestDeleteWhoseLastAnswerWasLostIsTakenBack removes the person everywhere
// without the client hearing of it, and the client changes its mind.
func TestDeleteWhoseLastAnswerWasLostIsTakenBack(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		id := s.Must(201, "POST", "/Users", bridgetest.User("lost@example.com")).ID()
		if err := s.Sandbox.Accept("lost@example.com"); err != nil {
			t.Fatal(err)
		}
		s.Must(200, "GET", "/Users/"+id, "")
		if err := s.Sandbox.SetFaults([]sandbox.Rule{
			{Operation: "remove_user", After: 1, Times: 1, Cut: "after"},
			{Operation: "remove_user", After: 1, Status: 503},
			{Operation: "get_user", Status: 503},
		}); err != nil {
			t.Fatal(err)
		}
		s.Must(503, "DELETE", "/Users/"+id, "")
		if err := s.Sandbox.SetFaults(nil); err != nil {
			t.Fatal(err)
		}
		r := s.Must(200, "PUT", "/Users/"+id, bridgetest.User("lost@example.com"))
		equal(t, "id", r.ID(), id)
		equal(t, "access", fmt.Sprint(access(s, "lost@example.com")), "[113 114]")
		equal(t, "mails", mails(s, "lost@example.com"), 2)
		s.Must(204, "DELETE", "/Users/"+id, "")
		equal(t, "access after it is deleted for good", len(access(s, "lost@example.com")), 0)
	})
}
