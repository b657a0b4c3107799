package invariants

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// The ids of upstream's roles.
const (
	owner         = 1
	administrator = 2
	manager       = 3
	analyst       = 4
	viewer        = 5
)

const (
	// mapped is the line of a tenant whose rules give roles to groups.
	mapped = `rules:
  - {match: Managers, role: Manager}
  - {match: {glob: "Admins *"}, role: Administrator}
  - {match: Retail, role: Analyst, organizations: [114]}`
	// requireGroup keeps out whoever is in none of them.
	requireGroup = "require_group: true"
)

// group is the body of a create or PUT that names every member.
func group(name string, members ...string) string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":%q,"members":%s}`, name, memberList(members))
}

func memberList(ids []string) string {
	parts := make([]string, len(ids))
	for i, id := range ids {
		parts[i] = fmt.Sprintf(`{"value":%q}`, id)
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func addMembers(ids ...string) string {
	return patch(fmt.Sprintf(`{"op":"add","path":"members","value":%s}`, memberList(ids)))
}

func removeMembers(ids ...string) string {
	return patch(fmt.Sprintf(`{"op":"remove","path":"members","value":%s}`, memberList(ids)))
}

// removeMember is the shape that names the member in a value path.
func removeMember(id string) string {
	return patch(fmt.Sprintf(`{"op":"remove","path":"members[value eq \"%s\"]"}`, id))
}

func renameGroup(name string) string {
	return patch(fmt.Sprintf(`{"op":"replace","path":"displayName","value":%q}`, name))
}

func byName(name string) string {
	return "/Groups?filter=" + url.QueryEscape(fmt.Sprintf("displayName eq %q", name))
}

// members are the ids in a group, as the process shows it, in order.
func (p *process) members(id string) []string {
	p.rig.t.Helper()
	a := p.insistOn(200, "GET", "/Groups/"+id, "")
	var g struct{ Members []struct{ Value string } }
	check(p.rig.t, json.Unmarshal(a.Body, &g))
	ids := []string{}
	for _, m := range g.Members {
		ids = append(ids, m.Value)
	}
	slices.Sort(ids)
	return ids
}

// held are the roles that an address holds or is offered upstream, such as
// "113:3 114:3!", where "!" marks a suspended membership and "?" an offered
// one, or "invite [113 114]:5".
func (r *rig) held(email string) string {
	st := r.sandbox.State()
	var roles []string
	if a := st.Account(email); a != nil {
		for _, m := range a.Memberships {
			mark := map[string]string{"suspended": "!", "invited": "?"}[m.State]
			roles = append(roles, fmt.Sprintf("%d:%d%s", m.OrganizationID, m.RoleID, mark))
		}
		slices.Sort(roles)
		return strings.Join(roles, " ")
	}
	for _, i := range st.InvitesOf(email) {
		if i.State == "pending" {
			roles = append(roles, fmt.Sprintf("invite %v:%d", i.OrganizationIDs, i.RoleID))
		}
	}
	return strings.Join(roles, " ")
}

// everywhere is what somebody holds who has a role in all organizations of
// acme.
func everywhere(role int) string { return fmt.Sprintf("113:%d 114:%d", role, role) }

// offered is what somebody holds who is due a role everywhere and has not
// accepted.
func (r *rig) offered(role int) string {
	if r.setup.Invites == sandbox.Deferred {
		return fmt.Sprintf("invite [113 114]:%d", role)
	}
	return fmt.Sprintf("113:%d? 114:%d?", role, role)
}

// holds waits until the address holds the roles: those that are given may
// trail.
func (r *rig) holds(email, want string) {
	r.t.Helper()
	eventually(r.t, patience, email+" holds "+want, func() error {
		if got := r.held(email); got != want {
			return fmt.Errorf("upstream has %q%s", got, r.history(email))
		}
		return nil
	})
}

// holdsNow fails the test where the address holds other roles at this moment.
func (r *rig) holdsNow(what, email, want string) {
	r.t.Helper()
	if got := r.held(email); got != want {
		r.t.Errorf("%s: %s holds %q upstream, want %q%s", what, email, got, want, r.history(email))
	}
}

// settled waits until no role is left to be given or taken.
func (r *rig) settled() {
	r.t.Helper()
	eventually(r.t, 2*patience, "the roles are put right", func() error {
		all, _, err := r.store.CountRoleWork(r.t.Context(), "acme")
		check(r.t, err)
		if all > 0 {
			work, err := r.store.RoleWork(r.t.Context(), "acme", store.RoleWorkQuery{Limit: 3})
			check(r.t, err)
			return fmt.Errorf("%d are left, such as %+v", all, work)
		}
		return nil
	})
}

// bothRuled is both for tenants with rules.
func bothRuled(t *testing.T, s setup, lines []string, f func(t *testing.T, r *rig)) {
	t.Helper()
	s.Tenant = append([]string{mapped}, lines...)
	both(t, s, f)
}

// whenMet sends a request whose upstream call the sandbox holds at the gate
// "here", and does something meanwhile. It is false when the request was
// answered without getting there.
func (r *rig) whenMet(send func() answer, meanwhile func()) (a answer, met bool) {
	r.t.Helper()
	answered := make(chan answer, 1)
	go func() { answered <- send() }()
	for end := time.Now().Add(time.Minute); ; {
		for _, g := range r.sandbox.Gates() {
			met = met || g.Name == "here" && g.Waiting > 0
		}
		if met {
			meanwhile()
			check(r.t, r.sandbox.OpenGate("here"))
			return <-answered, true
		}
		select {
		case a = <-answered:
			return a, false
		case <-time.After(5 * time.Millisecond): // to look less often
		}
		if time.Now().After(end) {
			r.t.Fatal("the request is neither answered nor held at the gate")
		}
	}
}
