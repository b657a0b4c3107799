package invariants

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// TestI4_AcceptanceDuringAChangeOfAGroup lets the person accept, and with that
// become another record upstream, at each upstream call of a change of its
// group.
func TestI4_AcceptanceDuringAChangeOfAGroup(t *testing.T) {
	t.Parallel()
	changes := append([]changeOfMembers{}, changesOfMembers...)
	changes = append(changes,
		changeOfMembers{"renamed", true, func(string) string { return renameGroup("Former {g}") }, viewer},
		changeOfMembers{"deleted", true, func(string) string { return "" }, viewer})
	for name, lines := range map[string][]string{"roles": {}, "access": {requireGroup}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothRuled(t, setup{}, lines, func(t *testing.T, r *rig) {
				met := 0
				for _, c := range changes {
					for call := range 4 {
						for _, when := range []string{"before", "after"} {
							email := address("%s.%d.%s", c.name, call, when)
							if r.acceptDuring(c, call, when, email, name == "access") {
								met++
							}
						}
					}
				}
				if met < 6 {
					t.Errorf("only %d changes were met half done", met)
				}
			})
		})
	}
}

// acceptDuring is one case. It is false when the change was done in fewer
// calls.
func (r *rig) acceptDuring(c changeOfMembers, call int, when, email string, required bool) bool {
	r.t.Helper()
	what := fmt.Sprintf("%s, accepted %s call %d", c.name, when, call+1)
	id := invited(r, email)
	var in []string
	if c.begin {
		in = append(in, id)
	}
	g := r.a.must(201, "POST", "/Groups", group(admins(email), in...)).ID()
	r.settled()
	method, body := "PATCH", strings.ReplaceAll(c.body(id), "{g}", email)
	if body == "" {
		method = "DELETE"
	}
	r.faults(sandbox.Rule{Operation: "*", After: call, Times: 1, Gate: "here", When: when})
	a, met := r.whenMet(
		func() answer { return r.a.do(method, "/Groups/"+g, body) },
		func() { _ = r.sandbox.Accept(email) }) // there may be nothing to accept
	r.faults()
	if a.passing() {
		a = r.b.insist(patience, method, "/Groups/"+g, body)
	}
	if !a.is(204, method) {
		r.t.Errorf("%s: %s, want 204", what, a)
	}
	judge := func(when string) {
		r.t.Helper()
		switch got := r.held(email); {
		case c.want == administrator:
		case required && r.access(email) != none:
			r.t.Errorf("%s: %s %s has access to %s%s", what, when, email, r.access(email), r.history(email))
		case !required && strings.Contains(got, fmt.Sprint(":", administrator)):
			r.t.Errorf("%s: %s %s holds %q%s", what, when, email, got, r.history(email))
		}
	}
	judge("at the answer")
	r.settled()
	// Whoever accepts without anybody's knowledge is found by the next look.
	if a := r.b.insist(patience, "PUT", "/Users/"+id, user(email)); a.ID() != id {
		r.t.Errorf("%s: PUT of the user: %s", what, a)
	}
	judge("in the end")
	if _, byInvite := r.heldOf(email); c.want == administrator && !byInvite {
		if got := r.held(email); got != everywhere(administrator) && got != r.offered(administrator) {
			r.t.Errorf("%s: in the end %s holds %q%s", what, email, got, r.history(email))
		}
	}
	if n := r.mails(email); n > 1 {
		r.t.Errorf("%s: %d mails (I2)%s", what, n, r.history(email))
	}
	if n := r.people(email); n > 1 {
		r.t.Errorf("%s: %d times upstream (I2)%s", what, n, r.history(email))
	}
	return met
}

