package badinput

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge"
	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
)

// guards are the rows of group X that need a tenant of their own: what a
// mistake in the identity provider would do to many is held (I12).
var guards = []situation{
	{"X148 mass deactivation", massDeactivation},
	{"X148 mass deactivation at once", massDeactivationAtOnce},
	{"X148 a limit of none", noDeactivation},
	{"X149 wiping a mapped group", groupWipe},
	{"X150 mass invites", massInvites},
	{"X150 mass invites through a group", massInvitesByGroup},
}

// guarded is a tenant with the rules of groups and one guard that lets 2 pass.
func guarded(guard string) []string {
	text := unguarded
	if guard != "" {
		text = strings.Replace(unguarded, guard+": off", guard+": {limit: 2, window: 1h}", 1)
		if guard != "invites" {
			text = strings.Replace(text, "limit: 2", "limit: 2, percent: 0", 1)
		}
	}
	return []string{groupRules[0], text}
}

// lasting is a configuration whose database another bridge can go on with.
func lasting(t *testing.T, tenant []string) bridgetest.Config {
	t.Helper()
	return bridgetest.Config{Tenant: tenant, Idle: true, Store: filepath.Join(t.TempDir(), "bridge.db")}
}

// again is a bridge that starts where r was, over the same upstream.
func (r *rig) again(t *testing.T, cfg bridgetest.Config) *rig {
	t.Helper()
	cfg.Over = r.Stack
	n := startRig(t, cfg)
	n.made = r.made
	return n
}

// ask is a request that may be held.
type ask struct{ name, as, method, path, body string }

// held sends what a guard has to hold: 429, and nothing is changed.
func (r *rig) held(t *testing.T, c ask) {
	t.Helper()
	before, mails := len(r.Sandbox.Ledger()), len(r.Sandbox.Outbox())
	res := r.quietly(t, c.method, c.path, c.body, "Authorization", "Bearer "+r.tokens[c.as])
	r.tried++
	if res.Status != 429 {
		t.Fatalf("%s: status %d, want 429\n%s", c.name, res.Status, excerpt(res.Body))
	}
	r.judge(t, attempt{method: c.method, detail: []string{"held", "nothing was changed", "tenant guard release"}}, res)
	var after int
	if _, err := fmt.Sscan(res.Header.Get("Retry-After"), &after); err != nil || after < 1 || after > 3600 {
		t.Errorf("%s: Retry-After %q, want at most the window", c.name, res.Header.Get("Retry-After"))
	}
	if now := r.Sandbox.Ledger()[before:]; len(now) > 0 || len(r.Sandbox.Outbox()) != mails {
		t.Errorf("%s: held, and yet the ledger has %s", c.name, describe(now))
	}
}

// lets sends what a guard has to let pass.
func (r *rig) lets(t *testing.T, status int, c ask) bridgetest.Response {
	t.Helper()
	res := r.quietly(t, c.method, c.path, c.body, "Authorization", "Bearer "+r.tokens[c.as])
	if want := answers(status, c.as, c.method, c.path); res.Status != want {
		t.Fatalf("%s: status %d, want %d\n%s", c.name, res.Status, want, excerpt(res.Body))
	}
	return res
}

