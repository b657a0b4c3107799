package badinput

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
)

const groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"

// manager is the id of the sandbox's role that groups "Managers-…" give.
const manager = 3

// groupRules map the groups that attempts are aimed at, and two others above
// what the tenant lets a client grant.
var groupRules = []string{
	`rules:
  - {match: {glob: "Managers-*"}, role: Manager}
  - {match: {glob: "owners*"}, role: Owner}
  - {match: {external_id: owners-0}, role: Owner}
  - {match: {external_id: "5"}, role: Administrator}`,
	unguarded,
}

// crowd is a mapped group, two members of it and somebody who is none.
type crowd struct {
	id, title    string
	in, too, out *person
	look         string  // what the bridge shows of the group
	groups       float64 // how many groups the bridge shows
}

// held is who holds the role of a crowd's group while nothing changed.
const held = "in too"

// nobody is what holds says when that is the case.
const nobody = "nobody"

// words are what stands for a crowd in attempts; nil has none.
func (c *crowd) words() []string {
	if c == nil {
		return nil
	}
	return []string{"{group}", c.id, "{title}", c.title, "{in}", c.in.id, "{too}", c.too.id, "{out}", c.out.id, "{outname}", c.out.name}
}

// groupRig is a rig that aims at groups: "owners" is there and empty, and
// "Taken Ünit" has a member. Nothing goes on behind its requests, which would
// be taken for calls of theirs.
func groupRig(t *testing.T) *rig {
	t.Helper()
	r := startRig(t, bridgetest.Config{Tenant: groupRules, Idle: true})
	r.gathers = true
	owners := r.mustGroup(t, groupOf("owners", ""))
	taken := r.mustGroup(t, groupOf("Taken Ünit", entries(r.person(t).id)))
	r.more = []string{"{owners}", owners, "{taken}", taken}
	return r
}

// person takes an active person whom no group has.
func (r *rig) person(t *testing.T) *person {
	t.Helper()
	if len(r.pool) == 0 {
		r.pool = r.people(t, 40)
	}
	p := r.pool[0]
	r.pool = r.pool[1:]
	return p
}

// people makes active persons who accepted their invites.
func (r *rig) people(t *testing.T, n int) []*person {
	t.Helper()
	all, made := make([]*person, n), make([]bridgetest.Response, n)
	for i := range all {
		name := r.newName()
		all[i] = &person{name: name, ext: "ext-" + name[:8]}
	}
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() { made[i] = r.Do("POST", "/Users", userOf(p.name, fmt.Sprintf(`"externalId":%q`, p.ext))) })
	}
	wg.Wait()
	for i, res := range made {
		r.answers[res.Header.Get("X-Request-Id")] = true
		if all[i].id = res.ID(); res.Status != http.StatusCreated {
			t.Fatalf("creating %s: status %d\n%s", all[i].name, res.Status, res.Body)
		}
		if err := r.Sandbox.Accept(all[i].name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func (r *rig) mustGroup(t *testing.T, body string) string {
	t.Helper()
	res := r.quietly(t, "POST", "/Groups", body)
	if res.Status != http.StatusCreated || res.ID() == "" {
		t.Fatalf("creating a group: status %d\n%s", res.Status, res.Body)
	}
	return res.ID()
}

// gather makes a crowd.
func (r *rig) gather(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{in: r.person(t), too: r.person(t), out: r.person(t)}
	r.made++
	c.title = fmt.Sprintf("Managers-%05d", r.made)
	c.id = r.mustGroup(t, groupOf(c.title, entries(c.in.id, c.too.id)))
	if got := r.holders(t, c); got != held {
		t.Fatalf("%q hold the role of the group", got)
	}
	c.look, c.groups = r.lookAt(t, c), r.groups(t)
	return c
}

func (r *rig) lookAt(t *testing.T, c *crowd) string {
	t.Helper()
	res := r.quietly(t, "GET", "/Groups/"+c.id, "")
	if res.Status != http.StatusOK {
		t.Fatalf("reading the group: status %d\n%s", res.Status, res.Body)
	}
	return string(res.Body)
}

func (r *rig) groups(t *testing.T) float64 {
	t.Helper()
	res := r.quietly(t, "GET", "/Groups?count=0", "")
	n, ok := res.JSON("totalResults").(float64)
	if !ok {
		t.Fatalf("counting groups: status %d\n%s", res.Status, res.Body)
	}
	return n
}

// holders are those of a crowd who hold Manager in the sandbox; the others must
// be active Viewers.
func (r *rig) holders(t *testing.T, c *crowd) string {
	t.Helper()
	state, who := r.Sandbox.State(), []string{}
	for _, one := range []struct {
		word string
		*person
	}{{"in", c.in}, {"too", c.too}, {"out", c.out}} {
		a := state.Account(one.name)
		switch {
		case a == nil || len(a.Memberships) != 2 || !a.Accessible || a.Memberships[0].RoleID != a.Memberships[1].RoleID:
			t.Errorf("%s is %+v in the sandbox", one.word, a)
		case a.Memberships[0].RoleID == manager:
			who = append(who, one.word)
		case a.Memberships[0].RoleID != viewer:
			t.Errorf("%s has the role %d in the sandbox", one.word, a.Memberships[0].RoleID)
		}
	}
	if len(who) == 0 {
		return nobody
	}
	return strings.Join(who, " ")
}

// holds checks who of a crowd holds the role after an attempt, and returns how
// many effects the sandbox's ledger has of that: one in each organization.
func (r *rig) holds(t *testing.T, c *crowd, a attempt) int {
	t.Helper()
	want := a.hold
	if want == "" {
		want = held
	}
	got := r.holders(t, c)
	if got != want {
		t.Errorf("%q hold the role of the group in the sandbox, want %q", got, want)
	}
	n := 0
	for _, one := range []string{"in", "too", "out"} {
		if slices.Contains(strings.Fields(want), one) != slices.Contains(strings.Fields(held), one) {
			n += 2
		}
	}
	return n
}

// sameGroups checks that what was refused changed no group.
func (r *rig) sameGroups(t *testing.T, c *crowd) {
	t.Helper()
	if now := r.lookAt(t, c); now != c.look {
		t.Errorf("a refused request changed a group\nbefore %s\nafter  %s", c.look, now)
	}
	if n := r.groups(t); n != c.groups {
		t.Errorf("a refused request left %v groups, want %v", n, c.groups)
	}
}

// shown checks that the bridge shows the members who hold the role, and that
// their groups name it.
func shown(t *testing.T, r *rig, c *crowd, want string) {
	t.Helper()
	res := r.quietly(t, "GET", "/Groups/"+c.id, "")
	members, _ := res.JSON("members").([]any)
	var got []string
	for word, p := range map[string]*person{"in": c.in, "too": c.too, "out": c.out} {
		in := slices.ContainsFunc(members, func(m any) bool { return m.(map[string]any)["value"] == p.id })
		if in {
			got = append(got, word)
		}
		of := r.quietly(t, "GET", "/Users/"+p.id+"?attributes=groups", "")
		if named := of.JSON("groups.0.value") == c.id; named != in {
			t.Errorf("%s: is a member: %v, has the group among its own: %v", word, in, named)
		}
	}
	if n := len(strings.Fields(strings.TrimPrefix(want, nobody))); len(members) != n || len(got) != n {
		t.Errorf("the bridge shows %d members, %v of the crowd; want %s", len(members), got, want)
	}
}
