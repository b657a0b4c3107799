package provision_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/provision"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// await waits for a call to stop at a gate.
func await(t *testing.T, s *bridgetest.Stack, gate string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.Sandbox.AwaitGate(ctx, gate, 1); err != nil {
		t.Fatal(err)
	}
}

// settleRoles waits until all role work is done.
func settleRoles(t *testing.T, s *bridgetest.Stack) {
	t.Helper()
	if _, err := s.Store.EnqueueJob(t.Context(), store.Job{Tenant: "acme", Kind: "roles"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "role work", func() string {
		all, _, err := s.Store.CountRoleWork(t.Context(), "acme")
		return fmt.Sprint(all, err)
	}, "0 <nil>")
}

// reconcile is what a reconciliation finds, one line for each difference.
func reconcile(t *testing.T, s *bridgetest.Stack, fix bool) (provision.ReconcileReport, []string) {
	t.Helper()
	report, err := s.Bridge.Service.Reconcile(t.Context(), "acme", fix, nil)
	if err != nil {
		t.Fatal(err)
	}
	return report, shown(report)
}

func shown(report provision.ReconcileReport) []string {
	lines := []string{}
	for _, d := range report.List {
		line := d.UserName + " " + d.Field
		if d.OrganizationID != 0 {
			line += fmt.Sprint(" ", d.OrganizationID)
		}
		line += fmt.Sprintf(": %s, %s, %s: %s", d.Said, d.Written, d.Seen, d.Reason)
		if d.Restored {
			line += " (restored)"
		}
		if d.Failure != "" {
			line += " (failed: " + d.Failure + ")"
		}
		lines = append(lines, line)
	}
	return lines
}

func edit(t *testing.T, s *bridgetest.Stack, e sandbox.Edit) {
	t.Helper()
	if _, err := s.Sandbox.Edit(e); err != nil {
		t.Fatal(err)
	}
}

func actions(t *testing.T, s *bridgetest.Stack, id string) []string {
	t.Helper()
	events, err := s.Store.Events(t.Context(), store.EventQuery{Tenant: "acme", ResourceID: id})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range events {
		all = append(all, e.Action)
	}
	return all
}

const changedUpstream = "changed at Share A Refund after we wrote it"

func TestReconcileRestoresWhatTheClientSaid(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, c := startAt(t, mode, ruled...)
			var ids []string
			for _, name := range []string{"name", "role", "access", "off", "lost", "waits", "fine"} {
				ids = append(ids, person(s, name+"@example.com"))
				if name != "waits" {
					accept(t, s, name+"@example.com")
				}
			}
			s.Must(201, "POST", "/Groups", group("Managers", ids[1], ids[4]))
			s.Must(200, "PATCH", "/Users/"+ids[3], setActive(false))
			c.advance(2 * time.Minute)
			reconcile(t, s, false) // sees who accepted, whose roles are then looked at
			settleRoles(t, s)
			c.advance(2 * time.Minute)
			if _, lines := reconcile(t, s, false); len(lines) > 0 {
				t.Fatalf("differences before anything was changed:\n%s", strings.Join(lines, "\n"))
			}

			other := "Changed"
			edit(t, s, sandbox.Edit{Email: "name@example.com", FirstName: &other, NewEmail: "name.changed@example.com"})
			edit(t, s, sandbox.Edit{Email: "role@example.com", Role: &sandbox.EditRole{OrganizationID: 113, RoleID: 5}})
			for _, org := range []int64{113, 114} {
				edit(t, s, sandbox.Edit{Email: "access@example.com", Membership: &sandbox.EditMembership{OrganizationID: org, State: "suspended"}})
			}
			edit(t, s, sandbox.Edit{Email: "off@example.com", Membership: &sandbox.EditMembership{OrganizationID: 114, State: "active"}})
			account := s.Sandbox.State().Account("lost@example.com").ID
			edit(t, s, sandbox.Edit{Email: "lost@example.com", Delete: true})
			c.advance(2 * time.Minute)

			want := []string{
				"name@example.com email: name@example.com, name@example.com, name.changed@example.com: " + changedUpstream,
				"name@example.com first_name: name, name, Changed: " + changedUpstream,
				"role@example.com role 113: Manager, Manager, Viewer: " + changedUpstream,
				"access@example.com access 113: access, access, no access: " + changedUpstream,
				"access@example.com access 114: access, access, no access: " + changedUpstream,
				"off@example.com access 114: no access, no access, access: " + changedUpstream,
				fmt.Sprintf("lost@example.com account: active, account %d, : gone upstream: the account was deleted at Share A Refund", account),
			}
			before := len(operations(s))
			report, lines := reconcile(t, s, false)
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Errorf("the differences (-want +got):\n%s", diff)
			}
			equal(t, "effects of looking", len(operations(s)), before)
			equal(t, "counts", fmt.Sprint(report.People, report.Differing, report.Found, report.Restored, report.Left), "7 5 7 0 7")

			for i := range want {
				want[i] += " (restored)"
			}
			report, lines = reconcile(t, s, true)
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Errorf("the restored differences (-want +got):\n%s", diff)
			}
			equal(t, "counts", fmt.Sprint(report.People, report.Differing, report.Found, report.Restored, report.Left), "7 5 7 7 0")
			equal(t, "first name", s.Sandbox.State().Account("name@example.com").FirstName, "name")
			equal(t, "role", held(s, "role@example.com"), "113:3 114:3")
			equal(t, "access", fmt.Sprint(access(s, "access@example.com"), access(s, "off@example.com"), access(s, "lost@example.com")), "[113 114] [] [113 114]")
			r := s.Must(200, "GET", "/Users/"+ids[4], "")
			equal(t, "active of the one who was gone", r.JSON("active"), any(true))
			last := actions(t, s, ids[0])
			equal(t, "last event", last[len(last)-1], "user.reconcile")

			c.advance(2 * time.Minute)
			if _, lines := reconcile(t, s, true); len(lines) > 0 {
				t.Errorf("differences after everything was restored:\n%s", strings.Join(lines, "\n"))
			}
			equal(t, "events of the second time", len(actions(t, s, ids[0])), len(last))
		})
	}
}