// endings are the ways in which clients take a person's access away.
func endings(p *person) []ask {
	path := "/Users/" + p.id
	return []ask{
		{"PATCH active", "rfc", "PATCH", path, bridgetest.PatchOp(off)},
		{"PATCH without a path", "okta", "PATCH", path, bridgetest.PatchOp(`{"op":"replace","value":{"active":false}}`)},
		{"PATCH from Entra", "entra", "PATCH", path, bridgetest.PatchOp(`{"op":"Replace","path":"active","value":"False"}`)},
		{"PATCH with a profile", "rfc", "PATCH", path, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"gone"}`, off)},
		{"PUT", "okta", "PUT", path, strings.Replace(userOf(p.name), `"active":true`, `"active":false`, 1)},
		{"DELETE", "rfc", "DELETE", path, ""},
	}
}

func massDeactivation(t *testing.T) int {
	cfg := lasting(t, guarded("deactivations"))
	r := startRig(t, cfg)
	all := r.people(t, 4)
	pending := r.provision(t)
	look := func(p *person) string { return r.look(t, p) }
	r.lets(t, 200, endings(all[0])[0])
	r.lets(t, 204, endings(all[1])[5])
	for _, p := range []*person{all[2], pending} {
		before := look(p)
		for _, c := range endings(p) {
			r.held(t, c)
			if now := look(p); now != before {
				t.Errorf("%s: held, and yet it changed the person\nbefore %s\nafter  %s", c.name, before, now)
			}
		}
	}
	r.lets(t, 200, endings(all[0])[2]) // has nothing to lose
	r.lets(t, 204, endings(all[0])[5])
	r.lets(t, 200, ask{"a title", "rfc", "PATCH", "/Users/" + all[2].id, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`)})
	r.lets(t, 201, ask{"a create", "rfc", "POST", "/Users", userOf(r.newName())})
	anew := r.again(t, cfg)
	for _, c := range endings(all[2]) {
		anew.held(t, c)
	}
	if a := r.Sandbox.State().Account(all[2].name); a == nil || !a.Accessible {
		t.Errorf("the account of whom nobody deactivated is %+v", a)
	}
	r.reckon(t)
	return r.tried + anew.tried
}

// massDeactivationAtOnce: the limit holds however many come at a time.
func massDeactivationAtOnce(t *testing.T) int {
	cfg := lasting(t, guarded("deactivations"))
	r := startRig(t, cfg)
	all := r.people(t, 12)
	other := r.again(t, cfg)
	var passed, held atomic.Int64
	var wg sync.WaitGroup
	for i, p := range all {
		by := []*rig{r, other}[i%2]
		wg.Go(func() {
			c := endings(p)[i%6]
			switch res := by.Do(c.method, c.path, c.body, "Authorization", "Bearer "+by.tokens["entra"]); res.Status {
			case 200, 204:
				passed.Add(1)
			case 429:
				held.Add(1)
			default:
				t.Errorf("%s: status %d %s", c.name, res.Status, excerpt(res.Body))
			}
		})
	}
	wg.Wait()
	lost, state := 0, r.Sandbox.State()
	for _, p := range all {
		if a := state.Account(p.name); a == nil || !a.Accessible {
			lost++
		}
	}
	if passed.Load() != 2 || held.Load() != 10 || lost != 2 {
		t.Errorf("%d passed, %d were held, %d lost access; want 2, 10 and 2", passed.Load(), held.Load(), lost)
	}
	return len(all)
}

// noDeactivation: where none may pass, Retry-After is a time all the same.
func noDeactivation(t *testing.T) int {
	tenant := guarded("deactivations")
	tenant[1] = strings.Replace(tenant[1], "limit: 2", "limit: 0", 1)
	r := startRig(t, bridgetest.Config{Tenant: tenant, Idle: true})
	for _, c := range endings(r.provision(t)) {
		r.held(t, c)
	}
	return r.tried
}

// emptyings are the ways in which clients take a role from all members of a
// group, who are four.
func emptyings(id, name string, all []*person) []ask {
	var ids []string
	for _, p := range all {
		ids = append(ids, p.id)
	}
	path, patch := "/Groups/"+id, bridgetest.PatchOp
	return []ask{
		{"remove", "rfc", "PATCH", path, patch(wipe)},
		{"Remove of a list", "entra", "PATCH", path, patch(`{"op":"Remove","path":"members","value":` + entries(ids...) + `}`)},
		{"replace by an empty list", "okta", "PATCH", path, patch(`{"op":"replace","path":"members","value":[]}`)},
		{"replace without a path", "okta", "PATCH", path, patch(`{"op":"replace","value":{"members":[]}}`)},
		{"remove by a filter", "rfc", "PATCH", path, patch(`{"op":"remove","path":"members[type eq \"User\"]"}`)},
		{"PUT of an empty list", "okta", "PUT", path, groupOf(name, "[]")},
		{"a rename", "okta", "PATCH", path, patch(`{"op":"replace","value":{"id":"` + id + `","displayName":"Nobody"}}`)},
		{"a rename from Entra", "entra", "PATCH", path, patch(`{"op":"Replace","path":"displayName","value":"Nobody"}`)},
		{"a rename by PUT", "rfc", "PUT", path, groupOf("Nobody", "")},
		{"DELETE", "rfc", "DELETE", path, ""},
	}
}

