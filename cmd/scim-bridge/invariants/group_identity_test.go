package invariants

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// TestI7_AGroupIsReadableAtOnce: whatever was answered 2xx about a group can be
// read on every process at once, a 409 means that the filter finds the group,
// and a 404 stays.
func TestI7_AGroupIsReadableAtOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true}} {
		bothRuled(t, s, nil, func(t *testing.T, r *rig) {
			id := r.a.must(201, "POST", "/Users", user(address("member"))).ID()
			seen := map[string]bool{}
			for i := range times(6) {
				writer, reader := r.processes[i%2], r.processes[1-i%2]
				g := writer.must(201, "POST", "/Groups", group("Managers")).ID()
				if seen[g] {
					t.Errorf("the id %q of a deleted group is used again (I6)", g)
				}
				seen[g] = true
				finds := func(name, want string) {
					t.Helper()
					for _, p := range []*process{reader, writer} {
						if got, _ := p.must(200, "GET", byName(name), "").JSON("Resources.0.id").(string); got != want {
							t.Errorf("the filter finds %q for %q at %s, want %q", got, name, p.name, want)
						}
					}
				}
				finds("managers", g)
				if a := reader.do("POST", "/Groups", group("MANAGERS")); a.Status != 409 || a.JSON("scimType") != any("uniqueness") {
					t.Errorf("POST of a name that is taken: %s", a)
				}
				shows := func(what string, want int) {
					t.Helper()
					for _, p := range []*process{reader, writer} {
						if got := p.members(g); len(got) != want {
							t.Errorf("after %s: %d members at %s, want %d", what, len(got), p.name, want)
						}
						in := p.must(200, "GET", "/Users/"+id, "").JSON("groups.0.value")
						if (in == any(g)) != (want == 1) {
							t.Errorf("after %s: the user's groups show %v at %s", what, in, p.name)
						}
					}
				}
				writer.insistOn(204, "PATCH", "/Groups/"+g, addMembers(id))
				shows("an addition", 1)
				reader.insistOn(204, "PATCH", "/Groups/"+g, removeMember(id))
				shows("a removal", 0)
				writer.insistOn(204, "PATCH", "/Groups/"+g, addMembers(id))
				writer.insistOn(204, "PATCH", "/Groups/"+g, renameGroup("Staff"))
				finds("staff", g)
				finds("Managers", "")
				reader.insistOn(204, "DELETE", "/Groups/"+g, "")
				for _, p := range r.processes {
					p.must(404, "GET", "/Groups/"+g, "")
					p.must(404, "PATCH", "/Groups/"+g, addMembers(id))
					p.must(404, "DELETE", "/Groups/"+g, "")
				}
				finds("Staff", "")
			}
		})
	}
}

