package invariants

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// historySeed makes the gate try the same histories every time; 0 goes looking
// for new ones.
var historySeed = flag.Uint64("seed", 20260101, "of the random histories; 0 for another one each time")

// wanted is what the client wants a person to be.
type wanted struct {
	exists, active bool
	given          string
	email          string
}

// troubles are what may happen while clients work.
func troubles(rng *rand.Rand) []sandbox.Rule {
	operations := []string{"*", "invite_users", "update_user", "update_invite", "deactivate_user", "activate_user", "set_role",
		"remove_user", "revoke_invite", "resend_invite", "get_user", "get_invite", "find_user_by_email", "list_invites"}
	kinds := []sandbox.Rule{
		{Status: 503, RetryAfter: "1"}, {Status: 502}, {Status: 500}, {Status: 429, RetryAfter: "1"}, {Status: 401}, {Cut: "before"}, {Cut: "after"},
		{Body: "html"}, {Body: "truncated"}, {Body: "garbage"}, {Body: "empty"}, {DelayMS: 30}, {StaleMS: 300},
	}
	var rules []sandbox.Rule
	for range 4 {
		rule := kinds[rng.IntN(len(kinds))]
		rule.Operation = operations[rng.IntN(len(operations))]
		rule.After, rule.Times = rng.IntN(4), 1+rng.IntN(3)
		rules = append(rules, rule)
	}
	return rules
}

// TestI10_HistoriesConverge plays random histories against random trouble,
// with Redis flushed and a process killed now and then. Then the faults stop,
// the client sends its state once more, and upstream has to equal it.
func TestI10_HistoriesConverge(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true, Redis: true}} {
		both(t, s, func(t *testing.T, r *rig) {
			seed := *historySeed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			t.Logf("seed %d", seed)
			rng := rand.New(rand.NewPCG(seed, 0))
			people := make([]*wanted, 12)
			for i := range people {
				people[i] = &wanted{email: address("person%d", i), given: "First"}
			}
			for round := range times(12) {
				r.faults(troubles(rng)...)
				switch rng.IntN(6) {
				case 0:
					r.redis.Do("FLUSHALL")
				case 1:
					r.a.restart()
				}
				var wg sync.WaitGroup
				for i, w := range people {
					if rng.IntN(2) == 0 {
						continue
					}
					p, dice, accepts := r.processes[rng.IntN(2)], rng.IntN(6), rng.IntN(4) == 0
					wg.Go(func() { r.live(p, w, dice, fmt.Sprintf("Name%d.%d", round, i), accepts) })
				}
				wg.Wait()
			}
			r.faults()
			var wg sync.WaitGroup
			for i, w := range people {
				wg.Go(func() { r.settle(r.processes[i%2], w) })
			}
			wg.Wait()
			for _, w := range people {
				r.compare(w)
			}
			if t.Failed() {
				t.Logf("again with -args -seed %d", seed)
			}
		})
	}
}

// live sends one request about a person, once, whatever becomes of it.
func (r *rig) live(p *process, w *wanted, dice int, name string, accepts bool) {
	if accepts {
		_ = r.sandbox.Accept(w.email) // there may be nothing to accept
	}
	id, _ := p.do("GET", byUserName(w.email), "").JSON("Resources.0.id").(string)
	switch {
	case !w.exists || dice == 0 && id == "":
		w.exists, w.active, w.given = true, true, name
		p.do("POST", "/Users", w.body())
		return
	case dice <= 1:
		w.given = name
	case dice <= 3:
		w.active = !w.active
	case dice == 4:
		w.exists = false
	}
	if id == "" {
		return // the client comes back later
	}
	switch {
	case !w.exists:
		p.do("DELETE", "/Users/"+id, "")
	case dice <= 1:
		p.do("PATCH", "/Users/"+id, patch(fmt.Sprintf(`{"op":"replace","path":"name.givenName","value":%q}`, w.given)))
	case dice <= 3:
		p.do("PATCH", "/Users/"+id, setActive(w.active))
	default:
		p.do("PUT", "/Users/"+id, w.body())
	}
}

