package invariants

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// admins is the name of a mapped group that a case has for itself.
func admins(email string) string { return "Admins " + email }

// changeOfMembers is a request about one member of a group.
type changeOfMembers struct {
	name string
	// begin are those who are members before.
	begin bool
	body  func(id string) string
	want  int
}

var changesOfMembers = []changeOfMembers{
	{"removed", true, func(id string) string { return removeMembers(id) }, viewer},
	{"added", false, func(id string) string { return addMembers(id) }, administrator},
}

// TestI4_AGroupChangesWhileAMemberComesBack changes a group at each upstream
// call of a reactivation: afterwards the person has what the groups give,
// whichever of the two was faster.
func TestI4_AGroupChangesWhileAMemberComesBack(t *testing.T) {
	t.Parallel()
	bothRuled(t, setup{Postgres: true}, nil, func(t *testing.T, r *rig) {
		met := 0
		for _, c := range changesOfMembers {
			for call := range 4 {
				for _, when := range []string{"before", "after"} {
					what := fmt.Sprintf("%s %s call %d", c.name, when, call+1)
					email := address("%s.%d.%s", c.name, call, when)
					id := accepted(r, email)
					in := []string{}
					if c.begin {
						in = append(in, id)
					}
					g := r.a.must(201, "POST", "/Groups", group(admins(email), in...)).ID()
					r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(false))
					r.faults(sandbox.Rule{Operation: "*", After: call, Times: 1, Gate: "here", When: when})
					var change answer
					back, halfway := r.whenMet(
						func() answer { return r.a.do("PATCH", "/Users/"+id, setActive(true)) },
						func() { change = r.b.do("PATCH", "/Groups/"+g, c.body(id)) })
					r.faults()
					if !halfway {
						continue
					}
					met++
					if back.passing() {
						r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(true))
					}
					if change.passing() {
						change = r.b.insistOn(204, "PATCH", "/Groups/"+g, c.body(id))
					}
					r.settled()
					r.holdsNow(fmt.Sprintf("%s (%s)", what, change), email, everywhere(c.want))
				}
			}
		}
		if met < 4 {
			t.Errorf("only %d reactivations were met half done", met)
		}
	})
}

// TestI4_AMemberChangesWhileTheGroupDoes: adding and removing one person race
// over both processes; whoever is a member in the end has the role.
func TestI4_AMemberChangesWhileTheGroupDoes(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{}, {Postgres: true, Redis: true}} {
		bothRuled(t, s, nil, func(t *testing.T, r *rig) {
			g := r.a.must(201, "POST", "/Groups", group("Managers")).ID()
			other := r.a.must(201, "POST", "/Groups", group(admins("x"))).ID()
			for round := range times(4) {
				email := address("member%d", round)
				id := accepted(r, email)
				r.faults(sandbox.Rule{Operation: "*", DelayMS: 3})
				var wg sync.WaitGroup
				for i := range 8 {
					in, body := g, addMembers(id)
					if i%2 == 1 {
						body = removeMember(id)
					}
					if i >= 6 {
						in = other
					}
					wg.Go(func() { r.processes[(i/2)%2].insistOn(204, "PATCH", "/Groups/"+in, body) })
				}
				wg.Wait()
				r.faults()
				r.settled()
				want := viewer
				switch {
				case slices.Contains(r.a.members(other), id):
					want = administrator
				case slices.Contains(r.b.members(g), id):
					want = manager
				}
				r.holdsNow("after racing changes of groups", email, everywhere(want))
			}
		})
	}
}