// TestI9_ARefusalOfAGroupChangedNothing: whatever is answered 4xx left
// upstream, the group and its members as they were.
func TestI9_ARefusalOfAGroupChangedNothing(t *testing.T) {
	t.Parallel()
	lines := []string{"ceiling: Manager", "guards: {protected: {emails: [boss@example.com]}, role_losses: off}"}
	bothRuled(t, setup{}, lines, func(t *testing.T, r *rig) {
		id := accepted(r, address("member"))
		other := r.a.must(201, "POST", "/Users", user(address("other"))).ID()
		boss := accepted(r, address("boss"))
		g := r.a.must(201, "POST", "/Groups", group("Managers", id)).ID()
		taken := r.a.must(201, "POST", "/Groups", group("Staff", other)).ID()
		r.holds(address("member"), everywhere(manager))
		r.settled()
		const unknown = "5ca0492c-2303-5dcc-8ec4-cc08eb30f29a"
		add := func(id string) string { return fmt.Sprintf(`{"op":"add","path":"members","value":[{"value":%q}]}`, id) }
		drop := fmt.Sprintf(`{"op":"remove","path":"members","value":[{"value":%q}]}`, id)
		name := func(n string) string { return fmt.Sprintf(`{"op":"replace","path":"displayName","value":%q}`, n) }
		refused := []struct {
			method, path, body string
			header             []string
		}{
			{"POST", "/Groups", `{"displayName":`, nil},
			{"POST", "/Groups", group("", other), nil},
			{"POST", "/Groups", group("managers", other), nil},
			{"POST", "/Groups", group("Admins EU", other), nil}, // above the ceiling
			{"POST", "/Groups", group("Retail", other, unknown), nil},
			{"POST", "/Groups", group("Retail", other, boss), nil},
			{"POST", "/Groups", group("Retail", other, taken), nil}, // nested
			{"PUT", "/Groups/{g}", group("Staff", other), nil},
			{"PUT", "/Groups/{g}", group("Admins EU", id), nil},
			{"PUT", "/Groups/{g}", group("Managers", other, unknown), nil},
			{"PUT", "/Groups/{g}", group("Managers", other, boss), nil},
			{"PUT", "/Groups/{g}", group("Managers"), []string{"If-Match", `W/"stale"`}},
			{"PUT", "/Groups/" + unknown, group("Retail", other), nil},
			{"PATCH", "/Groups/{g}", patch(drop, add(unknown)), nil},
			{"PATCH", "/Groups/{g}", patch(drop, add(boss)), nil},
			{"PATCH", "/Groups/{g}", patch(drop, add(g)), nil},
			{"PATCH", "/Groups/{g}", patch(drop, name("Staff")), nil},
			{"PATCH", "/Groups/{g}", patch(add(other), name("Admins EU")), nil},
			{"PATCH", "/Groups/{g}", patch(drop, `{"op":"replace","path":"id","value":"x"}`), nil},
			{"PATCH", "/Groups/{g}", patch(drop, `{"op":"explode","path":"members"}`), nil},
			{"PATCH", "/Groups/{g}", patch(drop, `{"op":"remove","path":"members["}`), nil},
			{"PATCH", "/Groups/{g}", patch(drop), []string{"If-Match", `W/"stale"`}},
			{"PATCH", "/Groups/" + unknown, patch(drop), nil},
			{"DELETE", "/Groups/{g}", "", []string{"If-Match", `W/"stale"`}},
			{"DELETE", "/Groups/" + unknown, "", nil},
			{"DELETE", "/Groups/{g}", "", []string{"Authorization", ""}},
		}
		before := r.a.must(200, "GET", "/Groups/"+g, "")
		list := r.a.must(200, "GET", "/Groups", "").JSON("totalResults")
		ledger := len(r.sandbox.Ledger())
		for i, q := range refused {
			p := r.processes[i%2]
			a := p.do(q.method, strings.ReplaceAll(q.path, "{g}", g), q.body, q.header...)
			if a.Status < 400 || a.Status >= 500 || a.Status == 429 {
				t.Errorf("%s %s %.160s: %s, want a refusal", q.method, q.path, q.body, a)
			}
			for _, e := range r.sandbox.Ledger()[ledger:] {
				t.Errorf("%s %s %.160s was answered %d, and upstream did %s to %s", q.method, q.path, q.body, a.Status, e.Operation, e.Email)
			}
			ledger = len(r.sandbox.Ledger())
			after := r.processes[1-i%2].must(200, "GET", "/Groups/"+g, "")
			if string(after.Body) != string(before.Body) {
				t.Errorf("%s %s %.160s was answered %d, and the group changed from\n%s\nto\n%s", q.method, q.path, q.body, a.Status, before, after)
				before = after
			}
			if n := p.must(200, "GET", "/Groups", "").JSON("totalResults"); n != list {
				t.Errorf("%s %s %.160s was answered %d, and there are %v groups, %v before", q.method, q.path, q.body, a.Status, n, list)
				list = n
			}
		}
		r.settled()
		r.holdsNow("in the end", address("member"), everywhere(manager))
		r.holdsNow("in the end", address("boss"), everywhere(viewer))
	})
}

// TestI11_EveryChangeOfAGroupHasOneEvent: each acknowledged change of a group
// has one event, and each role upstream one at least, through faults and a
// kill.
func TestI11_EveryChangeOfAGroupHasOneEvent(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true}} {
		bothRuled(t, s, nil, func(t *testing.T, r *rig) {
			n := times(8)
			ids := make([]string, n)
			for i := range ids {
				ids[i] = accepted(r, numbered(i))
			}
			r.faults(
				sandbox.Rule{Operation: "set_role", After: 2, Times: 2, Cut: "after"},
				sandbox.Rule{Operation: "set_role", After: 5, Times: 2, Status: 503},
			)
			r.lanes(n, func(i int) {
				p, q := r.processes[i%2], r.processes[1-i%2]
				name := admins(numbered(i))
				a := p.insistOn(201, "POST", "/Groups", group(name, ids[i]))
				g := a.ID()
				q.insistOn(204, "PATCH", "/Groups/"+g, addMembers(ids[(i+1)%n]))
				q.insistOn(204, "PATCH", "/Groups/"+g, addMembers(ids[(i+1)%n])) // changes nothing, and is acknowledged
				p.insistOn(204, "PATCH", "/Groups/"+g, removeMember(ids[i]))
				q.insistOn(204, "PATCH", "/Groups/"+g, renameGroup("Former "+name))
				p.insistOn(200, "PUT", "/Groups/"+g, group(name))
				if i%2 == 0 {
					q.insistOn(204, "DELETE", "/Groups/"+g, "")
				}
			})
			r.faults()
			r.settled()
			r.verifyEvents()
			if n := len(r.acknowledged); n < 6*len(ids) {
				t.Errorf("only %d changes were acknowledged", n)
			}
			for _, e := range r.events() {
				if e.ResourceType == "Group" && e.Outcome == store.OutcomeOK && e.RequestID == "" {
					t.Errorf("the event %d (%s) names no request", e.Seq, e.Action)
				}
			}
		})
	}
}

