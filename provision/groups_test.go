package provision_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// ruled are the lines of a tenant that maps three groups.
var ruled = []string{`rules:
  - {match: Administrators, role: Administrator}
  - {match: Managers, role: Manager}
  - {match: Retail, role: Analyst, organizations: [114]}`}

func group(name string, members ...string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":[%s]}`, name, memberList(members))
}

func memberList(ids []string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = fmt.Sprintf(`{"value":%q}`, id)
	}
	return strings.Join(parts, ",")
}

func addMembers(ids ...string) string {
	return bridgetest.PatchOp(fmt.Sprintf(`{"op":"add","path":"members","value":[%s]}`, memberList(ids)))
}

func removeMember(id string) string {
	return bridgetest.PatchOp(fmt.Sprintf(`{"op":"remove","path":"members[value eq %s]"}`, strings.ReplaceAll(fmt.Sprintf("%q", id), `"`, `\"`)))
}

func person(s *bridgetest.Stack, email string) string {
	return s.Must(201, "POST", "/Users", bridgetest.User(email)).ID()
}

// held are the roles that an address holds or is offered upstream, such as
// "113:3 114:3!" where "!" marks a suspended membership and "?" an offered one.
func held(s *bridgetest.Stack, email string) string {
	st := s.Sandbox.State()
	var roles []string
	for _, a := range st.Accounts {
		if strings.EqualFold(a.Email, email) {
			for _, m := range a.Memberships {
				mark := map[string]string{"suspended": "!", "invited": "?"}[m.State]
				roles = append(roles, fmt.Sprintf("%d:%d%s", m.OrganizationID, m.RoleID, mark))
			}
		}
	}
	if len(roles) > 0 {
		return strings.Join(roles, " ")
	}
	for _, i := range st.Invites {
		if strings.EqualFold(i.Email, email) && i.State == "pending" {
			roles = append(roles, fmt.Sprintf("invite %v:%d", i.OrganizationIDs, i.RoleID))
		}
	}
	return strings.Join(roles, " ")
}

// eventually waits for what a job does.
func eventually(t *testing.T, what string, got func() string, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for last := got(); last != want; last = got() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: %s, want %s", what, last, want)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// unfinished lists the kinds of the tenant's jobs that are not done.
func unfinished(t *testing.T, s *bridgetest.Stack) string {
	t.Helper()
	all, err := s.Store.Jobs(t.Context(), "acme", 100)
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{}
	for _, j := range all {
		if j.State == store.JobQueued || j.State == store.JobRunning {
			kinds = append(kinds, j.Kind)
		}
	}
	return fmt.Sprint(kinds)
}

func accept(t *testing.T, s *bridgetest.Stack, email string) {
	t.Helper()
	if err := s.Sandbox.Accept(email); err != nil {
		t.Fatal(err)
	}
}

func TestGroupGivesAndTakesRoles(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		ana, ben := person(s, "ana@example.com"), person(s, "ben@example.com")
		accept(t, s, "ana@example.com")
		s.Must(200, "GET", "/Users/"+ana, "")
		g := s.Must(201, "POST", "/Groups", group("managers")).ID()
		s.Must(200, "PATCH", "/Groups/"+g, addMembers(ana))
		equal(t, "Ana", held(s, "ana@example.com"), "113:3 114:3")
		u := s.Must(200, "GET", "/Users/"+ana, "")
		equal(t, "groups", u.JSON("groups.0.value"), any(g))
		equal(t, "because", u.Extension()["effectiveRole"].(map[string]any)["because"], any(`rules[1]: group "managers"`))

		s.Must(200, "PATCH", "/Groups/"+g, addMembers(ana, ben))
		s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))
		equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:5")
		s.Must(200, "PATCH", "/Groups/"+g, removeMember(ana))

		retail := s.Must(201, "POST", "/Groups", group("Retail", ana)).ID()
		equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:4")
		s.Must(200, "PATCH", "/Groups/"+g, addMembers(ana))
		equal(t, "Ana", held(s, "ana@example.com"), "113:3 114:3")
		s.Must(204, "DELETE", "/Groups/"+g, "")
		equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:4")
		s.Must(404, "GET", "/Groups/"+g, "")
		s.Must(404, "DELETE", "/Groups/"+g, "")
		s.Must(200, "PATCH", "/Groups/"+retail, bridgetest.PatchOp(`{"op":"replace","value":{"displayName":"Whoever"}}`))
		equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:5")
	}, ruled...)
}

