package provision_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// A history is a random conversation about a few people and groups, and beside
// it a model of what they are due: nothing but sets.
type history struct {
	t       *rapid.T
	s       *bridgetest.Stack
	c       *clock
	mode    sandbox.InviteMode
	require bool
	people  map[string]*someone // by e-mail
	groups  map[string]*some    // by SCIM id
}

type someone struct {
	n                int
	id               string
	active, accepted bool
}

type some struct {
	name    string
	members map[string]bool // e-mails
}

// modelRules are those of the tenants below: the role and where it is given.
var modelRules = map[string]struct {
	role int64
	orgs []int64
}{
	"administrators": {2, []int64{113, 114}}, "managers": {3, []int64{113, 114}}, "retail": {4, []int64{114}},
}

var modelWeights = map[int64]int{2: 80, 3: 50, 4: 30, 5: 10}

// due are the roles that somebody is due, by organization; none for no access.
func (h *history) due(email string) map[int64]int64 {
	p := h.people[email]
	due := map[int64]int64{}
	if p == nil || !p.active {
		return due
	}
	if !h.require {
		due[113], due[114] = 5, 5
	}
	for _, g := range h.groups {
		rule, mapped := modelRules[strings.ToLower(g.name)]
		if !mapped || !g.members[email] {
			continue
		}
		for _, org := range rule.orgs {
			if modelWeights[rule.role] > modelWeights[due[org]] {
				due[org] = rule.role
			}
		}
	}
	return due
}

// has are the roles that upstream gives or offers an address.
func (h *history) has(email string) map[int64]int64 {
	has := map[int64]int64{}
	st := h.s.Sandbox.State()
	for _, a := range st.Accounts {
		if strings.EqualFold(a.Email, email) {
			for _, m := range a.Memberships {
				if m.State != "suspended" {
					has[m.OrganizationID] = m.RoleID
				}
			}
			return has
		}
	}
	for _, i := range st.Invites {
		if strings.EqualFold(i.Email, email) && i.State == "pending" {
			for _, org := range i.OrganizationIDs {
				has[org] = i.RoleID
			}
		}
	}
	return has
}

// check compares upstream with the model: at once nobody has more than is due,
// and when the jobs are done everybody has what is due. An invite that is not
// an account yet carries the lowest of the roles.
func (h *history) check(after string) {
	for email := range h.people {
		due := h.due(email)
		for org, role := range h.has(email) {
			if want, ok := due[org]; !ok || modelWeights[role] > modelWeights[want] {
				h.t.Fatalf("after %s: %s has %v, due is %v", after, email, h.has(email), due)
			}
		}
	}
}

func (h *history) settled() {
	h.idle()
	h.c.advance(2 * time.Minute) // reads count again
	if _, err := h.s.Bridge.Service.ScanNow(h.t.Context(), "acme"); err != nil {
		h.t.Fatal(err)
	}
	h.idle()
	for email, p := range h.people {
		want := h.due(email)
		if !p.accepted && h.mode == sandbox.Deferred && len(want) > 0 {
			low := slices.MinFunc(slices.Collect(maps.Values(want)), func(a, b int64) int { return modelWeights[a] - modelWeights[b] })
			for org := range want {
				want[org] = low
			}
		}
		if got := h.has(email); !maps.Equal(got, want) {
			h.t.Fatalf("settled: %s has %v, due is %v", email, got, want)
		}
	}
}