func (w *wanted) body() string {
	return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"name":{"givenName":%q,"familyName":"Test"},"emails":[{"primary":true,"type":"work","value":%q}],"active":%t}`,
		w.email, w.given, w.email, w.active)
}

// settle makes the person what the client wants, as a client does that looks
// first.
func (r *rig) settle(p *process, w *wanted) {
	id := p.find(w.email)
	switch {
	case !w.exists && id == "":
		// Nothing is known of the person, but an answer may have been lost: a
		// client that cares creates, to have somebody to delete.
		if id, _ = p.create(w.body()); id != "" {
			p.insistOn(204, "DELETE", "/Users/"+id, "")
		}
	case !w.exists:
		if a := p.insist(patience, "DELETE", "/Users/"+id, ""); a.Status != 204 && a.Status != 404 {
			r.t.Errorf("DELETE of %s: %s", w.email, a)
		}
	case id == "":
		if id, status := p.create(w.body()); status == 409 && id != "" {
			p.insistOn(200, "PUT", "/Users/"+id, w.body())
		}
	default:
		if a := p.insist(patience, "PUT", "/Users/"+id, w.body()); a.Status == 404 {
			p.create(w.body())
		} else if a.Status != 200 {
			r.t.Errorf("PUT of %s: %s", w.email, a)
		}
	}
}

// compare judges what upstream holds of a person.
func (r *rig) compare(w *wanted) {
	r.t.Helper()
	want := none
	if w.exists && w.active {
		want = full
	}
	if got := r.access(w.email); got != want {
		r.t.Errorf("%s (exists %t, active %t): access to %s upstream, want %s%s", w.email, w.exists, w.active, got, want, r.history(w.email))
	}
	if n := r.people(w.email); n > 1 {
		r.t.Errorf("%s is upstream %d times%s", w.email, n, r.history(w.email))
	}
	if p := strings.Split(r.profile(w.email), "|"); want == full && (len(p) < 2 || p[1] != w.given) {
		r.t.Errorf("%s: upstream has %q, want the given name %q%s", w.email, p, w.given, r.history(w.email))
	}
	if st := r.sandbox.State().Account(w.email); st != nil {
		for _, m := range st.Memberships {
			if m.RoleID != 5 {
				r.t.Errorf("%s has role %d, want 5 (I4)", w.email, m.RoleID)
			}
		}
	}
}

// TestI9_ARefusalChangedNothing: whatever is answered 4xx left upstream as it
// was, and the person too.
func TestI9_ARefusalChangedNothing(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(t *testing.T, r *rig) {
		email := address("there")
		id := accepted(r, email)
		r.a.must(201, "POST", "/Users", user(address("other")))
		before := r.a.must(200, "GET", "/Users/"+id, "")
		ledger := len(r.sandbox.Ledger())
		refused := []struct {
			method, path, body string
			header             []string
		}{
			{"POST", "/Users", `{"userName":`, nil},
			{"POST", "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"]}`, nil},
			{"POST", "/Users", user("not an address"), nil},
			{"POST", "/Users", user(email), nil},
			{"POST", "/Users", user(address("fresh"), `"active":"perhaps"`), nil},
			{"PUT", "/Users/{id}", user(address("other")), nil},
			{"PUT", "/Users/{id}", `[]`, nil},
			{"PUT", "/Users/{id}", user(address("new"), `"active":7`), nil},
			{"PUT", "/Users/unknown", user(address("new")), nil},
			{"PATCH", "/Users/{id}", patch(`{"op":"replace","path":"active","value":"perhaps"}`), nil},
			{"PATCH", "/Users/{id}", patch(`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"id","value":"x"}`), nil},
			{"PATCH", "/Users/{id}", patch(`{"op":"replace","path":"active","value":false}`, `{"op":"explode","path":"title"}`), nil},
			{"PATCH", "/Users/{id}", patch(`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"userName","value":"other@example.com"}`), nil},
			{"PATCH", "/Users/{id}", patch(`{"op":"replace","path":"active","value":false}`, `{"op":"replace","path":"emails[","value":"x"}`), nil},
			{"PATCH", "/Users/{id}", setActive(false), []string{"If-Match", `W/"stale"`}},
			{"PUT", "/Users/{id}", user(address("new")), []string{"If-Match", `W/"stale"`}},
			{"DELETE", "/Users/{id}", "", []string{"If-Match", `W/"stale"`}},
			{"DELETE", "/Users/unknown", "", nil},
			{"PATCH", "/Users/{id}", setActive(false), []string{"Authorization", "Bearer sarb_wrong"}},
			{"DELETE", "/Users/{id}", "", []string{"Authorization", ""}},
		}
		for i, q := range refused {
			p := r.processes[i%2]
			a := p.do(q.method, strings.ReplaceAll(q.path, "{id}", id), q.body, q.header...)
			if a.Status < 400 || a.Status >= 500 || a.Status == 429 {
				t.Errorf("%s %s %.120s: %s, want a refusal", q.method, q.path, q.body, a)
			}
			for _, e := range r.sandbox.Ledger()[ledger:] {
				t.Errorf("%s %s %.120s was answered %d, and upstream did %s", q.method, q.path, q.body, a.Status, e.Operation)
			}
			ledger = len(r.sandbox.Ledger())
			after := r.processes[1-i%2].must(200, "GET", "/Users/"+id, "")
			if string(after.Body) != string(before.Body) {
				t.Errorf("%s %s %.120s was answered %d, and the person changed from\n%s\nto\n%s", q.method, q.path, q.body, a.Status, before, after)
				before = after
			}
		}
		r.expect(email, full, 1)
	})
}