func TestPendingPersonGetsItsRoleOnAcceptance(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		ben := person(s, "ben@example.com")
		s.Must(201, "POST", "/Groups", group("Managers", ben))
		s.Must(201, "POST", "/Groups", group("Administrators", ben))
		accept(t, s, "ben@example.com")
		if _, err := s.Bridge.Service.ScanNow(t.Context(), "acme"); err != nil {
			t.Fatal(err)
		}
		eventually(t, "Ben", func() string { return held(s, "ben@example.com") }, "113:2 114:2")
	}, ruled...)
}

func TestRequiredGroup(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		r := s.Must(201, "POST", "/Users", bridgetest.User("cas@example.com"))
		equal(t, "upstream", held(s, "cas@example.com"), "")
		equal(t, "active", r.JSON("active"), any(true))
		equal(t, "notApplied", fmt.Sprint(r.Extension()["notApplied"]), "[active]")
		cas := r.ID()
		g := s.Must(201, "POST", "/Groups", group("Managers", cas)).ID()
		equal(t, "mails", mails(s, "cas@example.com"), 1)
		accept(t, s, "cas@example.com")
		equal(t, "upstream", held(s, "cas@example.com"), "113:3 114:3")
		s.Must(200, "PATCH", "/Groups/"+g, removeMember(cas))
		equal(t, "access", fmt.Sprint(access(s, "cas@example.com")), "[]")
		r = s.Must(200, "GET", "/Users/"+cas, "")
		equal(t, "active", r.JSON("active"), any(true))
		s.Must(200, "PATCH", "/Groups/"+g, addMembers(cas))
		equal(t, "upstream", held(s, "cas@example.com"), "113:3 114:3")
		s.Must(200, "PATCH", "/Users/"+cas, setActive(false))
		equal(t, "access", fmt.Sprint(access(s, "cas@example.com")), "[]")
		equal(t, "active", s.Must(200, "GET", "/Users/"+cas, "").JSON("active"), any(false))
		s.Must(200, "PATCH", "/Users/"+cas, setActive(true))
		equal(t, "upstream", held(s, "cas@example.com"), "113:3 114:3")
	}, append(ruled, "require_group: true")...)
}

func TestRemovalIsNotAcknowledgedBeforeTheRoleIsGone(t *testing.T) {
	inBothModes(t, func(t *testing.T, s *bridgetest.Stack) {
		ana := person(s, "ana@example.com")
		accept(t, s, "ana@example.com")
		g := s.Must(201, "POST", "/Groups", group("Managers", ana)).ID()
		equal(t, "Ana", held(s, "ana@example.com"), "113:3 114:3")
		faults(t, s, sandbox.Rule{Operation: "set_role", Status: 503})
		for range 2 {
			s.Must(503, "PATCH", "/Groups/"+g, removeMember(ana))
			equal(t, "Ana", held(s, "ana@example.com"), "113:3 114:3")
		}
		s.Must(503, "DELETE", "/Groups/"+g, "")
		faults(t, s)
		s.Must(204, "DELETE", "/Groups/"+g, "")
		equal(t, "Ana", held(s, "ana@example.com"), "113:5 114:5")
		s.Must(404, "DELETE", "/Groups/"+g, "")
	}, append(ruled, "guards: {role_losses: off}")...)
}

func TestFiftyConcurrentPatchesLoseNobody(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: ruled})
	var ids []string
	for i := range 50 {
		ids = append(ids, person(s, fmt.Sprintf("p%d@example.com", i)))
	}
	g := s.Must(201, "POST", "/Groups", group("Managers")).ID()
	var wg sync.WaitGroup
	for _, id := range ids {
		wg.Go(func() { s.Must(200, "PATCH", "/Groups/"+g, addMembers(id)) })
	}
	wg.Wait()
	equal(t, "members", len(s.Must(200, "GET", "/Groups/"+g, "").JSON("members").([]any)), 50)
	for i := range ids {
		eventually(t, ids[i], func() string { return held(s, fmt.Sprintf("p%d@example.com", i)) }, "113:3? 114:3?")
	}
}

