package badinput

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// privileges are the rows of group X about who must never be touched, and what
// nobody may give (I4, I12).
var privileges = []situation{
	{"X146 protected accounts", protectedAccounts},
	{"X146 accounts that are protected later", protectedLater},
	{"X146 unmanaged accounts", unmanagedAccounts},
	{"X147 the attribute roles without opt-in", rolesWithoutOptIn},
	{"X147 the attribute roles up to the ceiling", rolesUpToCeiling},
}

// refuse sends what has to be refused: nothing happens upstream, and what the
// bridge shows at the paths stays.
func (r *rig) refuse(t *testing.T, status int, c ask, paths ...string) bridgetest.Response {
	t.Helper()
	shows := func() (all []string) {
		for _, path := range paths {
			all = append(all, string(r.quietly(t, "GET", path, "").Body))
		}
		return all
	}
	ledger, before := len(r.Sandbox.Ledger()), shows()
	res := r.quietly(t, c.method, c.path, c.body, "Authorization", "Bearer "+r.tokens[c.as])
	r.tried++
	if res.Status != status {
		t.Errorf("%s: status %d, want %d\n%s", c.name, res.Status, status, excerpt(res.Body))
		return res
	}
	scimType, _ := res.JSON("scimType").(string)
	r.judge(t, attempt{method: c.method, scimType: scimType}, res)
	if now := r.Sandbox.Ledger()[ledger:]; len(now) > 0 {
		t.Errorf("%s: refused, and yet the ledger has %s", c.name, describe(now))
	}
	if now := shows(); !slices.Equal(now, before) {
		t.Errorf("%s: refused, and yet it changed something\nbefore %s\nafter  %s", c.name, before, now)
	}
	return res
}

// find is the person of a user name that was there before.
func (r *rig) find(t *testing.T, name string) *person {
	t.Helper()
	res := r.quietly(t, "GET", "/Users?filter="+url.QueryEscape(fmt.Sprintf("userName eq %q", name)), "")
	id, ok := res.JSON("Resources.0.id").(string)
	if !ok {
		t.Fatalf("nobody is called %s: %s", name, res.Body)
	}
	return &person{id: id, name: name}
}

// touches are the ways in which clients change a person or give it a role;
// group is one whose name no rule has, and whose member the person is.
func touches(p, other *person, group, mapped string) []ask {
	all := append(endings(p),
		ask{"a title", "rfc", "PATCH", "/Users/" + p.id, bridgetest.PatchOp(`{"op":"replace","path":"name.familyName","value":"Changed"}`)},
		ask{"another address", "entra", "PATCH", "/Users/" + p.id, bridgetest.PatchOp(`{"op":"Replace","path":"emails[type eq \"work\"].value","value":"mine@example.com"}`)},
		ask{"another name", "okta", "PUT", "/Users/" + p.id, userOf("mine@example.com")},
		ask{"a PUT", "rfc", "PUT", "/Users/" + p.id, userOf(p.name, `"title":"x"`)},
		ask{"a rename of its group", "okta", "PATCH", "/Groups/" + group, bridgetest.PatchOp(`{"op":"replace","value":{"id":"` + group + `","displayName":"Managers-renamed"}}`)},
		ask{"a rename of its group by PUT", "rfc", "PUT", "/Groups/" + group, groupOf("Managers-renamed", "")},
		ask{"an externalId for its group", "entra", "PATCH", "/Groups/" + group, bridgetest.PatchOp(`{"op":"Add","path":"externalId","value":"5"}`)},
	)
	for _, w := range ways {
		list := entries(other.id, p.id)
		fill := strings.NewReplacer("{list}", list, "{group}", mapped, "{title}", "Managers-mapped", "{new}", p.id)
		all = append(all, ask{w.name + " into a group", w.as, w.method, fill.Replace(w.path), fill.Replace(w.body)})
	}
	return all
}

func protectedAccounts(t *testing.T) int {
	tenant := []string{groupRules[0], strings.TrimSuffix(unguarded, "}") + ", protected: {user_ids: [1004], emails: [Person00002@example.com], role: Owner}}"}
	r := startRig(t, bridgetest.Config{Sandbox: sandbox.Options{Users: 4}, Tenant: tenant, Idle: true})
	mapped := r.mustGroup(t, groupOf("Managers-mapped", ""))
	for _, name := range []string{"person00001@example.com", "person00002@example.com", "owner113@sharearefund.example"} {
		p := r.find(t, name)
		group := r.mustGroup(t, groupOf("Plain "+name, entries(p.id)))
		for _, c := range touches(p, r.find(t, "person00004@example.com"), group, mapped) {
			c.name = name + ": " + c.name
			r.refuse(t, 403, c, "/Users/"+p.id, "/Groups/"+group, "/Groups/"+mapped)
		}
		for _, as := range []string{"rfc", "okta", "entra"} {
			status := 403 // it would be adopted
			if strings.HasPrefix(name, "owner") {
				status = 409 // its domain is nobody's
			}
			r.refuse(t, status, ask{name + ": a create", as, "POST", "/Users", userOf(strings.ToUpper(name))}, "/Users/"+p.id)
		}
	}
	if len(r.Sandbox.Ledger()) > 0 {
		t.Errorf("the ledger has %s", describe(r.Sandbox.Ledger()))
	}
	r.reckon(t)
	return r.tried
}