func TestReconcileSaysWhatItCannotRestore(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Deferred, append([]string{`guards:
  deactivations: {limit: 1, percent: 0, window: 1h}
  protected: {emails: [break-glass@example.com]}`}, ruled...)...)
	shared := s.Must(201, "POST", "/Users", `{"userName":"owner200@sharearefund.example","name":{"givenName":"Xe","familyName":"Carrier"}}`).ID()
	var off []string
	for i := range 3 {
		email := fmt.Sprintf("off%d@example.com", i)
		off = append(off, person(s, email))
		accept(t, s, email)
	}
	glass := person(s, "glass@example.com")
	accept(t, s, "glass@example.com")
	pending := person(s, "pending@example.com")
	s.Must(201, "POST", "/Groups", group("Retail", pending))
	s.Must(200, "PATCH", "/Users/"+off[0], setActive(false))
	c.advance(2 * time.Hour)
	s.Must(200, "PATCH", "/Users/"+off[1], setActive(false))
	c.advance(2 * time.Hour)
	s.Must(200, "PATCH", "/Users/"+off[2], setActive(false))
	c.advance(2 * time.Hour)
	for _, id := range []string{"off0@example.com", "off1@example.com", "off2@example.com"} {
		edit(t, s, sandbox.Edit{Email: id, Membership: &sandbox.EditMembership{OrganizationID: 113, State: "active"}})
	}
	edit(t, s, sandbox.Edit{Email: "glass@example.com", NewEmail: "break-glass@example.com"})

	report, lines := reconcile(t, s, true)
	var got []string
	held := 0
	for _, l := range lines {
		if strings.HasPrefix(l, "off") && strings.Contains(l, "failed: held, nothing was changed") {
			held++
			continue
		}
		got = append(got, l)
	}
	equal(t, "held by the guard", held, 2)
	equal(t, "restored", report.Restored, 1)
	all := strings.Join(got, "\n")
	for _, want := range []string{
		"owner200@sharearefund.example first_name: Xe, Owner, Owner: never applied: the account is shared with other organizations",
		`glass@example.com email: glass@example.com, glass@example.com, break-glass@example.com: the account of "break-glass@example.com" is protected: it is left as it is`,
		"pending@example.com role 114: Analyst, Viewer, Viewer: the person has not accepted the invite",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("missing: %s\n\t%s", want, strings.Join(got, "\n\t"))
		}
	}
	_, _ = shared, glass
}