func TestGroupGuards(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: append([]string{"guards: {role_losses: {limit: 2, percent: 0, window: 1h}, protected: {emails: [boss@example.com]}}"}, ruled...)})
	var ids []string
	for i := range 4 {
		ids = append(ids, person(s, fmt.Sprintf("p%d@example.com", i)))
	}
	boss := person(s, "boss@example.com")
	g := s.Must(201, "POST", "/Groups", group("Managers", ids...)).ID()
	before := len(s.Sandbox.Ledger())
	r := s.Must(429, "PATCH", "/Groups/"+g, bridgetest.PatchOp(`{"op":"remove","path":"members"}`))
	if !strings.Contains(fmt.Sprint(r.JSON("detail")), "tenant guard release") {
		t.Errorf("detail: %v", r.JSON("detail"))
	}
	s.Must(429, "DELETE", "/Groups/"+g, "")
	s.Must(429, "PATCH", "/Groups/"+g, bridgetest.PatchOp(`{"op":"replace","path":"displayName","value":"Nobody"}`))
	equal(t, "ledger", len(s.Sandbox.Ledger()), before)
	s.Must(200, "PATCH", "/Groups/"+g, removeMember(ids[0]))
	s.Must(200, "PATCH", "/Groups/"+g, removeMember(ids[1]))
	s.Must(429, "PATCH", "/Groups/"+g, removeMember(ids[2]))
	if err := s.Bridge.Service.ReleaseGuard(t.Context(), "acme", "role_losses", time.Hour, "cli"); err != nil {
		t.Fatal(err)
	}
	s.Must(204, "DELETE", "/Groups/"+g, "")
	s.Must(403, "POST", "/Groups", group("Administrators", boss))
	s.Must(201, "POST", "/Groups", group("Everybody", boss))
	s.Must(403, "PATCH", "/Users/"+boss, setActive(false))
	s.Must(403, "DELETE", "/Users/"+boss, "")
}

func TestDeactivationGuard(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{"guards: {deactivations: {limit: 2, percent: 0, window: 1h}}"}})
	var ids []string
	for i := range 4 {
		ids = append(ids, person(s, fmt.Sprintf("p%d@example.com", i)))
	}
	s.Must(200, "PATCH", "/Users/"+ids[0], setActive(false))
	s.Must(200, "PATCH", "/Users/"+ids[0], setActive(false))
	s.Must(204, "DELETE", "/Users/"+ids[1], "")
	r := s.Must(429, "DELETE", "/Users/"+ids[2], "")
	equal(t, "Retry-After", r.Header.Get("Retry-After") != "", true)
	s.Must(429, "PATCH", "/Users/"+ids[2], setActive(false))
	equal(t, "access", fmt.Sprint(access(s, "p2@example.com")), "[113 114]")
	s.Must(204, "DELETE", "/Users/"+ids[0], "") // has no access to lose
	if err := s.Bridge.Service.ReleaseGuard(t.Context(), "acme", "deactivations", time.Hour, "cli"); err != nil {
		t.Fatal(err)
	}
	s.Must(200, "PATCH", "/Users/"+ids[2], setActive(false))
	s.Must(200, "PATCH", "/Users/"+ids[3], setActive(false))
}

// A role that the credential may not give stands in the way of nothing else.
func TestRefusedRoleStopsNothingElse(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{"ceiling: Owner", "rules: [{match: Boss, role: Owner}]"}})
	ana := person(s, "ana@example.com")
	accept(t, s, "ana@example.com")
	s.Must(201, "POST", "/Groups", group("Boss", ana))
	s.Must(200, "PATCH", "/Users/"+ana, bridgetest.PatchOp(`{"op":"replace","path":"name.givenName","value":"Zed"}`))
	equal(t, "name", s.Sandbox.State().Account("ana@example.com").FirstName, "Zed")
	s.Must(200, "PATCH", "/Users/"+ana, setActive(false))
	equal(t, "access", fmt.Sprint(access(s, "ana@example.com")), "[]")
	r := s.Must(200, "PATCH", "/Users/"+ana, setActive(true))
	equal(t, "upstream", held(s, "ana@example.com"), "113:5 114:5")
	equal(t, "because", r.Extension()["effectiveRole"].(map[string]any)["because"], any(`held upstream; due is Owner (rules[0]: group "Boss")`))
}

func TestDefaultRoleAboveTheCeiling(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{NoScan: true, Idle: true})
	s.Apply(strings.Replace(bridgetest.Tenant("acme", s.UpstreamURL), "default_role: Viewer", "default_role: Owner", 1))
	eventually(t, "status", func() string { return fmt.Sprint(s.Do("GET", "/Roles", "").Status) }, "503")
}

