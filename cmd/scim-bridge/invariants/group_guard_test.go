package invariants

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

const guardOf3 = "guards: {deactivations: {limit: 3, percent: 0, window: 1h}, role_losses: {limit: 3, percent: 0, window: 1h}}"

// TestI12_NoMoreThanTheLimit sends more removals than a tenant allows through
// both processes at once, kills one and then both, and sends them again: no
// more than the limit ever takes effect, and what is held says so.
func TestI12_NoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	const n = 12
	type kind struct {
		name string
		send func(r *rig, p *process, groupID, id string) answer
		// lost reports whether the person has lost what the request takes.
		lost func(r *rig, email string) bool
	}
	noAccess := func(r *rig, email string) bool { return r.access(email) == none }
	kinds := []kind{
		{"deactivations", func(_ *rig, p *process, _, id string) answer { return p.do("PATCH", "/Users/"+id, setActive(false)) }, noAccess},
		{"deletions", func(_ *rig, p *process, _, id string) answer { return p.do("DELETE", "/Users/"+id, "") }, noAccess},
		{"removals", func(_ *rig, p *process, g, id string) answer { return p.do("PATCH", "/Groups/"+g, removeMember(id)) },
			func(r *rig, email string) bool { return !strings.Contains(r.held(email), fmt.Sprint(":", manager)) }},
	}
	for _, s := range []setup{{Redis: true}, {Postgres: true}} {
		for _, k := range kinds {
			s := s // the subtests run when the loop has ended
			t.Run(fmt.Sprintf("%s,%s", s, k.name), func(t *testing.T) {
				t.Parallel()
				s.Tenant = []string{mapped, guardOf3}
				r := start(t, s)
				ids := make([]string, n)
				for i := range ids {
					ids[i] = accepted(r, address("person%d", i))
				}
				g := r.a.must(201, "POST", "/Groups", group("Managers", ids...)).ID()
				for i := range ids {
					r.holds(address("person%d", i), everywhere(manager))
				}
				lost := func() (count int) {
					for i := range ids {
						if k.lost(r, address("person%d", i)) {
							count++
						}
					}
					return count
				}
				for round := range 3 {
					r.faults(sandbox.Rule{Operation: "*", DelayMS: 10})
					acknowledged := r.volley(n, func(i int) answer { return k.send(r, r.processes[(i+round)%2], g, ids[i]) })
					r.faults()
					if got := lost(); got > 3 {
						t.Errorf("round %d: %d have lost it, and the limit is 3 (I12)", round, got)
					} else if got < acknowledged {
						t.Errorf("round %d: %d were acknowledged, and %d have lost it (I3)", round, acknowledged, got)
					}
					if round == 0 {
						r.a.restart()
					} else if round == 1 {
						r.b.kill()
						r.a.restart()
						r.b.restart()
					}
				}
				if got := lost(); got != 3 {
					t.Errorf("%d have lost it in the end, and the limit is 3", got)
				}
				guard := "deactivations"
				if k.name == "removals" {
					guard = "role_losses"
				}
				check(t, r.store.Update(t.Context(), func(tx store.Tx) error {
					return tx.OpenGuard("acme", guard, time.Now().Add(time.Hour))
				}))
				for i := range ids {
					a := r.processes[i%2].insist(patience, "GET", "/Users/"+ids[i], "")
					if k.name == "deletions" && a.Status == 404 {
						continue
					}
					if a := k.send(r, r.processes[i%2], g, ids[i]); a.Status >= 300 {
						t.Errorf("after the release: %s", a)
					}
				}
				if got := lost(); got != n {
					t.Errorf("after the release %d have lost it, want %d", got, n)
				}
			})
		}
	}
}

// volley sends n requests at once and counts those that were acknowledged.
// What is held is 429 and says for how long; a process that was killed may
// have left leases, so that 503 is an answer too.
func (r *rig) volley(n int, send func(i int) answer) int {
	r.t.Helper()
	var mu sync.Mutex
	acknowledged := 0
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a := send(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case a.Status == 200, a.Status == 204, a.Status == 404:
				acknowledged++
			case a.Status == 429:
				if s, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || s < 1 || s > 3600 || !strings.Contains(string(a.Body), "tenant guard release") {
					r.t.Errorf("held with Retry-After %q: %s", a.Header.Get("Retry-After"), a)
				}
			case a.Status != 503:
				r.t.Errorf("answered %s, want success, 429 or 503", a)
			}
		})
	}
	wg.Wait()
	return acknowledged
}

