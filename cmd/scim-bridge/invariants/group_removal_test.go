package invariants

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// leaving is a shape in which clients take somebody out of a group. %g stands
// for the group's name, %m for the member's id, %o for that of another one who
// stays, where the shape leaves anybody.
type leaving struct {
	name, method, body string
	status             int
	// empties says that the other one leaves too.
	empties bool
}

var leavings = []leaving{
	{"a value path", "PATCH", patch(`{"op":"remove","path":"members[value eq \"%m\"]"}`), 204, false},
	{"Entra's list of values", "PATCH", patch(`{"op":"Remove","path":"members","value":[{"value":"%m"}]}`), 204, false},
	{"the members replaced", "PATCH", patch(`{"op":"replace","path":"members","value":[{"value":"%o"}]}`), 204, false},
	{"the members replaced without a path", "PATCH", patch(`{"op":"replace","value":{"members":[{"value":"%o"}]}}`), 204, false},
	{"all of them", "PATCH", patch(`{"op":"remove","path":"members"}`), 204, true},
	{"another name", "PATCH", patch(`{"op":"replace","path":"displayName","value":"Former %g"}`), 204, true},
	{"Okta's name with an id", "PATCH", patch(`{"op":"replace","value":{"id":"whatever","displayName":"Former %g"}}`), 204, true},
	{"removed and somebody added", "PATCH", patch(`{"op":"remove","path":"members","value":[{"value":"%m"}]}`, `{"op":"add","path":"members","value":[{"value":"%o"}]}`), 204, false},
	{"a PUT without the member", "PUT", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"%g","members":[{"value":"%o"}]}`, 200, false},
	{"a PUT without anybody", "PUT", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"%g","members":[]}`, 200, true},
	{"a PUT with another name", "PUT", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Former %g"}`, 200, true},
	{"DELETE", "DELETE", "", 204, true},
}

func (l leaving) send(p *process, groupID, name, member, other string) answer {
	p.rig.t.Helper()
	body := strings.NewReplacer("%g", name, "%m", member, "%o", other).Replace(l.body)
	return p.insist(patience, l.method, "/Groups/"+groupID, body)
}

// TestI3_NoRoleInAnyShapeOfLeavingAGroup: from the moment of the answer on,
// upstream does not have the role, or the access, that the group gave.
func TestI3_NoRoleInAnyShapeOfLeavingAGroup(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"roles": {}, "access": {requireGroup}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothRuled(t, setup{Redis: true}, lines, func(t *testing.T, r *rig) {
				n := 0
				for _, l := range leavings {
					for _, hasAccepted := range []bool{false, true} {
						for _, trouble := range []string{"calm", "stale", "failing"} {
							n++
							r.leave(n, l, hasAccepted, trouble, name == "access")
						}
					}
				}
			})
		})
	}
}

// leave has one person leave a group in a shape, and judges what upstream has
// at the moment of the answer.
func (r *rig) leave(n int, l leaving, hasAccepted bool, trouble string, required bool) {
	r.t.Helper()
	what := fmt.Sprintf("%s, accepted %t, %s", l.name, hasAccepted, trouble)
	email, stays := address("leaves%d", n), address("stays%d", n)
	id := r.a.must(201, "POST", "/Users", user(email)).ID()
	other := r.a.must(201, "POST", "/Users", user(stays)).ID()
	g := r.a.must(201, "POST", "/Groups", group(admins(email), id, other)).ID()
	r.settled()
	if hasAccepted {
		r.accept(email)
		r.b.insistOn(200, "PUT", "/Users/"+id, user(email))
		r.holdsNow(what+", before", email, everywhere(administrator))
	}
	switch trouble {
	case "stale":
		r.faults(staleReads(700)...)
	case "failing":
		r.faults(r.takingFails()...)
	}
	a := l.send(r.b, g, admins(email), id, other)
	got, access := r.held(email), r.access(email)
	r.faults()
	if !a.is(l.status, l.method) && !(l.method == "DELETE" && a.Status == 404) {
		r.t.Errorf("%s: %s, want %d", what, a, l.status)
	}
	switch {
	case required && access != none:
		r.t.Errorf("%s: %d was answered, and %s has access to %s%s", what, a.Status, email, access, r.history(email))
	case !required && strings.Contains(got, fmt.Sprint(":", administrator)):
		r.t.Errorf("%s: %d was answered, and %s holds %q%s", what, a.Status, email, got, r.history(email))
	case !required && access != full:
		r.t.Errorf("%s: %s has access to %s, want %s", what, email, access, full)
	}
	if !l.empties {
		r.settled()
		if got := r.held(stays); !strings.Contains(got, fmt.Sprint(":", administrator)) {
			r.t.Errorf("%s: %s, who stays, holds %q%s", what, stays, got, r.history(stays))
		}
	}
	if required {
		if err := r.sandbox.Accept(email); err == nil && r.access(email) != none {
			r.t.Errorf("%s: %s could still accept the invite", what, email)
		}
	}
}