// TestI11_EveryChangeHasOneEvent: each acknowledged change has exactly one
// event, and each effect upstream at least one.
func TestI11_EveryChangeHasOneEvent(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true}} {
		both(t, s, func(t *testing.T, r *rig) {
			r.faults(
				sandbox.Rule{Operation: "invite_users", After: 2, Times: 1, Cut: "after"},
				sandbox.Rule{Operation: "update_user", After: 1, Times: 1, Body: "garbage"},
				sandbox.Rule{Operation: "deactivate_user", After: 1, Times: 2, Status: 503},
				sandbox.Rule{Operation: "remove_user", After: 1, Times: 1, Cut: "after"},
			)
			var wg sync.WaitGroup
			for i := range times(12) {
				wg.Go(func() {
					p, q := r.processes[i%2], r.processes[1-i%2]
					email := address("person%d", i)
					id, _ := p.create(user(email))
					if i%2 == 0 {
						_ = r.sandbox.Accept(email)
					}
					q.insistOn(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"name.familyName","value":"Changed"}`))
					p.insistOn(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"title","value":"Engineer"}`))
					q.insistOn(200, "PATCH", "/Users/"+id, setActive(false))
					if i%3 == 0 {
						p.insistOn(204, "DELETE", "/Users/"+id, "")
					}
				})
			}
			wg.Wait()
			r.faults()
			r.verifyEvents()
			if n := len(r.acknowledged); n < 3*times(12) {
				t.Errorf("only %d changes were acknowledged", n)
			}
		})
	}
}