func TestAddressGuard(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{"guards: {addresses: {limit: 1, percent: 0, window: 1h}, deactivations: {limit: 1, percent: 0, window: 1h}}"}})
	ana, ben := person(s, "ana@example.com"), person(s, "ben@example.com")
	s.Must(200, "PATCH", "/Users/"+ana, bridgetest.PatchOp(`{"op":"replace","path":"userName","value":"ann@example.com"}`))
	s.Must(200, "PATCH", "/Users/"+ana, bridgetest.PatchOp(`{"op":"replace","path":"userName","value":"anna@example.com"}`))
	s.Must(429, "PATCH", "/Users/"+ben, bridgetest.PatchOp(`{"op":"replace","path":"userName","value":"bob@example.com"}`))
	s.Must(429, "PATCH", "/Users/"+ben, bridgetest.PatchOp(`{"op":"replace","path":"emails[type eq \"work\"].value","value":"bob@example.com"}`))
	s.Must(200, "PATCH", "/Users/"+ben, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"Boss"}`))
	equal(t, "access by the old address", fmt.Sprint(access(s, "ben@example.com")), "[113 114]")
	one := fmt.Sprintf(`{"op":"replace","path":"%s:organizationIds","value":[113]}`, bridgetest.ExtensionURN)
	s.Must(200, "PATCH", "/Users/"+ana, bridgetest.PatchOp(one))
	s.Must(429, "PATCH", "/Users/"+ben, bridgetest.PatchOp(one))
	equal(t, "access", fmt.Sprint(access(s, "ben@example.com")), "[113 114]")
}

func TestCeiling(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{Tenant: []string{"rules: [{match: owners, role: Owner}, {match: Managers, role: Manager}]"}})
	ana := person(s, "ana@example.com")
	g := s.Must(201, "POST", "/Groups", group("People", ana)).ID()
	s.Must(403, "PATCH", "/Groups/"+g, bridgetest.PatchOp(`{"op":"replace","path":"displayName","value":"Owners"}`))
	s.Must(403, "POST", "/Groups", group("Owners", ana))
	empty := s.Must(201, "POST", "/Groups", group("Owners")).ID()
	s.Must(403, "PATCH", "/Groups/"+empty, addMembers(ana))
	equal(t, "Ana", held(s, "ana@example.com"), "113:5? 114:5?")
}

func TestGroupFilters(t *testing.T) {
	t.Parallel()
	s := bridgetest.Start(t, bridgetest.Config{})
	ana, ben := person(s, "ana@example.com"), person(s, "ben@example.com")
	g := s.Must(201, "POST", "/Groups", group("Staff", ana)).ID()
	h := s.Must(201, "POST", "/Groups", group("Others", ana, ben)).ID()
	for filter, want := range map[string]string{
		`displayName eq "STAFF"`:                                           g,
		fmt.Sprintf(`members.value eq %q`, ben):                            h,
		fmt.Sprintf(`id eq %q and members eq %q`, g, ana):                  g,
		fmt.Sprintf(`members eq %q and id eq %q`, ben, g):                  "",
		fmt.Sprintf(`members[value eq %q] and displayName co "aff"`, ana):  g,
		`members.display sw "ben"`:                                         h,
		`displayName eq "others" and members.display eq "BEN@example.com"`: h,
		`displayName eq "staff" and members.type eq "User"`:                g,
		`displayName eq "nobody"`:                                          "",
	} {
		r := s.Must(200, "GET", "/Groups?excludedAttributes=members&filter="+url.QueryEscape(filter), "")
		list := r.JSON("Resources").([]any)
		got := ""
		if len(list) == 1 {
			got = list[0].(map[string]any)["id"].(string)
		}
		if got != want || want == "" && len(list) > 0 {
			t.Errorf("%s: %v, want %q", filter, list, want)
		}
	}
	r := s.Must(409, "POST", "/Groups", group("staff"))
	equal(t, "scimType", r.JSON("scimType"), any("uniqueness"))
	s.Must(400, "PATCH", "/Groups/"+g, addMembers(h))
	s.Must(204, "DELETE", "/Users/"+ana, "")
	equal(t, "members", len(s.Must(200, "GET", "/Groups/"+h, "").JSON("members").([]any)), 1)
	rows, err := s.Store.RoleWork(t.Context(), "acme", store.RoleWorkQuery{})
	if err != nil || len(rows) != 0 {
		t.Errorf("role work without rules: %v, %v", rows, err)
	}
}