// idle waits until no role work is left.
func (h *history) idle() {
	for h.t.Context().Err() == nil {
		all, _, err := h.s.Store.CountRoleWork(h.t.Context(), "acme")
		if err != nil {
			h.t.Fatal(err)
		}
		if all == 0 {
			return
		}
		select {
		case <-h.t.Context().Done():
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// all are the people in the order in which they came.
func (h *history) all() []string {
	return slices.SortedFunc(maps.Keys(h.people), func(a, b string) int { return h.people[a].n - h.people[b].n })
}

func (h *history) email() string {
	if len(h.people) == 0 {
		h.t.Skip("nobody there")
	}
	return h.all()[rapid.IntRange(0, len(h.people)-1).Draw(h.t, "who")]
}

func (h *history) group() string {
	if len(h.groups) == 0 {
		h.t.Skip("no group there")
	}
	ids := slices.SortedFunc(maps.Keys(h.groups), func(a, b string) int { return strings.Compare(h.groups[a].name, h.groups[b].name) })
	return ids[rapid.IntRange(0, len(ids)-1).Draw(h.t, "group")]
}

// some draws people, with their ids.
func (h *history) some() (emails []string, ids []string) {
	for i, e := range h.all() {
		if rapid.Bool().Draw(h.t, fmt.Sprint("with ", i)) {
			emails = append(emails, e)
		}
	}
	for _, e := range emails {
		ids = append(ids, h.people[e].id)
	}
	return emails, ids
}

func (h *history) patch(g string, ops ...string) {
	// The group is not shown once an operation was written as Entra writes it.
	if res := h.s.Do("PATCH", "/Groups/"+g, bridgetest.PatchOp(ops...)); res.Status != 200 && res.Status != 204 {
		h.t.Fatalf("PATCH of a group: %d %s", res.Status, res.Body)
	}
}

func (h *history) actions() map[string]func(*rapid.T) {
	act := func(name string, f func() string) func(*rapid.T) {
		return func(t *rapid.T) {
			h.t = t
			h.check(name + " " + f())
		}
	}
	freeName := func() string {
		names := []string{"Administrators", "managers", "Retail", "Others"}
		taken := map[string]bool{}
		for _, g := range h.groups {
			taken[strings.ToLower(g.name)] = true
		}
		names = slices.DeleteFunc(names, func(n string) bool { return taken[strings.ToLower(n)] })
		if len(names) == 0 {
			h.t.Skip("every name is taken")
		}
		return rapid.SampledFrom(names).Draw(h.t, "name")
	}
	return map[string]func(*rapid.T){
		"create user": act("create user", func() string {
			if len(h.people) > 4 {
				h.t.Skip("enough people")
			}
			n := int(names.Add(1))
			email := fmt.Sprintf("p%d@example.com", n)
			h.people[email] = &someone{n: n, id: h.s.Must(201, "POST", "/Users", bridgetest.User(email)).ID(), active: true}
			return email
		}),
		"accept": act("accept", func() string {
			email := h.email()
			if p := h.people[email]; !p.accepted && len(h.has(email)) > 0 {
				if err := h.s.Sandbox.Accept(email); err != nil {
					h.t.Fatal(err)
				}
				p.accepted = true
			}
			return email
		}),
		"activity": act("activity", func() string {
			email, active := h.email(), rapid.Bool().Draw(h.t, "active")
			h.s.Must(200, "PATCH", "/Users/"+h.people[email].id, setActive(active))
			h.people[email].active = active
			return fmt.Sprint(email, active)
		}),
		"delete user": act("delete user", func() string {
			email := h.email()
			h.s.Must(204, "DELETE", "/Users/"+h.people[email].id, "")
			if got := h.has(email); len(got) > 0 {
				h.t.Fatalf("%s was deleted and has %v", email, got)
			}
			delete(h.people, email)
			for _, g := range h.groups {
				delete(g.members, email)
			}
			return email
		}),
		"create group": act("create group", func() string {
			emails, ids := h.some()
			g := &some{name: freeName(), members: map[string]bool{}}
			for _, e := range emails {
				g.members[e] = true
			}
			h.groups[h.s.Must(201, "POST", "/Groups", group(g.name, ids...)).ID()] = g
			return g.name
		}),
		"add": act("add", func() string {
			id := h.group()
			emails, ids := h.some()
			h.patch(id, fmt.Sprintf(`{"op":"Add","path":"members","value":[%s]}`, memberList(ids)))
			for _, e := range emails {
				h.groups[id].members[e] = true
			}
			return fmt.Sprint(h.groups[id].name, emails)
		}),
		"remove": act("remove", func() string {
			id := h.group()
			emails, ids := h.some()
			if len(ids) == 0 {
				h.t.Skip("nobody to remove")
			}
			shape := rapid.IntRange(0, 3).Draw(h.t, "shape")
			switch shape {
			case 0:
				h.patch(id, fmt.Sprintf(`{"op":"Remove","path":"members","value":[%s]}`, memberList(ids)))
			case 1:
				var ops []string
				for _, one := range ids {
					ops = append(ops, fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, one))
				}
				h.patch(id, ops...)
			case 2:
				terms := make([]string, len(ids))
				for i, one := range ids {
					terms[i] = fmt.Sprintf(`value eq \"%s\"`, one)
				}
				h.patch(id, fmt.Sprintf(`{"op":"remove","path":"members[%s]"}`, strings.Join(terms, " or ")))
			case 3:
				h.patch(id, `{"op":"remove","path":"members"}`)
				clear(h.groups[id].members)
			}
			for _, e := range emails {
				delete(h.groups[id].members, e)
			}
			return fmt.Sprint(h.groups[id].name, emails, " by shape ", shape)
		}),
		"replace": act("replace", func() string {
			id := h.group()
			emails, ids := h.some()
			if rapid.Bool().Draw(h.t, "put") {
				h.s.Must(200, "PUT", "/Groups/"+id, group(h.groups[id].name, ids...))
			} else {
				h.patch(id, fmt.Sprintf(`{"op":"replace","path":"members","value":[%s]}`, memberList(ids)))
			}
			clear(h.groups[id].members)
			for _, e := range emails {
				h.groups[id].members[e] = true
			}
			return fmt.Sprint(h.groups[id].name, emails)
		}),
		"rename": act("rename", func() string {
			id, name := h.group(), freeName()
			h.patch(id, fmt.Sprintf(`{"op":"replace","value":{"id":%q,"displayName":%q}}`, id, name))
			h.groups[id].name = name
			return name
		}),
		"delete group": act("delete group", func() string {
			id := h.group()
			h.s.Must(204, "DELETE", "/Groups/"+id, "")
			name := h.groups[id].name
			delete(h.groups, id)
			return name
		}),
		"settle": func(t *rapid.T) {
			h.t = t
			h.settled()
		},
	}
}

// names counts the addresses of all histories of this process.
var names atomic.Int64

// TestMain bounds how many histories the gate tries: -rapid.checks has the last
// word.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		checks := "8"
		if raced {
			checks = "3"
		}
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestGroupHistories has any sequence of operations on groups and users leave
// upstream's roles as a simple model has them.
func TestGroupHistories(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		for _, require := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, group required %v", mode, require), func(t *testing.T) {
				t.Parallel()
				s, c := startAt(t, mode, append([]string{
					"guards: {deactivations: off, role_losses: off, invites: off, addresses: off}", fmt.Sprintf("require_group: %v", require),
				}, ruled...)...)
				rapid.Check(t, func(rt *rapid.T) {
					for _, g := range s.Must(200, "GET", "/Groups?excludedAttributes=members", "").JSON("Resources").([]any) {
						s.Must(204, "DELETE", "/Groups/"+g.(map[string]any)["id"].(string), "")
					}
					h := &history{t: rt, s: s, c: c, mode: mode, require: require, people: map[string]*someone{}, groups: map[string]*some{}}
					rt.Repeat(h.actions())
					h.t = rt
					h.settled()
				})
			})
		}
	}
}
