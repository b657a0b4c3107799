package invariants

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// removal is a shape in which clients take somebody's access away.
type removal struct {
	name   string
	method string
	body   func(email string) string
	status int
}

func shape(ops ...string) func(string) string { return func(string) string { return patch(ops...) } }

var removals = []removal{
	{"replace with a path", "PATCH", shape(`{"op":"replace","path":"active","value":false}`), 200},
	{"replace without a path", "PATCH", shape(`{"op":"replace","value":{"active":false}}`), 200},
	{"Entra's capitals and strings", "PATCH", shape(`{"op":"Replace","path":"active","value":"False"}`), 200},
	{"add with a path", "PATCH", shape(`{"op":"Add","path":"active","value":"false"}`), 200},
	{"with the schema in the path", "PATCH", shape(`{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:active","value":false}`), 200},
	{"after other attributes", "PATCH", shape(`{"op":"replace","path":"title","value":"Former"}`, `{"op":"replace","path":"name.givenName","value":"Gone"}`, `{"op":"replace","path":"active","value":false}`), 200},
	{"before other attributes", "PATCH", shape(`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"name.familyName","value":"Gone"}`), 200},
	{"true and then false", "PATCH", shape(`{"op":"replace","path":"active","value":true}`, `{"op":"replace","path":"active","value":false}`), 200},
	{"with Entra's tombstone name", "PATCH", func(email string) string {
		return patch(fmt.Sprintf(`{"op":"Replace","path":"userName","value":"0a2169a3b9a64f8a8e0e0a2169a3b9a6%s"}`, email), `{"op":"Replace","path":"active","value":"False"}`)
	}, 200},
	{"PUT", "PUT", func(email string) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"emails":[{"value":%q,"primary":true}],"active":false}`, email, email)
	}, 200},
	{"PUT with another address", "PUT", func(email string) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"emails":[{"value":%q,"primary":true}],"active":false}`, "moved."+email, "moved."+email)
	}, 200},
	{"DELETE", "DELETE", func(string) string { return "" }, 204},
}

func TestI3_NoAccessInAnyShapeOfRemoval(t *testing.T) {
	t.Parallel()
	both(t, setup{Redis: true}, func(t *testing.T, r *rig) {
		n := 0
		for _, shape := range removals {
			for _, hasAccepted := range []bool{false, true} {
				for _, stale := range []bool{false, true} {
					n++
					what := fmt.Sprintf("%s, accepted %t, stale reads %t", shape.name, hasAccepted, stale)
					email := address("person%d", n)
					id := r.a.must(201, "POST", "/Users", user(email)).ID()
					if hasAccepted {
						r.accept(email)
					}
					if stale {
						r.faults(staleReads(700)...)
					}
					a := r.b.insist(patience, shape.method, "/Users/"+id, shape.body(email))
					// What upstream holds from the first moment after the answer.
					for _, e := range []string{email, "moved." + email} {
						if got := r.access(e); got != none {
							t.Errorf("%s: %s was answered, and %s has access to %s%s", what, a, e, got, r.history(e))
						}
					}
					if a.Status != shape.status {
						t.Errorf("%s: %s, want %d", what, a, shape.status)
					}
					r.faults()
					for _, e := range []string{email, "moved." + email} {
						if err := r.sandbox.Accept(e); err == nil && r.access(e) != none {
							t.Errorf("%s: %s could still accept the invite", what, e)
						}
					}
				}
			}
		}
	})
}

// staleReads make every read of people answer as of some milliseconds ago.
func staleReads(ms int) []sandbox.Rule {
	var rules []sandbox.Rule
	for _, op := range []string{"get_user", "get_invite", "find_user_by_email", "list_users", "list_invites"} {
		rules = append(rules, sandbox.Rule{Operation: op, StaleMS: ms})
	}
	return rules
}

