package invariants

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// wantedGroup is what the client wants a group to be. The client knows it by
// its externalId.
type wantedGroup struct {
	key    string
	exists bool
	name   string
	// names are those that it has in turn, of which rules match some.
	names []string
	in    map[*wanted]bool
}

func wantedGroups() []*wantedGroup {
	var all []*wantedGroup
	for i, names := range [][]string{
		{"Managers", "Staff"}, {"Admins EU", "Team EU"}, {"Retail", "Shops"}, {"Admins US", "Team US", "Everybody"},
	} {
		all = append(all, &wantedGroup{key: fmt.Sprintf("group%d", i), names: names, name: names[0], in: map[*wanted]bool{}})
	}
	return all
}

// given is the role that a group gives by the rules of mapped, and where; 0:
// none.
func given(name string) (role int, organizations []int64) {
	switch {
	case name == "Managers":
		return manager, []int64{113, 114}
	case strings.HasPrefix(name, "Admins "):
		return administrator, []int64{113, 114}
	case name == "Retail":
		return analyst, []int64{114}
	}
	return 0, nil
}

// due is the model of the rules: the role of a person in each organization in
// which it is to have access. The smaller id is the greater role.
func due(w *wanted, groups []*wantedGroup, required bool) map[int64]int {
	roles := map[int64]int{}
	if !w.exists || !w.active {
		return roles
	}
	for _, g := range groups {
		if role, organizations := given(g.name); g.exists && g.in[w] {
			for _, org := range organizations {
				if roles[org] == 0 || role < roles[org] {
					roles[org] = role
				}
			}
		}
	}
	for _, org := range []int64{113, 114} {
		if roles[org] == 0 && !required {
			roles[org] = viewer
		}
	}
	return roles
}

// heldOf is what upstream gives, or offers, an address in each organization.
// An invite that no account came from has one role for all of them.
func (r *rig) heldOf(email string) (roles map[int64]int, byInvite bool) {
	roles = map[int64]int{}
	st := r.sandbox.State()
	if a := st.Account(email); a != nil {
		for _, m := range a.Memberships {
			if m.State != sandbox.StateSuspended {
				roles[m.OrganizationID] = int(m.RoleID)
			}
		}
		return roles, false
	}
	for _, i := range st.InvitesOf(email) {
		if i.State == sandbox.StatePending {
			for _, org := range i.OrganizationIDs {
				roles[org] = int(i.RoleID)
			}
		}
	}
	return roles, true
}

// judgeRoles says in what way upstream differs from the model; nil: in none.
func (r *rig) judgeRoles(w *wanted, groups []*wantedGroup, required bool) error {
	want := due(w, groups, required)
	got, byInvite := r.heldOf(w.email)
	if byInvite { // it carries the lowest of the roles due
		low := 0
		for _, role := range want {
			low = max(low, role)
		}
		for org := range want {
			want[org] = low
		}
	}
	if fmt.Sprint(got) == fmt.Sprint(want) {
		return nil
	}
	var in []string
	for _, g := range groups {
		if g.exists && g.in[w] {
			in = append(in, g.name)
		}
	}
	return fmt.Errorf("%s (exists %t, active %t, in %q) has the roles %v upstream, want %v (I4)%s", w.email, w.exists, w.active, in, got, want, r.history(w.email))
}

// findGroup asks once for the id of a group; "" when it is not found.
func (p *process) findGroup(g *wantedGroup) string {
	id, _ := p.do("GET", byKey(g.key), "").JSON("Resources.0.id").(string)
	return id
}

func byKey(key string) string {
	return "/Groups?excludedAttributes=members&filter=" + url.QueryEscape(fmt.Sprintf("externalId eq %q", key))
}

