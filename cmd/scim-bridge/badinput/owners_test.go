package badinput

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// owners is row 145: the last one with the highest role stays (I12).
var owners = []situation{
	{"X145 the last owner", lastOwner},
	{"X145 the last two owners at once", lastOwnersAtOnce},
	{"X145 the last owner, as only upstream knows", lastOwnerUpstream},
}

// ownerRig is a tenant that may give the top role, whose two owners A and B are
// the only ones; group is theirs.
func ownerRig(t *testing.T) (r *rig, group string, a, b *person) {
	t.Helper()
	boss := sandbox.Client{ID: "boss", Secret: "acme-secret", Organizations: []int64{113, 114}, Weight: 100}
	r = startRig(t, bridgetest.Config{Sandbox: sandbox.Options{Clients: []sandbox.Client{boss}}, Idle: true, NoScan: true})
	r.Apply(strings.Replace(bridgetest.Tenant("acme", r.UpstreamURL, `rules: [{match: owners, role: Owner}, {match: {external_id: top}, role: Owner}]`, "ceiling: Owner", unguarded), "client_id: acme", "client_id: boss", 1))
	all := r.people(t, 2)
	a, b = all[0], all[1]
	group = r.mustGroup(t, groupOf("owners", entries(a.id, b.id)))
	for _, org := range []int64{113, 114} {
		if _, err := r.Sandbox.Edit(sandbox.Edit{Email: fmt.Sprintf("owner%d@sharearefund.example", org), Role: &sandbox.EditRole{OrganizationID: org, RoleID: viewer}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	return r, group, a, b
}

// owners are who of the two holds Owner and has access, in an organization.
func (r *rig) owners(org int64, people ...*person) (names []string) {
	state := r.Sandbox.State()
	for _, p := range people {
		if a := state.Account(p.name); a != nil && a.Accessible && a.Membership(org) == (sandbox.Membership{OrganizationID: org, RoleID: 1, State: sandbox.StateActive}) {
			names = append(names, p.name)
		}
	}
	return names
}

func lastOwner(t *testing.T) int {
	r, group, a, b := ownerRig(t)
	r.lets(t, 204, ask{"remove of one of two", "okta", "PATCH", "/Groups/" + group, bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"` + b.id + `\"]"}`)})
	if got := r.owners(113, a, b); len(got) != 1 || got[0] != a.name {
		t.Fatalf("the owners are %v", got)
	}
	paths := []string{"/Users/" + a.id, "/Groups/" + group}
	asks := append(endings(a), ask{"remove", "rfc", "PATCH", paths[1], bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"` + a.id + `\"]"}`)})
	asks = append(asks, emptyings(group, "owners", []*person{a, a, a, a})...)
	for _, c := range asks {
		res := r.refuse(t, 403, c, paths...)
		if detail := fmt.Sprint(res.JSON("detail")); !strings.Contains(detail, "last") {
			t.Errorf("%s: detail %q does not say that it is the last one", c.name, detail)
		}
		if got := r.owners(113, a, b); len(got) != 1 {
			t.Fatalf("%s: the owners are %v", c.name, got)
		}
	}
	r.lets(t, 200, ask{"a title", "rfc", "PATCH", paths[0], bridgetest.PatchOp(`{"op":"replace","path":"title","value":"x"}`)})
	r.reckon(t)
	return r.tried
}

// lastOwnerUpstream: where the directory does not show yet that somebody is the
// last owner, upstream refuses; then nothing is changed either (I9).
func lastOwnerUpstream(t *testing.T) int {
	tried := 0
	asks := func(group string, a *person) []ask {
		both := bridgetest.PatchOp(wipe, `{"op":"replace","path":"displayName","value":"Nobody"}`)
		return append(emptyings(group, "owners", []*person{a, a, a, a}), ask{"remove and rename", "rfc", "PATCH", "/Groups/" + group, both})
	}
	for i := range asks("", &person{}) {
		r, group, a, b := ownerRig(t)
		c := asks(group, a)[i]
		// B is an owner by another group, so that the directory shows two.
		r.mustGroup(t, groupWith(`"others"`, entries(b.id), `"externalId":"top"`))
		r.lets(t, 200, ask{"a group of one", "rfc", "PUT", "/Groups/" + group, groupOf("owners", entries(a.id))})
		for _, org := range []int64{113, 114} {
			if _, err := r.Sandbox.Edit(sandbox.Edit{Email: b.name, Role: &sandbox.EditRole{OrganizationID: org, RoleID: viewer}}); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			r.refuse(t, 403, c, "/Groups/"+group+"?attributes=displayName,externalId,members")
		}
		if got := r.owners(113, a, b); len(got) != 1 {
			t.Errorf("%s: the owners are %v", c.name, got)
		}
		tried++
	}
	return tried
}

// lastOwnersAtOnce: of two who are taken away by two requests one stays.
func lastOwnersAtOnce(t *testing.T) int {
	r, group, a, b := ownerRig(t)
	back := ask{"back", "rfc", "PUT", "/Groups/" + group, groupOf("owners", entries(a.id, b.id))}
	tried := 0
	for _, c := range []struct {
		name, method string
		path, body   func(*person) string
	}{
		{"remove from the group", "PATCH", func(*person) string { return "/Groups/" + group }, func(p *person) string {
			return bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"` + p.id + `\"]"}`)
		}},
		{"deactivation", "PATCH", func(p *person) string { return "/Users/" + p.id }, func(*person) string { return bridgetest.PatchOp(off) }},
		{"removal and deactivation", "PATCH", func(p *person) string {
			if p == a {
				return "/Users/" + p.id
			}
			return "/Groups/" + group
		}, func(p *person) string {
			if p == a {
				return bridgetest.PatchOp(off)
			}
			return bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"` + p.id + `\"]"}`)
		}},
		{"DELETE", "DELETE", func(p *person) string { return "/Users/" + p.id }, func(*person) string { return "" }},
	} {
		var wg sync.WaitGroup
		var status [2]int
		for i, p := range []*person{a, b} {
			wg.Go(func() { status[i] = r.Do(c.method, c.path(p), c.body(p)).Status })
		}
		wg.Wait()
		tried += 2
		refused := 0
		for _, s := range status {
			if s == 403 {
				refused++
			}
		}
		for _, org := range []int64{113, 114} {
			if got := r.owners(org, a, b); refused != 1 || len(got) != 1 {
				t.Errorf("%s: status %v, owners of %d afterwards: %v; want one refused and one owner", c.name, status, org, got)
			}
		}
		if c.method == "DELETE" {
			break
		}
		for _, p := range []*person{a, b} {
			r.lets(t, 200, ask{"back", "rfc", "PATCH", "/Users/" + p.id, bridgetest.PatchOp(`{"op":"replace","path":"active","value":true}`)})
		}
		r.lets(t, 200, back)
		if got := r.owners(113, a, b); len(got) != 2 {
			t.Fatalf("%s: the owners are %v after both are back", c.name, got)
		}
	}
	return tried
}