// TestI13_AStaleEntityTagChangesNoGroup: of changes with the same If-Match at
// both processes one succeeds, and the others are 412.
func TestI13_AStaleEntityTagChangesNoGroup(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{}, {Postgres: true}} {
		bothRuled(t, s, nil, func(t *testing.T, r *rig) {
			n := 8
			ids := r.populate(n)
			g := r.a.must(201, "POST", "/Groups", group("Managers")).ID()
			for round := range times(4) {
				tag := r.processes[round%2].must(200, "GET", "/Groups/"+g, "").JSON("meta.version").(string)
				before := len(r.a.members(g))
				answers := make([]answer, 4)
				r.lanes(4, func(i int) {
					body := addMembers(ids[2*round+i%2])
					if i >= 2 {
						body = renameGroup(fmt.Sprintf("Managers %d.%d", round, i))
					}
					answers[i] = r.processes[i%2].insist(patience, "PATCH", "/Groups/"+g, body, "If-Match", tag)
				})
				won := 0
				for _, a := range answers {
					switch a.Status {
					case 200, 204:
						won++
					case 412:
					default:
						t.Errorf("answered %s, want 204 or 412", a)
					}
				}
				if won != 1 {
					t.Errorf("%d of 4 changes with one entity tag succeeded, want 1: %v", won, answers)
				}
				if now := len(r.b.members(g)); now > before+1 {
					t.Errorf("%d members came by one change", now-before)
				}
			}
		})
	}
}

// TestI17_AbsentIsNotEmpty: requests that do not mention the members leave
// them, and their roles, as they are.
func TestI17_AbsentIsNotEmpty(t *testing.T) {
	t.Parallel()
	bothRuled(t, setup{}, nil, func(t *testing.T, r *rig) {
		email := address("steady")
		id := accepted(r, email)
		g := r.a.must(201, "POST", "/Groups", strings.Replace(group("Managers", id), `"displayName"`, `"externalId":"x1","displayName"`, 1)).ID()
		r.holds(email, everywhere(manager))
		const core = `"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"]`
		requests := [][3]string{
			{"PUT", "/Groups/" + g, `{` + core + `,"displayName":"Managers"}`},
			{"PUT", "/Groups/" + g, `{` + core + `,"id":"` + g + `","displayName":"managers","externalId":"x1"}`},
			{"PATCH", "/Groups/" + g, patch(`{"op":"replace","value":{"id":"` + g + `","displayName":"Managers"}}`)},
			{"PATCH", "/Groups/" + g, patch(`{"op":"Add","path":"members","value":[]}`)},
			{"PATCH", "/Groups/" + g, patch(`{"op":"remove","path":"members[value eq \"nobody\"]"}`)},
			{"PATCH", "/Groups/" + g, patch(`{"op":"Remove","path":"members","value":[{"value":"nobody"}]}`)},
			{"PATCH", "/Groups/" + g, patch()},
			{"PUT", "/Users/" + id, user(email)},
			{"PUT", "/Users/" + id, user(email, `"groups":[]`)},
			{"PATCH", "/Users/" + id, patch(`{"op":"replace","value":{"title":"Engineer"}}`)},
		}
		for i, q := range requests {
			before := len(r.sandbox.Ledger())
			if a := r.processes[i%2].insist(patience, q[0], q[1], q[2]); a.Status >= 300 {
				t.Errorf("%s %s: %s", q[0], q[2], a)
			}
			r.settled()
			for _, e := range r.sandbox.Ledger()[before:] {
				t.Errorf("%s %s: upstream did %s to %s", q[0], q[2], e.Operation, e.Email)
			}
			for _, p := range r.processes {
				if got := p.members(g); len(got) != 1 {
					t.Errorf("%s %s left the members %v at %s", q[0], q[2], got, p.name)
				}
			}
			if x := r.a.must(200, "GET", "/Groups/"+g, "").JSON("externalId"); x != any("x1") {
				t.Errorf("%s %s left the externalId %v", q[0], q[2], x)
			}
		}
		r.holdsNow("in the end", email, everywhere(manager))
	})
}
