package invariants

import (
	"fmt"
	"sync"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// ruling are the lines of a tenant that opts in to granting the top role.
const ruling = `ceiling: Owner
rules:
  - {match: {glob: "Owners *"}, role: Owner}
  - {match: Managers, role: Manager}`

// twoOwners makes two persons owners by a group of each and takes the owners
// of the seed away, so that nobody but the two is one.
func (r *rig) twoOwners(name string) (ids, groups [2]string) {
	r.t.Helper()
	for i := range ids {
		email := address("%s.%d", name, i)
		ids[i] = accepted(r, email)
		groups[i] = r.a.must(201, "POST", "/Groups", group("Owners "+email, ids[i])).ID()
		r.holds(email, everywhere(owner))
	}
	r.seedOwners(viewer)
	return ids, groups
}

// seedOwners gives the owners of the sandbox's seed another role.
func (r *rig) seedOwners(role int64) {
	r.t.Helper()
	for _, org := range []int64{113, 114} {
		_, err := r.sandbox.Edit(sandbox.Edit{
			Email: fmt.Sprintf("owner%d@sharearefund.example", org), Role: &sandbox.EditRole{OrganizationID: org, RoleID: role},
		})
		check(r.t, err)
	}
}

// owners counts who can act as an owner of an organization now.
func owners(st sandbox.State, org int64) int {
	n := 0
	for _, a := range st.Accounts {
		if m := a.Membership(org); m.RoleID == owner && m.State == sandbox.StateActive && a.Accessible {
			n++
		}
	}
	return n
}

// TestI12_TheLastOwnerStays takes both of two owners away at once, through
// both processes and by different kinds of request: one stays, and what was
// refused changed nothing.
func TestI12_TheLastOwnerStays(t *testing.T) {
	t.Parallel()
	type way struct {
		name, method string
		path, body   func(id, group string) string
	}
	ofGroup := func(_, group string) string { return "/Groups/" + group }
	ofUser := func(id, _ string) string { return "/Users/" + id }
	text := func(s string) func(string, string) string { return func(string, string) string { return s } }
	ways := []way{
		{"a removal", "PATCH", ofGroup, func(id, _ string) string { return removeMembers(id) }},
		{"a group emptied", "PUT", ofGroup, func(_, g string) string { return group("Owners " + g) }},
		{"another name", "PATCH", ofGroup, func(_, g string) string { return renameGroup("Former " + g) }},
		{"a group deleted", "DELETE", ofGroup, text("")},
		{"a deactivation", "PATCH", ofUser, text(setActive(false))},
		{"a deletion", "DELETE", ofUser, text("")},
	}
	for _, s := range []setup{{Postgres: true}, {}} {
		s.Chief, s.Tenant = true, []string{ruling}
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			s := s // the subtests run when the loop has ended
			r := start(t, s)
			n := 0
			for i, first := range ways {
				for _, second := range []way{first, ways[(i+1)%len(ways)]} {
					n++
					name, w := fmt.Sprintf("owner%d", n), [2]way{first, second}
					ids, groups := r.twoOwners(name)
					r.faults(sandbox.Rule{Operation: "*", DelayMS: 20})
					var answers [2]answer
					var wg sync.WaitGroup
					for i := range 2 {
						wg.Go(func() {
							answers[i] = r.processes[i].insist(patience, w[i].method, w[i].path(ids[i], groups[i]), w[i].body(ids[i], groups[i]))
						})
					}
					wg.Wait()
					r.faults()
					r.judgeOwners(first.name+" and "+second.name, name, ids, groups, answers)
					r.seedOwners(owner)
					for _, id := range ids {
						r.a.insist(patience, "DELETE", "/Users/"+id, "")
					}
				}
			}
		})
	}
}

// judgeOwners: there never was a moment without an owner, who was refused is
// an owner and a member still, and who was not is none.
func (r *rig) judgeOwners(what, name string, ids, groups [2]string, answers [2]answer) {
	r.t.Helper()
	st := r.sandbox.State()
	for _, org := range []int64{113, 114} {
		if n := owners(st, org); n < 1 {
			r.t.Errorf("%s: organization %d has %d owners (I12); answered %s and %s", what, org, n, answers[0], answers[1])
		}
	}
	for i, a := range answers {
		email := address("%s.%d", name, i)
		refused := a.Status == 403
		switch {
		case !refused && a.Status >= 300:
			r.t.Errorf("%s: %s: %s, want 403 or success", what, email, a)
		case refused:
			r.holds(email, everywhere(owner)) // what it lost before that is given back
			for _, p := range r.processes {
				if in := p.do("GET", "/Groups/"+groups[i], ""); in.Status != 200 || in.JSON("displayName") != any("Owners "+email) || len(p.members(groups[i])) != 1 {
					r.t.Errorf("%s: %s was refused (%s), and GET of the group at %s shows %s (I9)", what, email, a, p.name, in)
				}
				if u := p.insistOn(200, "GET", "/Users/"+ids[i], ""); u.JSON("active") != any(true) {
					r.t.Errorf("%s: %s was refused (%s), and GET at %s shows %s (I9)", what, email, a, p.name, u)
				}
			}
		case r.access(email) == full && r.held(email) == everywhere(owner):
			r.t.Errorf("%s: %s was answered %s and is an owner still (I3)%s", what, email, a, r.history(email))
		}
	}
	if answers[0].Status != 403 && answers[1].Status != 403 {
		r.t.Errorf("%s: both owners were taken away: %s and %s", what, answers[0], answers[1])
	}
}