// takingFails are faults that meet whatever takes a role or access away.
func (r *rig) takingFails() []sandbox.Rule {
	var rules []sandbox.Rule
	for _, op := range []string{"set_role", "update_invite", "deactivate_user", "revoke_invite"} {
		rules = append(rules, sandbox.Rule{Operation: op, Times: 1, Status: 503}, sandbox.Rule{Operation: op, Times: 1, Cut: "before"},
			sandbox.Rule{Operation: op, Times: 1, Cut: "after"})
	}
	return rules
}

// TestI3_ARequestIsRepeatedForWhatItTookAway: the first attempt stores what the
// group is to be and fails at upstream. Sent again, the same request changes
// nothing any more, and is not acknowledged either before the role is gone.
func TestI3_ARequestIsRepeatedForWhatItTookAway(t *testing.T) {
	t.Parallel()
	requests := []struct{ name, method, body string }{
		{"a removal", "PATCH", patch(`{"op":"remove","path":"members","value":[{"value":"%m"}]}`)},
		{"a name", "PATCH", patch(`{"op":"replace","path":"displayName","value":"Former %g"}`)},
		{"a name and an addition", "PATCH", patch(`{"op":"replace","path":"displayName","value":"Former %g"}`, `{"op":"add","path":"members","value":[{"value":"%o"}]}`)},
		{"a removal by its display", "PATCH", patch(`{"op":"remove","path":"members[display eq \"%e\"]"}`)},
		{"a PUT", "PUT", group("%g", "%o")},
		{"a PUT with another name", "PUT", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Former %g"}`},
		{"DELETE", "DELETE", ""},
	}
	bothRuled(t, setup{}, nil, func(t *testing.T, r *rig) {
		for i, q := range requests {
			email := address("leaves%d", i)
			id := accepted(r, email)
			other := r.a.must(201, "POST", "/Users", user(address("other%d", i))).ID()
			g := r.a.must(201, "POST", "/Groups", group(admins(email), id)).ID()
			r.holds(email, everywhere(administrator))
			body := strings.NewReplacer("%g", admins(email), "%m", id, "%o", other, "%e", email).Replace(q.body)
			r.faults(sandbox.Rule{Operation: "set_role", Status: 503})
			for _, p := range []*process{r.a, r.b, r.a} {
				if a := p.do(q.method, "/Groups/"+g, body); !a.passing() {
					t.Errorf("%s at %s: %s, while %s holds %q", q.name, p.name, a, email, r.held(email))
				}
			}
			r.faults()
			r.b.insist(patience, q.method, "/Groups/"+g, body)
			r.holdsNow(q.name, email, everywhere(viewer))
		}
	})
}

// TestI3_AnAdditionThatLowersIsRepeatedToo: a rule gives less than the default
// role, so that who is added loses something.
func TestI3_AnAdditionThatLowersIsRepeatedToo(t *testing.T) {
	t.Parallel()
	s := setup{DefaultRole: "Manager", Tenant: []string{"rules: [{match: Interns, role: Viewer}]"}}
	both(t, s, func(t *testing.T, r *rig) {
		g := r.a.must(201, "POST", "/Groups", group("Interns")).ID()
		for i, body := range map[string]func(string) string{
			"add": func(id string) string { return addMembers(id) },
			"replace": func(id string) string {
				return patch(fmt.Sprintf(`{"op":"replace","path":"members","value":[{"value":%q}]}`, id))
			},
		} {
			email := address("intern.%s", i)
			id := accepted(r, email)
			r.holdsNow("before", email, everywhere(manager))
			r.faults(sandbox.Rule{Operation: "set_role", Status: 503})
			for _, p := range []*process{r.a, r.b, r.a} {
				if a := p.do("PATCH", "/Groups/"+g, body(id)); !a.passing() {
					t.Errorf("%s at %s: %s, while %s holds %q", i, p.name, a, email, r.held(email))
				}
			}
			r.faults()
			r.b.insistOn(204, "PATCH", "/Groups/"+g, body(id))
			r.holdsNow(i, email, everywhere(viewer))
		}
	})
}