// TestI4_WhoComesBackHasItsGroups: groups outlive a deactivation. What changed
// of them meanwhile is due when access comes back, before it and not after.
func TestI4_WhoComesBackHasItsGroups(t *testing.T) {
	t.Parallel()
	meanwhile := map[string]struct {
		change func(r *rig, g, id string)
		want   int
	}{
		"nothing changed": {func(*rig, string, string) {}, administrator},
		"taken out":       {func(r *rig, g, id string) { r.b.insistOn(204, "PATCH", "/Groups/"+g, removeMember(id)) }, viewer},
		"another name":    {func(r *rig, g, _ string) { r.b.insistOn(204, "PATCH", "/Groups/"+g, renameGroup("Former "+g)) }, viewer},
		"deleted":         {func(r *rig, g, _ string) { r.b.insistOn(204, "DELETE", "/Groups/"+g, "") }, viewer},
		"a lower role": {func(r *rig, g, id string) {
			r.b.insistOn(204, "PATCH", "/Groups/"+g, removeMember(id))
			managers, _ := r.b.insistOn(200, "GET", byName("Managers"), "").JSON("Resources.0.id").(string)
			r.b.insistOn(204, "PATCH", "/Groups/"+managers, addMembers(id))
		}, manager},
	}
	bothRuled(t, setup{Redis: true}, nil, func(t *testing.T, r *rig) {
		r.a.must(201, "POST", "/Groups", group("Managers"))
		for name, m := range meanwhile {
			for _, hasAccepted := range []bool{false, true} {
				email := address("%s.%t", strings.ReplaceAll(name, " ", "-"), hasAccepted)
				what := fmt.Sprintf("%s, accepted %t", name, hasAccepted)
				id := invited(r, email)
				if hasAccepted {
					r.accept(email)
				}
				g := r.a.must(201, "POST", "/Groups", group(admins(email), id)).ID()
				r.settled()
				r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(false))
				r.redis.Do("FLUSHALL")
				m.change(r, g, id)
				ledger := len(r.sandbox.Ledger())
				a := r.b.insistOn(200, "PATCH", "/Users/"+id, setActive(true))
				if !hasAccepted {
					r.holdsNow(what, email, r.offered(m.want))
					r.accept(email)
					r.a.insistOn(200, "PUT", "/Users/"+id, user(email))
				}
				r.holds(email, everywhere(m.want))
				if a.ID() != id {
					t.Errorf("%s: %s", what, a)
				}
				for _, e := range r.sandbox.Ledger()[ledger:] {
					if m.want != administrator && strings.EqualFold(e.Email, email) && e.After != nil && e.After.Accessible {
						for _, held := range e.After.Memberships {
							if held.RoleID == administrator && held.State == sandbox.StateActive {
								t.Errorf("%s: %s gave access with the old role", what, e.Operation)
							}
						}
					}
				}
				if shown, _ := r.a.must(200, "GET", "/Users/"+id, "").JSON("groups").([]any); name == "nothing changed" && len(shown) != 1 {
					t.Errorf("%s: the user shows the groups %v", what, shown)
				}
				if want := 1 + map[bool]int{true: 0, false: 1}[hasAccepted]; r.mails(email) != want {
					t.Errorf("%s: %d mails, want %d", what, r.mails(email), want)
				}
			}
		}
	})
}

// TestI4_UpstreamChangesBehindOurBack: a member's address is changed upstream,
// a member's role, or the member goes: requests about the group go on.
func TestI4_UpstreamChangesBehindOurBack(t *testing.T) {
	t.Parallel()
	bothRuled(t, setup{}, nil, func(t *testing.T, r *rig) {
		was, is, lost, raised := address("was"), address("is"), address("lost"), address("raised")
		var ids []string
		for _, email := range []string{was, lost, raised} {
			ids = append(ids, accepted(r, email))
		}
		g := r.a.must(201, "POST", "/Groups", group("Managers", ids...)).ID()
		for _, email := range []string{was, lost, raised} {
			r.holds(email, everywhere(manager))
		}
		for _, e := range []sandbox.Edit{
			{Email: was, NewEmail: is}, {Email: lost, Delete: true},
			{Email: raised, Role: &sandbox.EditRole{OrganizationID: 113, RoleID: administrator}},
		} {
			_, err := r.sandbox.Edit(e)
			check(t, err)
		}
		for i, id := range ids {
			r.processes[i%2].insistOn(204, "PATCH", "/Groups/"+g, removeMember(id))
		}
		r.settled()
		r.holdsNow("the address changed upstream", is, everywhere(viewer))
		if t.Failed() {
			t.Log(r.history(was), r.history(is))
		}
		r.holdsNow("gone upstream", lost, "")
		r.holdsNow("the role changed upstream", raised, everywhere(viewer))
		r.a.insistOn(204, "PATCH", "/Groups/"+g, addMembers(ids[0], ids[2]))
		r.holds(is, everywhere(manager))
		r.holds(raised, everywhere(manager))
		for _, email := range []string{was, is, lost} {
			if n := r.mails(email); n > 1 {
				t.Errorf("%s: %d mails", email, n)
			}
		}
		r.a.insistOn(204, "DELETE", "/Groups/"+g, "")
		r.holdsNow("the group is gone", is, everywhere(viewer))
	})
}