// body is a PUT or create of the group, with those of its members whose ids
// are known.
func (g *wantedGroup) body(ids map[*wanted]string) string {
	var in []string
	for w := range g.in {
		if id := ids[w]; id != "" && g.in[w] {
			in = append(in, id)
		}
	}
	slices.Sort(in)
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"externalId":%q,"displayName":%q,"members":%s}`, g.key, g.name, memberList(in))
}

// liveGroup sends one request about a group, once, whatever becomes of it.
// people may be added or removed by it; nobody else changes them meanwhile.
func (r *rig) liveGroup(p *process, g *wantedGroup, dice int, people []*wanted) {
	ids := map[*wanted]string{}
	var some []string
	for _, w := range people {
		if id, _ := p.do("GET", byUserName(w.email), "").JSON("Resources.0.id").(string); id != "" {
			ids[w] = id
			some = append(some, id)
		}
	}
	id := p.findGroup(g)
	in := func(is bool) {
		for w := range ids {
			g.in[w] = is
		}
	}
	switch {
	case !g.exists:
		g.exists = true
		clear(g.in)
		in(true)
		p.do("POST", "/Groups", g.body(ids))
		return
	case dice <= 3:
		in(true)
	case dice <= 6:
		in(false)
	case dice == 7:
		g.name = g.names[(slices.Index(g.names, g.name)+1)%len(g.names)]
	case dice == 8:
		g.exists = false
	default:
		clear(g.in)
		in(true)
	}
	if id == "" {
		return // the client comes back later
	}
	switch {
	case dice <= 3:
		p.do("PATCH", "/Groups/"+id, addMembers(some...))
	case dice <= 5:
		p.do("PATCH", "/Groups/"+id, removeMembers(some...))
	case dice == 6:
		for _, m := range some {
			p.do("PATCH", "/Groups/"+id, removeMember(m))
		}
	case dice == 7:
		p.do("PATCH", "/Groups/"+id, renameGroup(g.name))
	case dice == 8:
		p.do("DELETE", "/Groups/"+id, "")
	default:
		p.do("PUT", "/Groups/"+id, g.body(ids))
	}
}

// settleGroup makes the group what the client wants, as a client does that
// looks first.
func (r *rig) settleGroup(p *process, g *wantedGroup, ids map[*wanted]string) {
	a := p.insistOn(200, "GET", byKey(g.key), "")
	id, _ := a.JSON("Resources.0.id").(string)
	switch {
	case !g.exists && id == "":
	case !g.exists:
		if a := p.insist(patience, "DELETE", "/Groups/"+id, ""); a.Status != 204 && a.Status != 404 {
			r.t.Errorf("DELETE of %s: %s", g.key, a)
		}
	case id == "":
		p.insistOn(201, "POST", "/Groups", g.body(ids))
	default:
		p.insistOn(200, "PUT", "/Groups/"+id, g.body(ids))
	}
}

// TestI10_HistoriesOfGroupsConverge plays random histories of people and
// groups against random trouble, with acceptances, Redis flushed and a process
// killed now and then. Then the faults stop, the client sends its state once
// more, and the roles upstream have to be those of the model.
func TestI10_HistoriesOfGroupsConverge(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"roles": {}, "access": {requireGroup}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range []setup{{Redis: true}, {Postgres: true, Redis: true}} {
				bothRuled(t, s, lines, func(t *testing.T, r *rig) { r.playGroups(name == "access") })
			}
		})
	}
}

func (r *rig) playGroups(required bool) {
	seed := *historySeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	r.t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	people := make([]*wanted, 10)
	for i := range people {
		people[i] = &wanted{email: address("person%d", i), given: "First"}
	}
	groups := wantedGroups()
	for round := range times(10) {
		r.faults(troubles(rng)...)
		switch rng.IntN(6) {
		case 0:
			r.redis.Do("FLUSHALL")
		case 1:
			r.a.restart()
		}
		var wg sync.WaitGroup
		for i, w := range people {
			if rng.IntN(2) == 0 {
				continue
			}
			p, dice, accepts := r.processes[rng.IntN(2)], rng.IntN(6), rng.IntN(3) == 0
			wg.Go(func() { r.live(p, w, dice, fmt.Sprintf("Name%d.%d", round, i), accepts) })
		}
		for _, g := range groups {
			p, dice := r.processes[rng.IntN(2)], rng.IntN(10)
			var some []*wanted
			for _, at := range rng.Perm(len(people))[:1+rng.IntN(4)] {
				some = append(some, people[at])
			}
			wg.Go(func() { r.liveGroup(p, g, dice, some) })
		}
		wg.Wait()
		for _, w := range people {
			if w.exists {
				continue
			}
			for _, g := range groups {
				delete(g.in, w)
			}
		}
	}
	r.faults()
	r.settleAll(people, groups)
	for _, w := range people {
		eventually(r.t, patience, w.email+" has the roles of the model", func() error { return r.judgeRoles(w, groups, required) })
		if n := r.people(w.email); n > 1 {
			r.t.Errorf("%s is upstream %d times (I2)%s", w.email, n, r.history(w.email))
		}
	}
	r.settled()
	for _, w := range people { // and it stays so
		if err := r.judgeRoles(w, groups, required); err != nil {
			r.t.Error(err)
		}
	}
	if r.t.Failed() {
		r.t.Logf("again with -args -seed %d", seed)
	}
}

// settleAll sends the client's whole state: people, and then groups.
func (r *rig) settleAll(people []*wanted, groups []*wantedGroup) {
	var wg sync.WaitGroup
	for i, w := range people {
		wg.Go(func() { r.settle(r.processes[i%2], w) })
	}
	wg.Wait()
	ids := map[*wanted]string{}
	for _, w := range people {
		if w.exists {
			ids[w] = r.a.find(w.email)
		}
	}
	for i, g := range groups {
		wg.Go(func() { r.settleGroup(r.processes[i%2], g, ids) })
	}
	wg.Wait()
}