// TestI17_AbsentIsNotFalse leaves every optional attribute out of what
// clients send, or sends it as null, in turn: nobody loses access or a role,
// and nothing that was not sent is changed upstream.
func TestI17_AbsentIsNotFalse(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(t *testing.T, r *rig) {
		email := address("steady")
		attributes := map[string]string{
			"externalId":        `"00u1"`,
			"active":            `true`,
			"displayName":       `"Steady Person"`,
			"nickName":          `"Steady"`,
			"profileUrl":        `"https://example.com/steady"`,
			"title":             `"Engineer"`,
			"userType":          `"Employee"`,
			"locale":            `"en-US"`,
			"timezone":          `"America/Toronto"`,
			"preferredLanguage": `"en"`,
			"phoneNumbers":      `[{"value":"+1 555 0100","type":"work"}]`,
			"addresses":         `[{"type":"work","country":"CA","primary":true}]`,
			"groups":            `[]`,
			"roles":             `[{"value":"Viewer"}]`,
			"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": `{"department":"Shipping","manager":{"value":"5ca0492c"}}`,
			"urn:sharearefund:params:scim:schemas:extension:2.0:User":    `{"organizationIds":[113,114]}`,
		}
		body := func(leave, null string) string {
			parts := []string{fmt.Sprintf(`"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"name":{"givenName":"Steady","familyName":"Person"},"emails":[{"value":%q,"primary":true,"type":"work"}]`, email, email)}
			for name, value := range attributes {
				switch name {
				case leave:
				case null:
					parts = append(parts, fmt.Sprintf("%q:null", name))
				default:
					parts = append(parts, fmt.Sprintf("%q:%s", name, value))
				}
			}
			return "{" + strings.Join(parts, ",") + "}"
		}
		a := r.a.do("POST", "/Users", body("", ""))
		if a.Status != 201 {
			t.Fatalf("POST: %s", a)
		}
		id := a.ID()
		r.accept(email)
		// A country is never emptied upstream, so that it is left as it was.
		steady := func(what string, before int) {
			t.Helper()
			for _, e := range r.sandbox.Ledger()[before:] {
				t.Errorf("%s: upstream did %s", what, e.Operation)
			}
			r.expect(email, full, 1)
			if got, want := r.profile(email), email+"|Steady|Person|CA"; got != want {
				t.Errorf("%s: upstream has %q, want %q", what, got, want)
			}
			if a := r.b.must(200, "GET", "/Users/"+id, ""); a.JSON("active") != any(true) {
				t.Errorf("%s: active is %v", what, a.JSON("active"))
			}
		}
		names := make([]string, 0, len(attributes))
		for name := range attributes {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			for how, sent := range map[string]string{"left out": body(name, ""), "null": body("", name)} {
				what := fmt.Sprintf("PUT with %s %s", name, how)
				before := len(r.sandbox.Ledger())
				if a := r.b.do("PUT", "/Users/"+id, sent); a.Status != 200 {
					t.Errorf("%s: %s", what, a)
				}
				steady(what, before)
				r.a.insistOn(200, "PUT", "/Users/"+id, body("", ""))
			}
		}
		for _, ops := range []string{
			patch(`{"op":"replace","value":{"title":"Chief"}}`),
			patch(`{"op":"add","value":{"nickName":"St"}}`),
			patch(`{"op":"remove","path":"title"}`),
			patch(`{"op":"remove","path":"addresses"}`),
			patch(`{"op":"remove","path":"roles"}`),
			patch(`{"op":"remove","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"}`),
			patch(`{"op":"remove","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"}`),
			patch(`{"op":"replace","path":"active","value":null}`),
			patch(`{"op":"replace","value":{"active":null,"title":"Head"}}`),
			patch(`{"op":"remove","path":"active"}`),
			patch(),
		} {
			before := len(r.sandbox.Ledger())
			a := r.b.do("PATCH", "/Users/"+id, ops)
			if a.Status >= 500 {
				t.Errorf("PATCH %s: %s", ops, a)
			}
			steady("PATCH "+ops, before)
		}
		// And while somebody is inactive, nothing brings the access back.
		r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(false))
		for _, name := range []string{"active"} {
			for how, sent := range map[string]string{"left out": body(name, ""), "null": body("", name)} {
				r.b.insistOn(200, "PUT", "/Users/"+id, sent)
				if got := r.access(email); got != none {
					t.Errorf("PUT with %s %s gave access to %s", name, how, got)
				}
			}
		}
	})
}

// TestI10_ACreateThatWasLostGivesWay: a create is lost, and what the client
// wants next is the same person without access. It has to get that, whether or
// not the create took effect.
func TestI10_ACreateThatWasLostGivesWay(t *testing.T) {
	t.Parallel()
	both(t, setup{Redis: true}, func(t *testing.T, r *rig) {
		var wg sync.WaitGroup
		for _, cut := range []string{"before", "after"} {
			w := &wanted{exists: true, email: address("lost.%s", cut), given: "Lost"}
			r.faults(
				sandbox.Rule{Operation: "invite_users", Times: 1, Cut: cut},
				sandbox.Rule{Operation: "list_invites", Times: 4, Status: 503}, // nor can it be read back
			)
			if a := r.a.do("POST", "/Users", user(w.email)); a.Status != 503 {
				t.Errorf("POST whose answer was lost: %s", a)
			}
			r.faults()
			wg.Go(func() {
				r.settle(r.b, w)
				r.compare(w)
			})
		}
		wg.Wait()
	})
}