// TestI3_AcceptanceDuringARemoval lets the person accept at each moment of a
// removal: before and after each upstream call that it makes.
func TestI3_AcceptanceDuringARemoval(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(t *testing.T, r *rig) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		met := 0
		for _, shape := range []removal{removals[0], removals[10], removals[11]} {
			for call := range 6 {
				for _, when := range []string{"before", "after"} {
					email := address("%s.%d.%s", shape.method, call, when)
					if shape.name == "PUT with another address" {
						email = "put." + email
					}
					id := r.b.must(201, "POST", "/Users", user(email)).ID()
					r.faults(sandbox.Rule{Operation: "*", After: call, Times: 1, Gate: "here", When: when})
					answered := make(chan answer, 1)
					go func() { answered <- r.a.do(shape.method, "/Users/"+id, shape.body(email)) }()
					var a answer
					arrived := make(chan error, 1)
					waiting, stop := context.WithCancel(ctx)
					go func() { arrived <- r.sandbox.AwaitGate(waiting, "here", 1) }()
					select {
					case a = <-answered: // in fewer calls
						stop()
						<-arrived
					case err := <-arrived:
						check(t, err)
						met++
						_ = r.sandbox.Accept(email) // there may be nothing to accept any more
						check(t, r.sandbox.OpenGate("here"))
						a = <-answered
					}
					stop()
					r.faults()
					if a.passing() {
						a = r.b.insist(patience, shape.method, "/Users/"+id, shape.body(email))
					}
					for _, e := range []string{email, "moved." + email} {
						if got := r.access(e); got != none {
							t.Errorf("%s, accepted %s call %d: %s, and %s has access to %s%s", shape.name, when, call+1, a, e, got, r.history(e))
						}
					}
					if a.Status != shape.status && !(shape.method == "DELETE" && a.Status == 404) {
						t.Errorf("%s, accepted %s call %d: %s, want %d", shape.name, when, call+1, a, shape.status)
					}
				}
			}
		}
		if met < 6 {
			t.Errorf("only %d removals were met half done", met)
		}
	})
}

// TestI3_RacingActivation lets activations and deactivations of one person
// race on both processes: whatever was acknowledged last holds.
func TestI3_RacingActivation(t *testing.T) {
	t.Parallel()
	both(t, setup{Postgres: true}, func(t *testing.T, r *rig) {
		for round := range times(4) {
			for _, hasAccepted := range []bool{false, true} {
				email := address("racer%d.%t", round, hasAccepted)
				id := r.a.must(201, "POST", "/Users", user(email)).ID()
				if hasAccepted {
					r.accept(email)
				}
				r.faults(sandbox.Rule{Operation: "*", DelayMS: 5})
				var wg sync.WaitGroup
				for i := range 6 {
					wg.Go(func() { []*process{r.a, r.b}[i%2].insistOn(200, "PATCH", "/Users/"+id, setActive(i%3 == 0)) })
				}
				wg.Wait()
				r.faults()
				last := r.lastActive(id)
				want := none
				if last {
					want = full
				}
				if got := r.access(email); got != want {
					t.Errorf("the last acknowledged change made active %t, and upstream gives access to %s%s", last, got, r.history(email))
				}
				for _, p := range r.processes {
					if a := p.insistOn(200, "GET", "/Users/"+id, ""); a.JSON("active") != any(last) {
						t.Errorf("active is %v at %s, want %t", a.JSON("active"), p.name, last)
					}
				}
			}
		}
	})
}

// TestI4_AccessComesBackWithTheRoleThatIsDue: the role is lowered before the
// access comes back, and nobody has any role but what the policy gives.
func TestI4_AccessComesBackWithTheRoleThatIsDue(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(t *testing.T, r *rig) {
		email := address("climber")
		id := accepted(r, email)
		r.a.must(200, "PATCH", "/Users/"+id, setActive(false))
		for _, org := range []int64{113, 114} {
			if _, err := r.sandbox.Edit(sandbox.Edit{Email: email, Role: &sandbox.EditRole{OrganizationID: org, RoleID: 2}}); err != nil {
				t.Fatal(err)
			}
		}
		before := len(r.sandbox.Ledger())
		r.b.insistOn(200, "PATCH", "/Users/"+id, setActive(true))
		r.expect(email, full, 1)
		for _, e := range r.sandbox.Ledger()[before:] {
			if e.After == nil {
				continue
			}
			for _, m := range e.After.Memberships {
				if e.After.Accessible && m.State == "active" && m.RoleID != 5 {
					t.Errorf("after %s the role in %d was %d, want 5 (Viewer) before there is access", e.Operation, m.OrganizationID, m.RoleID)
				}
			}
		}
	})
}
