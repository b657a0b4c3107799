package invariants

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// TestI10_RedisMayGoDuringASynchronisation synchronises people and groups once
// in peace and once while Redis is flushed and killed: upstream ends up the
// same.
func TestI10_RedisMayGoDuringASynchronisation(t *testing.T) {
	t.Parallel()
	people, groups := times(200), 10
	if *fullSize {
		people, groups = 1000, 50
	}
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s := setup{Invites: mode, Postgres: true, Redis: true, Tenant: []string{mapped}}
			var outcomes [2][]string
			t.Run("runs", func(t *testing.T) {
				for i, name := range []string{"in peace", "in trouble"} {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						r := start(t, s)
						outcomes[i] = r.synchronise(people, groups, i == 1)
					})
				}
			})
			if diff := cmp.Diff(outcomes[0], outcomes[1]); diff != "" {
				t.Errorf("without Redis upstream ends up otherwise (-in peace +in trouble):\n%s", diff)
			}
			if n := len(outcomes[0]); n < people {
				t.Errorf("%d lines of outcome, want at least %d", n, people)
			}
		})
	}
}

// synchronise is a client's first cycle and a second one with changes. It
// returns who holds what upstream in the end and how often each was mailed.
func (r *rig) synchronise(people, groups int, trouble bool) []string {
	r.t.Helper()
	bother := func(what string) {
		if !trouble {
			return
		}
		if what == "kill" {
			r.redis.Kill()
			return
		}
		r.redis.Do("FLUSHALL")
	}
	ids := make([]string, people)
	r.lanes(people, func(i int) {
		if i == people/2 {
			bother("flush")
		}
		ids[i], _ = r.processes[i%2].create(user(numbered(i), fmt.Sprintf(`"externalId":"x%d"`, i)))
	})
	for i := 0; i < people; i += 3 {
		r.accept(numbered(i))
	}
	gids := make([]string, groups)
	r.lanes(groups, func(i int) {
		if i == groups/2 {
			bother("kill")
		}
		var in []string
		for at := i; at < people; at += groups / 2 {
			in = append(in, ids[at])
		}
		name := []string{"Admins %d", "Team %d", "Everybody %d"}[i%3]
		gids[i] = r.processes[i%2].insistOn(201, "POST", "/Groups", group(fmt.Sprintf(name, i))).ID()
		for part := range slices.Chunk(in, 25) {
			r.processes[(i+1)%2].insistOn(204, "PATCH", "/Groups/"+gids[i], addMembers(part...))
		}
	})
	if trouble {
		r.redis.Restart()
	}
	r.lanes(people, func(i int) { // the second cycle finds everybody and changes some
		p := r.processes[(i+1)%2]
		if i == people/3 {
			bother("flush")
		}
		if id := p.find(numbered(i)); id != ids[i] {
			r.t.Errorf("%s is found with the id %q, want %q (I6)", numbered(i), id, ids[i])
		}
		switch {
		case i%7 == 0:
			p.insistOn(200, "PATCH", "/Users/"+ids[i], setActive(false))
		case i%5 == 0:
			in := i % (groups / 2) // one of the groups that the person is in
			p.insistOn(204, "PATCH", "/Groups/"+gids[in], removeMember(ids[i]))
		default:
			p.insistOn(200, "PUT", "/Users/"+ids[i], user(numbered(i), fmt.Sprintf(`"externalId":"x%d"`, i)))
		}
	})
	r.settled()
	var outcome []string
	for i := range people {
		roles, byInvite := r.heldOf(numbered(i)) // those of suspended memberships wait until access comes back
		outcome = append(outcome, fmt.Sprintf("%s: %v, by invite %t, %d mails", numbered(i), roles, byInvite, r.mails(numbered(i))))
	}
	for i, g := range gids {
		outcome = append(outcome, fmt.Sprintf("group %d: %d members", i, len(r.b.members(g))))
	}
	return outcome
}

// lanes runs f for each of n, some at a time, beginning in order.
func (r *rig) lanes(n int, f func(i int)) {
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			f(i)
		})
	}
	wg.Wait()
}
