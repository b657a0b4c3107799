package invariants

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// fullSize makes the tests of large groups as large as they are meant; the gate
// tries the same with less.
var fullSize = flag.Bool("full", false, "try large groups at their full size (some minutes)")

// TestI13_ConcurrentChangesOfAGroupLoseNobody: 50 one-member PATCHes at once
// through both processes, half of them removals.
func TestI13_ConcurrentChangesOfAGroupLoseNobody(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{}, {Postgres: true, Redis: true}} {
		bothRuled(t, s, nil, func(t *testing.T, r *rig) {
			const n = 50
			ids := r.populate(n)
			want := map[string]int{}
			var begin, end []string
			for i := range ids {
				if i%2 == 0 {
					begin = append(begin, ids[i])
				} else {
					end = append(end, ids[i])
				}
				want[numbered(i)] = []int{viewer, manager}[i%2]
			}
			g := r.a.must(201, "POST", "/Groups", group("Managers", begin...)).ID()
			var wg sync.WaitGroup
			for i, id := range ids {
				body := addMembers(id)
				switch i % 4 {
				case 0:
					body = removeMember(id)
				case 2:
					body = removeMembers(id)
				}
				wg.Go(func() { r.processes[(i/2)%2].insistOn(204, "PATCH", "/Groups/"+g, body) })
			}
			wg.Wait()
			slices.Sort(end)
			for _, p := range r.processes {
				if diff := cmp.Diff(end, p.members(g)); diff != "" {
					t.Errorf("the members at %s (-want +got):\n%s", p.name, diff)
				}
			}
			r.settled()
			for email, role := range want {
				r.holdsNow("in the end", email, r.offered(role))
			}
		})
	}
}

// numbered is the address of one of the people that populate makes.
func numbered(i int) string { return address("person%d", i) }

// populate makes n people, many at a time.
func (r *rig) populate(n int) []string {
	r.t.Helper()
	ids := make([]string, n)
	lanes := make(chan struct{}, 100)
	var wg sync.WaitGroup
	for i := range n {
		lanes <- struct{}{}
		wg.Go(func() {
			defer func() { <-lanes }()
			ids[i], _ = r.processes[i%2].create(user(numbered(i)))
		})
	}
	wg.Wait()
	return ids
}

// TestI3_ALargeGroupIsEmptiedWhileAProcessDies removes every member of a mapped
// group, which takes several times as long as a request may, and kills the
// process half-way. The client sends its request again to the other one: it is
// not acknowledged before the last role is gone.
func TestI3_ALargeGroupIsEmptiedWhileAProcessDies(t *testing.T) {
	t.Parallel()
	n, rate := times(200), 8
	if *fullSize {
		n, rate = 2000, 20
	}
	lines := []string{"default_organizations: [114]", "rules: [{match: Managers, role: Manager}]"}
	s := setup{Postgres: true, Tenant: lines}
	t.Run(s.String(), func(t *testing.T) {
		t.Parallel()
		r := start(t, s)
		ids := r.populate(n)
		g := r.a.must(201, "POST", "/Groups", group("Managers", ids...)).ID()
		r.settled()
		if got := r.holding(manager); got != n {
			t.Fatalf("%d hold the role at first, want %d", got, n)
		}
		r.apply("acme", append([]string{fmt.Sprintf("  rate: %d", rate), "  burst: 1"}, lines...)...)
		r.a.restart()
		r.b.restart()
		begun := time.Now()
		body := patch(`{"op":"replace","path":"members","value":[]}`)
		first := make(chan answer, 1)
		r.a.mayDie = true
		go func() {
			for {
				a := r.a.do("PATCH", "/Groups/"+g, body)
				if a.err != nil || !a.passing() {
					first <- a
					return
				}
				time.Sleep(time.Second) // the client waits for Retry-After, at most
			}
		}()
		eventually(t, 10*time.Minute, "half of the roles are gone", func() error {
			if left := r.holding(manager); left > n/2 {
				return fmt.Errorf("%d hold it", left)
			}
			return nil
		})
		r.a.kill()
		if a := <-first; a.err == nil {
			t.Errorf("answered %s before the kill, when %d held the role", a, n/2)
		}
		attempts := 1
		for end := time.Now().Add(20 * time.Minute); ; attempts++ {
			a := r.b.do("PATCH", "/Groups/"+g, body)
			left := r.holding(manager)
			if !a.passing() {
				if !a.is(204, "PATCH") || left > 0 {
					t.Errorf("answered %s while %d hold the role (I3)", a, left)
				}
				break
			}
			if time.Now().After(end) {
				t.Fatalf("still %s, %d hold the role", a, left)
			}
			time.Sleep(time.Second) // the client waits for Retry-After, at most
		}
		if got := len(r.b.members(g)); got != 0 {
			t.Errorf("%d members are left", got)
		}
		t.Logf("%d roles at %d calls a second: %s, %d more requests after the kill", n, rate, time.Since(begun).Round(time.Second), attempts)
	})
}

// holding counts the accounts that hold a role.
func (r *rig) holding(role int) int {
	n := 0
	for _, a := range r.sandbox.State().Accounts {
		if slices.ContainsFunc(a.Memberships, func(m sandbox.Membership) bool { return m.RoleID == int64(role) }) {
			n++
		}
	}
	return n
}