// wipes are emptyings, and ways in which few members stay.
func wipes(id, name string, all []*person) []ask {
	path, patch := "/Groups/"+id, bridgetest.PatchOp
	return append(emptyings(id, name, all),
		ask{"replace by one", "okta", "PATCH", path, patch(`{"op":"replace","path":"members","value":` + entries(all[0].id) + `}`)},
		ask{"remove by a filter with not", "rfc", "PATCH", path, patch(`{"op":"remove","path":"members[not (value eq \"` + all[0].id + `\")]"}`)},
		ask{"remove of three by a filter", "rfc", "PATCH", path, patch(fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\" or value eq \"%s\" or value eq \"%s\"]"}`, all[0].id, all[1].id, all[2].id))},
		ask{"PUT of one", "rfc", "PUT", path, groupOf(name, entries(all[3].id))},
	)
}

func groupWipe(t *testing.T) int {
	cfg := lasting(t, guarded("role_losses"))
	r := startRig(t, cfg)
	all, more := r.people(t, 4), r.people(t, 1)
	const name = "Managers-wiped"
	id := r.mustGroup(t, groupOf(name, entries(all[0].id, all[1].id, all[2].id, all[3].id)))
	other := r.mustGroup(t, groupOf("Managers-other", entries(more[0].id)))
	before := r.quietly(t, "GET", "/Groups/"+id, "")
	for _, c := range wipes(id, name, all) {
		r.held(t, c)
		if now := r.quietly(t, "GET", "/Groups/"+id, ""); string(now.Body) != string(before.Body) {
			t.Fatalf("%s: held, and yet it changed the group\nbefore %s\nafter  %s", c.name, before.Body, now.Body)
		}
	}
	remove := func(id string, p *person) ask {
		return ask{"remove of " + p.name, "okta", "PATCH", "/Groups/" + id, bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"` + p.id + `\"]"}`)}
	}
	r.lets(t, 204, remove(id, all[0]))
	r.lets(t, 204, remove(id, all[1]))
	r.held(t, remove(id, all[2]))
	r.held(t, remove(other, more[0]))
	r.held(t, ask{"DELETE of another group", "rfc", "DELETE", "/Groups/" + other, ""})
	r.lets(t, 204, remove(id, all[1])) // is no member any more
	r.lets(t, 204, ask{"a move", "okta", "PATCH", "/Groups/" + other, bridgetest.PatchOp(`{"op":"add","path":"members","value":` + entries(all[2].id) + `}`)})
	r.lets(t, 204, remove(id, all[2])) // keeps the role by the other group
	anew := r.again(t, cfg)
	anew.held(t, remove(id, all[3]))
	anew.held(t, ask{"DELETE", "rfc", "DELETE", "/Groups/" + id, ""})
	state := r.Sandbox.State()
	for i, want := range []int64{viewer, viewer, manager, manager} {
		if got := state.Account(all[i].name).Membership(113).RoleID; got != want {
			t.Errorf("person %d has the role %d in the sandbox, want %d", i, got, want)
		}
	}
	return r.tried + anew.tried
}

// later is a clock that a test can put on.
type later struct{ by atomic.Int64 }

func (l *later) now() time.Time { return time.Now().Add(time.Duration(l.by.Load())) }

// afterLoad is a rig whose tenant's initial load is over.
func afterLoad(t *testing.T, tenant []string) (*rig, bridgetest.Config) {
	t.Helper()
	clock := &later{}
	cfg := lasting(t, tenant)
	cfg.Change = func(o *bridge.Options) { o.Now = clock.now }
	r := startRig(t, cfg)
	for range 5 { // the initial load is not limited
		r.lets(t, 201, ask{"a create", "rfc", "POST", "/Users", userOf(r.newName())})
	}
	clock.by.Store(int64(25 * time.Hour))
	if _, err := r.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	return r, cfg
}

