package provision_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// Cancelling a job of kind roles drops what it was to give, and never what it
// was to take away.
func TestCancelledRoles(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Idle: true, Tenant: ruled})
	admin := person(s, "admin@example.com")
	admins := s.Must(201, "POST", "/Groups", group("Administrators", admin)).ID()
	var many []string
	for i := range 25 { // more than a request gives roles to itself
		many = append(many, person(s, fmt.Sprintf("p%d@example.com", i)))
	}
	newest := func() *store.Job {
		t.Helper()
		jobs, err := s.Store.Jobs(t.Context(), "acme", 1)
		if err != nil {
			t.Fatal(err)
		}
		return jobs[0]
	}

	s.Must(201, "POST", "/Groups", group("Managers", many...))
	j := newest()
	equal(t, "job", fmt.Sprint(j.Kind, " ", j.State), "roles queued")
	faults(t, s, sandbox.Rule{Operation: "set_role", Status: 503})
	s.Must(503, "PATCH", "/Groups/"+admins, removeMember(admin))
	r, err := s.Bridge.Service.CancelJob(t.Context(), j.ID, "test")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "grants dropped and removals left", fmt.Sprint(r.Dropped, r.Removals, r.Stopping), "25 1 false")
	equal(t, "state", newest().State, store.JobCancelled)
	all, removals, err := s.Store.CountRoleWork(t.Context(), "acme")
	equal(t, "work that is left", fmt.Sprint(all, removals, err), "1 1 <nil>")
	events, err := s.Store.Events(t.Context(), store.EventQuery{Tenant: "acme", Newest: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "event", events[0].Action+" by "+events[0].Actor, "job.cancel by test")

	if _, err := s.Bridge.Service.CancelJob(t.Context(), j.ID, "test"); err == nil || !strings.Contains(err.Error(), "cancelled already") {
		t.Errorf("cancelling it again: %v", err)
	}
	if _, err := s.Bridge.Service.CancelJob(t.Context(), 1<<40, "test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("cancelling a job that does not exist: %v", err)
	}

	// The request that takes away is finished by its client's retry.
	faults(t, s)
	s.Must(200, "PATCH", "/Groups/"+admins, removeMember(admin))
	equal(t, "roles", held(s, "admin@example.com"), "113:5? 114:5?")
	equal(t, "roles that were dropped", held(s, "p3@example.com"), "113:5? 114:5?")
}

// Every version of a tenant has its own job: one that runs may have passed
// those whom the next version concerns.
func TestRecomputeIsAskedForOncePerVersion(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Idle: true})
	ask := func() int64 {
		t.Helper()
		j, err := s.Bridge.Service.RecomputeRoles(t.Context(), "acme")
		if err != nil {
			t.Fatal(err)
		}
		if wait := j.RunAt.Sub(j.CreatedAt); wait < 5*time.Second {
			t.Errorf("it begins after %s, before every server has noticed the change", wait)
		}
		return j.ID
	}
	first := ask()
	equal(t, "job of the same version", ask(), first)
	s.Apply(bridgetest.Tenant("acme", s.UpstreamURL, "reset_password: true"))
	if again := ask(); again == first {
		t.Error("the new version has no job of its own")
	}
}

// A rebuild has the roles put right where the groups survived. Where they are
// lost, nobody loses anything for that.
func TestRebuildHasTheRolesPutRight(t *testing.T) {
	for _, tt := range []struct {
		name   string
		lines  []string
		lost   bool // the store, with its groups
		groups bool
		want   string
	}{
		{name: "groups survived", lines: ruled, groups: true, want: "roles.recompute rebuild"},
		{name: "there are none", lines: ruled, want: "rebuild"},
		{name: "the store is lost", lines: ruled, groups: true, lost: true, want: "rebuild"},
		{name: "a group is required and survived", lines: append([]string{"require_group: true"}, ruled...), groups: true, want: "roles.recompute rebuild"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := bridgetest.Start(t, bridgetest.Config{Idle: true, Tenant: tt.lines})
			id := s.Must(201, "POST", "/Users", bridgetest.User("ana@example.com", `"externalId":"x1"`)).ID()
			if tt.groups {
				s.Must(201, "POST", "/Groups", group("Managers", id))
			}
			n := s
			if tt.lost {
				n = bridgetest.Start(t, bridgetest.Config{Idle: true, NoScan: true, Over: s, Tenant: tt.lines})
			}
			if _, err := n.Bridge.Service.Rebuild(t.Context(), "acme", nil); err != nil {
				t.Fatal(err)
			}
			jobs, err := n.Store.Jobs(t.Context(), "acme", 10)
			if err != nil {
				t.Fatal(err)
			}
			var kinds []string
			for _, j := range jobs {
				kinds = append(kinds, j.Kind)
			}
			equal(t, "jobs", strings.Join(kinds, " "), tt.want)
		})
	}
}