// An interrupted reconciliation goes on where it stopped, in another process,
// and forgets nothing of what it found before.
func TestReconcileGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	database := filepath.Join(t.TempDir(), "bridge.db")
	c := new(clock)
	c.advance(-2 * time.Minute) // jobs are due by the database's clock
	byClock := func(o *bridge.Options) { o.Now = c.Now }
	s := bridgetest.Start(t, bridgetest.Config{Idle: true, Store: database, Sandbox: sandbox.Options{Now: c.Now}, Change: byClock})
	const people = 130 // more than are noted at a time
	for i := range people {
		email := fmt.Sprintf("p%03d@example.com", i)
		person(s, email)
		name := "Changed"
		edit(t, s, sandbox.Edit{Email: email, LastName: &name})
	}
	c.advance(2 * time.Minute)
	// The person after the first hundred stops at upstream until it is let go.
	faults(t, s, sandbox.Rule{Operation: "update_user", After: 110, Times: 1, Gate: "stop", When: "before"})
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.Bridge.Service.Reconcile(ctx, "acme", true, nil)
		ended <- err
	}()
	await(t, s, "stop")
	interrupt()
	if err := s.Sandbox.OpenGate("stop"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Fatal("the interrupted reconciliation succeeded")
	}
	jobs, err := s.Store.Jobs(t.Context(), "acme", 10)
	if err != nil {
		t.Fatal(err)
	}
	jobs = slices.DeleteFunc(jobs, func(j *store.Job) bool { return j.Kind != "reconcile" })
	var p provision.Progress
	if err := json.Unmarshal(jobs[0].Progress, &p); err != nil {
		t.Fatal(err)
	}
	equal(t, "state of the interrupted job", fmt.Sprint(jobs[0].Kind, " ", jobs[0].State, " ", p.Done), "reconcile queued 100")

	lists := s.Sandbox.Stats().Calls["list_users"]
	n := bridgetest.Start(t, bridgetest.Config{Idle: true, NoScan: true, Over: s, Store: database, Change: byClock})
	report, err := n.Bridge.Service.Reconcile(t.Context(), "acme", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "people", report.People, people)
	equal(t, "left", report.Left, 0)
	if report.Restored != report.Found || report.Found < people-8 {
		t.Errorf("%d of %d differences restored: at most the 8 whose change was under way may not show, of %d", report.Restored, report.Found, people)
	}
	equal(t, "reads of the whole directory", s.Sandbox.Stats().Calls["list_users"], lists)
	for i := range people {
		if name := s.Sandbox.State().Account(fmt.Sprintf("p%03d@example.com", i)).LastName; name != "Test" {
			t.Errorf("p%03d: last name %q", i, name)
		}
	}
}

// A client that says something new while a reconciliation runs has the last
// word.
func TestReconcileDoesNotOverwriteWhatIsSaidMeanwhile(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate)
	id := person(s, "ada@example.com")
	accept(t, s, "ada@example.com")
	name := "Changed"
	edit(t, s, sandbox.Edit{Email: "ada@example.com", LastName: &name})
	c.advance(2 * time.Minute)
	faults(t, s, sandbox.Rule{Operation: "update_user", Times: 1, Gate: "slow", When: "before"})
	ended := make(chan error, 1)
	go func() {
		_, err := s.Bridge.Service.Reconcile(t.Context(), "acme", true, nil)
		ended <- err
	}()
	await(t, s, "slow")
	said := make(chan bridgetest.Response, 1)
	go func() {
		said <- s.Do("PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"replace","path":"name.familyName","value":"Newest"}`))
	}()
	if err := s.Sandbox.OpenGate("slow"); err != nil {
		t.Fatal(err)
	}
	equal(t, "status of the request", (<-said).Status, 200)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	equal(t, "last name", s.Sandbox.State().Account("ada@example.com").LastName, "Newest")
}