func massInvites(t *testing.T) int {
	r, cfg := afterLoad(t, guarded("invites"))
	create := func(as string, more ...string) ask {
		name := r.newName()
		return ask{"POST " + name, as, "POST", "/Users", userOf(name, more...)}
	}
	r.lets(t, 201, create("rfc"))
	second := r.lets(t, 201, create("okta")).ID()
	n := r.persons(t)
	for _, as := range []string{"rfc", "okta", "entra"} {
		c := create(as)
		r.held(t, c)
		r.held(t, c)
	}
	if now := r.persons(t); now != n {
		t.Errorf("held creates left %v persons, want %v", now, n)
	}
	idle := ask{"POST without access", "rfc", "POST", "/Users", strings.Replace(userOf(r.newName()), `"active":true`, `"active":false`, 1)}
	inactive := r.lets(t, 201, idle).ID()
	for _, c := range []ask{
		{"PATCH active", "rfc", "PATCH", "/Users/" + inactive, bridgetest.PatchOp(`{"op":"replace","path":"active","value":true}`)},
		{"PATCH active from Entra", "entra", "PATCH", "/Users/" + inactive, bridgetest.PatchOp(`{"op":"Replace","path":"active","value":"True"}`)},
	} {
		r.held(t, c)
	}
	r.lets(t, 200, ask{"a title", "rfc", "PATCH", "/Users/" + second, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`)})
	r.lets(t, 200, ask{"a deactivation", "rfc", "PATCH", "/Users/" + second, bridgetest.PatchOp(off)})
	anew := r.again(t, cfg)
	anew.held(t, create("rfc"))
	return r.tried + anew.tried
}

// massInvitesByGroup: who is let in only by a group is invited by the change of
// the group.
func massInvitesByGroup(t *testing.T) int {
	r, cfg := afterLoad(t, append(guarded("invites"), "require_group: true"))
	var ids []string
	for range 4 {
		ids = append(ids, r.lets(t, 201, ask{"a create", "rfc", "POST", "/Users", userOf(r.newName())}).ID())
	}
	empty := r.mustGroup(t, groupOf("Managers-empty", ""))
	plain := r.mustGroup(t, groupOf("Plain", entries(ids...)))
	asks := []ask{
		{"POST", "rfc", "POST", "/Groups", groupOf("Managers-new", entries(ids...))},
		{"add", "rfc", "PATCH", "/Groups/" + empty, bridgetest.PatchOp(`{"op":"add","path":"members","value":` + entries(ids...) + `}`)},
		{"Add", "entra", "PATCH", "/Groups/" + empty, bridgetest.PatchOp(`{"op":"Add","path":"members","value":` + entries(ids[:3]...) + `}`)},
		{"replace", "okta", "PATCH", "/Groups/" + empty, bridgetest.PatchOp(`{"op":"replace","path":"members","value":` + entries(ids...) + `}`)},
		{"PUT", "rfc", "PUT", "/Groups/" + empty, groupOf("Managers-empty", entries(ids...))},
		{"a rename", "okta", "PATCH", "/Groups/" + plain, bridgetest.PatchOp(`{"op":"replace","value":{"displayName":"Managers-renamed"}}`)},
	}
	groups := r.groups(t)
	for _, c := range asks {
		r.held(t, c)
	}
	if n := r.groups(t); n != groups {
		t.Errorf("held requests left %v groups, want %v", n, groups)
	}
	r.lets(t, 204, ask{"add of two", "rfc", "PATCH", "/Groups/" + empty, bridgetest.PatchOp(`{"op":"add","path":"members","value":` + entries(ids[:2]...) + `}`)})
	anew := r.again(t, cfg)
	anew.held(t, ask{"add of one more", "rfc", "PATCH", "/Groups/" + empty, bridgetest.PatchOp(`{"op":"add","path":"members","value":` + entries(ids[2]) + `}`)})
	return r.tried + anew.tried
}