// protectedLater: who has a role through a group when it comes to be protected
// keeps it, whatever becomes of the group.
func protectedLater(t *testing.T) int {
	cfg := lasting(t, groupRules)
	first := startRig(t, cfg)
	all := first.people(t, 2)
	p, other := all[0], all[1]
	group := first.mustGroup(t, groupOf("Managers-kept", entries(p.id, other.id)))
	cfg.Tenant = []string{groupRules[0], strings.TrimSuffix(unguarded, "}") + ", protected: {emails: [" + p.name + "]}}"}
	r := first.again(t, cfg)
	ids := []*person{p, other, p, other}
	for _, c := range append(endings(p), emptyings(group, "Managers-kept", ids)...) {
		r.refuse(t, 403, c, "/Users/"+p.id, "/Groups/"+group)
	}
	r.refuse(t, 403, ask{"PUT of the other", "rfc", "PUT", "/Groups/" + group, groupOf("Managers-kept", entries(other.id))}, "/Groups/"+group)
	r.lets(t, 204, ask{"remove of the other", "rfc", "PATCH", "/Groups/" + group, bridgetest.PatchOp(`{"op":"remove","path":"members[value eq \"` + other.id + `\"]"}`)})
	if a := r.Sandbox.State().Account(p.name); a == nil || a.Membership(113).RoleID != manager || !a.Accessible {
		t.Errorf("who is protected is %+v in the sandbox", a)
	}
	return r.tried
}

// unmanagedAccounts: who was there before and cannot be adopted is not given a
// role by way of a group either (finding 8).
func unmanagedAccounts(t *testing.T) int {
	r := startRig(t, bridgetest.Config{Sandbox: sandbox.Options{Users: 1}, Tenant: groupRules, Idle: true, NoScan: true})
	if _, err := r.Sandbox.AddAccount(sandbox.NewAccount{Email: "guest@elsewhere.test", FirstName: "Guest", LastName: "User", CountryID: "CA",
		Memberships: []sandbox.Membership{{OrganizationID: 113, RoleID: viewer, State: sandbox.StateActive}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
		t.Fatal(err)
	}
	before := len(r.Sandbox.Ledger())
	p, other := r.find(t, "guest@elsewhere.test"), r.find(t, "person00001@example.com")
	mapped := r.mustGroup(t, groupOf("Managers-mapped", ""))
	group := r.mustGroup(t, groupOf("Plain", entries(p.id)))
	for _, c := range touches(p, other, group, mapped) {
		res := r.refuse(t, 403, c, "/Users/"+p.id, "/Groups/"+group, "/Groups/"+mapped)
		if detail := fmt.Sprint(res.JSON("detail")); !strings.Contains(detail, "person adopt") {
			t.Errorf("%s: detail %q does not say how it is adopted", c.name, detail)
		}
	}
	if n := len(r.Sandbox.Ledger()) - before; n != 0 {
		t.Errorf("%d effects upstream", n)
	}
	return r.tried
}

// roleValues are the shapes in which clients name a role in a User.
func roleValues(role string) []string {
	return []string{`[{"value":"` + role + `"}]`, `[{"value":"` + role + `","primary":true,"type":"WindowsAzureActiveDirectoryRole"}]`, `[{"display":"` + role + `","value":"x"}]`,
		`[{"value":"{\"id\":\"x\",\"value\":\"` + role + `\",\"displayName\":\"` + role + `\"}"}]`, `[{"value":"` + strings.ToUpper(role) + `"},{"value":"Viewer"}]`}
}

// giveRoles says a role in every shape, and returns the addresses concerned.
func giveRoles(t *testing.T, r *rig, role string) (names []string) {
	t.Helper()
	for _, as := range []string{"rfc", "okta", "entra"} {
		for _, v := range roleValues(role) {
			if as == "rfc" && strings.Contains(v, `\"`) {
				continue
			}
			name := r.newName()
			r.lets(t, 201, ask{"POST with roles " + v, as, "POST", "/Users", userOf(name, `"roles":`+v)})
			if err := r.Sandbox.Accept(name); err != nil {
				t.Fatal(err)
			}
			ps := r.people(t, 2)
			r.lets(t, 200, ask{"PUT with roles " + v, as, "PUT", "/Users/" + ps[0].id, userOf(ps[0].name, `"roles":`+v)})
			r.lets(t, 200, ask{"PATCH of roles " + v, as, "PATCH", "/Users/" + ps[1].id, bridgetest.PatchOp(`{"op":"add","path":"roles","value":` + v + `}`)})
			names = append(names, name, ps[0].name, ps[1].name)
			r.tried += 3
		}
	}
	return names
}

func rolesWithoutOptIn(t *testing.T) int {
	r := startRig(t, bridgetest.Config{Tenant: groupRules, Idle: true})
	for _, role := range []string{"Owner", "Administrator"} {
		for _, name := range giveRoles(t, r, role) {
			a := r.Sandbox.State().Account(name)
			if a == nil || a.Membership(113).RoleID != viewer || a.Membership(114).RoleID != viewer {
				t.Errorf("%s asked for %s and is %+v", name, role, a)
			}
		}
	}
	return r.tried
}

func rolesUpToCeiling(t *testing.T) int {
	r := startRig(t, bridgetest.Config{Tenant: []string{"roles_attribute: true", "ceiling: Manager", unguarded}, Idle: true})
	names := giveRoles(t, r, "Owner")
	granted := 0
	for _, e := range r.Sandbox.Ledger() {
		if e.After == nil {
			continue
		}
		for _, m := range e.After.Memberships {
			if m.RoleID < manager {
				t.Errorf("%s has the role %d by %s", e.Email, m.RoleID, e.Operation)
			}
		}
	}
	for _, name := range names {
		if a := r.Sandbox.State().Account(name); a != nil && a.Membership(113).RoleID == manager {
			granted++
		}
	}
	if granted == 0 {
		t.Error("nobody was given anything, so nothing was lowered to the ceiling")
	}
	return r.tried
}