// TestI12_AWholeGroupIsHeldOrPasses: what takes a role from more people than
// the limit allows is held as a whole, in every shape and at every process,
// and changes nothing.
func TestI12_AWholeGroupIsHeldOrPasses(t *testing.T) {
	t.Parallel()
	both(t, setup{Tenant: []string{mapped, guardOf3}}, func(t *testing.T, r *rig) {
		var ids []string
		for i := range 5 {
			ids = append(ids, r.a.must(201, "POST", "/Users", user(address("person%d", i))).ID())
		}
		g := r.a.must(201, "POST", "/Groups", group("Managers", ids...)).ID()
		r.settled()
		before := r.a.members(g)
		ledger := len(r.sandbox.Ledger())
		for _, l := range leavings {
			if !l.empties {
				continue
			}
			for _, p := range r.processes {
				body := strings.NewReplacer("%g", "Managers").Replace(l.body)
				if a := p.do(l.method, "/Groups/"+g, body); a.Status != 429 {
					t.Errorf("%s at %s: %s, want 429", l.name, p.name, a)
				}
			}
		}
		for _, e := range r.sandbox.Ledger()[ledger:] {
			t.Errorf("what was held did %s to %s", e.Operation, e.Email)
		}
		for _, p := range r.processes {
			if got := p.members(g); fmt.Sprint(got) != fmt.Sprint(before) {
				t.Errorf("what was held left the members %v at %s, want %v", got, p.name, before)
			}
		}
		r.a.must(204, "PATCH", "/Groups/"+g, removeMembers(ids[:3]...))
		if a := r.b.do("PATCH", "/Groups/"+g, removeMember(ids[3])); a.Status != 429 {
			t.Errorf("the fourth removal: %s, want 429", a)
		}
	})
}

// TestI12_ProtectedAccountsAreUntouched sends every kind of request that would
// take something from a protected account or give it something.
func TestI12_ProtectedAccountsAreUntouched(t *testing.T) {
	t.Parallel()
	boss := address("boss")
	lines := []string{mapped, "guards: {protected: {emails: [" + boss + "], role: Administrator}, deactivations: off, role_losses: off}"}
	both(t, setup{Tenant: []string{mapped}}, func(t *testing.T, r *rig) {
		id := accepted(r, boss)
		high := accepted(r, address("high"))
		other := accepted(r, address("other"))
		g := r.a.must(201, "POST", "/Groups", group("Managers", id, other)).ID()
		mightier := r.a.must(201, "POST", "/Groups", group("Admins EU", high)).ID()
		plain := r.a.must(201, "POST", "/Groups", group("Staff", id, high, other)).ID()
		r.holds(boss, everywhere(manager))
		r.holds(address("high"), everywhere(administrator))
		r.settled()
		r.apply("acme", lines...)
		r.a.restart()
		r.b.restart()
		ledger := len(r.sandbox.Ledger())
		requests := [][3]string{
			{"DELETE", "/Users/" + id, ""},
			{"DELETE", "/Users/" + high, ""},
			{"PATCH", "/Users/" + id, setActive(false)},
			{"PATCH", "/Users/" + high, setActive(false)},
			{"PUT", "/Users/" + id, strings.Replace(user(boss), `"active":true`, `"active":false`, 1)},
			{"PUT", "/Users/" + id, user(address("somebody.else"))},
			{"PATCH", "/Users/" + id, patch(`{"op":"replace","path":"name.givenName","value":"Nobody"}`)},
			{"PATCH", "/Groups/" + g, removeMember(id)},
			{"PATCH", "/Groups/" + g, removeMembers(id, other)},
			{"PATCH", "/Groups/" + g, patch(`{"op":"remove","path":"members"}`)},
			{"PATCH", "/Groups/" + g, renameGroup("Former")},
			{"PUT", "/Groups/" + g, group("Managers", other)},
			{"DELETE", "/Groups/" + g, ""},
			{"DELETE", "/Groups/" + mightier, ""},
			{"PATCH", "/Groups/" + mightier, renameGroup("Former")},
			{"PATCH", "/Groups/" + plain, renameGroup("Admins US")},
			{"POST", "/Groups", group("Admins CA", id)},
		}
		for i, q := range requests {
			if a := r.processes[i%2].do(q[0], q[1], q[2]); a.Status != 403 {
				t.Errorf("%s %s %.90s: %s, want 403", q[0], q[1], q[2], a)
			}
			for _, e := range r.sandbox.Ledger()[ledger:] {
				t.Errorf("%s %s %.90s: upstream did %s to %s", q[0], q[1], q[2], e.Operation, e.Email)
			}
			ledger = len(r.sandbox.Ledger())
		}
		r.settled()
		r.holdsNow("in the end", boss, everywhere(manager))
		r.holdsNow("in the end", address("high"), everywhere(administrator))
		r.holdsNow("in the end", address("other"), everywhere(manager))
		if got := len(r.b.members(g)); got != 2 {
			t.Errorf("the group has %d members, want 2", got)
		}
	})
}