func TestReconcileOfRoleWorkAndOfOrganizationsThatARuleGives(t *testing.T) {
	t.Parallel()
	s, c := startAt(t, sandbox.Immediate, append([]string{"default_organizations: [113]"}, ruled...)...)
	ana, ben := person(s, "ana@example.com"), person(s, "ben@example.com")
	accept(t, s, "ana@example.com")
	accept(t, s, "ben@example.com")
	c.advance(2 * time.Minute)
	reconcile(t, s, false)
	settleRoles(t, s)
	s.Must(201, "POST", "/Groups", group("Retail", ben))
	equal(t, "roles by the group", held(s, "ben@example.com"), "113:5 114:4")
	c.advance(2 * time.Minute)
	edit(t, s, sandbox.Edit{Email: "ben@example.com", Membership: &sandbox.EditMembership{OrganizationID: 114}})
	faults(t, s, sandbox.Rule{Operation: "set_role", Status: 400})
	s.Must(201, "POST", "/Groups", group("Managers", ana))

	_, lines := reconcile(t, s, false)
	want := []string{
		"ana@example.com role 113: Manager, Viewer, Viewer: role work is still queued",
		"ben@example.com access 114: access, access, no access: " + changedUpstream,
	}
	for i, l := range lines { // how often it was tried depends on the job
		lines[i], _, _ = strings.Cut(l, "; attempt")
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("the differences (-want +got):\n%s", diff)
	}
	report, lines := reconcile(t, s, true)
	if report.Restored != 0 || !strings.Contains(strings.Join(lines, "\n"), "(failed: Share A Refund refused") {
		t.Errorf("while upstream refuses: %+v", report)
	}
	faults(t, s)
	report, _ = reconcile(t, s, true)
	equal(t, "left", report.Left, 0)
	equal(t, "roles", held(s, "ana@example.com")+", "+held(s, "ben@example.com"), "113:3, 113:5 114:4")
	settleRoles(t, s)
}

// An organization that somebody took away is missed though another one holds
// the person still, whether or not there are rules.
func TestReconcileOfOneOrganization(t *testing.T) {
	for _, state := range []string{"", "suspended"} {
		t.Run("membership "+state, func(t *testing.T) {
			t.Parallel()
			s, c := startAt(t, sandbox.Immediate)
			person(s, "ana@example.com")
			accept(t, s, "ana@example.com")
			c.advance(2 * time.Minute)
			report, _ := reconcile(t, s, false)
			equal(t, "before", report.Found, 0)
			edit(t, s, sandbox.Edit{Email: "ana@example.com", Membership: &sandbox.EditMembership{OrganizationID: 114, State: state}})
			_, lines := reconcile(t, s, false)
			want := []string{"ana@example.com access 114: access, access, no access: " + changedUpstream}
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Errorf("the differences (-want +got):\n%s", diff)
			}
			report, _ = reconcile(t, s, true)
			equal(t, "restored", report.Restored, 1)
			equal(t, "access", fmt.Sprint(access(s, "ana@example.com")), "[113 114]")
		})
	}
}

func TestReconcileLeavesOutWhoWasJustWritten(t *testing.T) {
	t.Parallel()
	s, _ := startAt(t, sandbox.Immediate)
	person(s, "ana@example.com")
	report, _ := reconcile(t, s, false)
	equal(t, "recent", report.Recent, 1)
	equal(t, "compared", report.People, 0)
}
