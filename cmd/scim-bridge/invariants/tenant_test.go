package invariants

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// TestI5_TenantsDoNotMeet: two tenants with the same people. What one asks
// for by the other's ids is answered as if it did not exist, to the byte, and
// leads to no call upstream.
func TestI5_TenantsDoNotMeet(t *testing.T) {
	t.Parallel()
	both(t, setup{Postgres: true, Redis: true, Tenants: []string{"acme", "globex"}}, func(t *testing.T, r *rig) {
		ids := map[string][]string{}
		for _, tenant := range []string{"acme", "globex"} {
			for i := range 5 {
				// The same user names; one account per address on the whole platform.
				email := address("person%d.%s", i, tenant)
				body := strings.ReplaceAll(user(email, `"externalId":"same"`), `"userName":"`+email+`"`, `"userName":"`+address("person%d", i)+`"`)
				a := r.a.as(tenant, "POST", "/Users", body)
				if a.Status != 201 {
					t.Fatalf("POST for %s: %s", tenant, a)
				}
				ids[tenant] = append(ids[tenant], a.ID())
			}
		}
		const unknown = "5ca0492c-2303-5dcc-8ec4-cc08eb30f29a"
		for _, pair := range [][2]string{{"acme", "globex"}, {"globex", "acme"}} {
			own, other := pair[0], pair[1]
			for _, p := range r.processes {
				a := p.as(own, "GET", byUserName(address("person1")), "")
				if a.JSON("totalResults") != any(1.0) || a.JSON("Resources.0.id") != any(ids[own][1]) {
					t.Errorf("%s finds by user name: %s", own, a)
				}
				a = p.as(own, "GET", "/Users?filter=externalId+eq+%22same%22", "")
				var list struct{ Resources []struct{ ID string } }
				check(t, json.Unmarshal(a.Body, &list))
				for _, u := range list.Resources {
					if !slices.Contains(ids[own], u.ID) {
						t.Errorf("%s finds person %s of somebody else by externalId", own, u.ID)
					}
				}
				if len(list.Resources) != 5 {
					t.Errorf("%s finds %d persons by externalId, want 5", own, len(list.Resources))
				}
				a = p.as(own, "GET", "/Users?count=100", "")
				for _, id := range ids[other] {
					if strings.Contains(string(a.Body), id) {
						t.Errorf("the list of %s shows person %s of %s", own, id, other)
					}
				}
			}
			before, calls := len(r.sandbox.Ledger()), r.sandbox.Stats().Calls
			for _, q := range needUpstream {
				if q.method == "POST" || !strings.Contains(q.path, "%s") {
					continue
				}
				for _, p := range r.processes {
					body := strings.ReplaceAll(q.body, "there@", "person1@")
					ask := func(id string) answer {
						return p.as(own, q.method, strings.ReplaceAll(q.path, "%s", id), body)
					}
					theirs, nobodys := ask(ids[other][1]), ask(unknown)
					if theirs.Status != 404 || strings.ReplaceAll(string(theirs.Body), ids[other][1], unknown) != string(nobodys.Body) {
						t.Errorf("%s %s with an id of another tenant: %s, want what an unknown id gets: %s", q.method, q.path, theirs, nobodys)
					}
					for name, values := range nobodys.Header {
						if name != "X-Request-Id" && name != "Date" && !slices.Equal(values, theirs.Header[name]) {
							t.Errorf("%s %s: header %s is %q, for an unknown id %q", q.method, q.path, name, theirs.Header[name], values)
						}
					}
				}
			}
			if n := len(r.sandbox.Ledger()); n != before {
				t.Errorf("%d effects upstream by another tenant's ids", n-before)
			}
			for op, n := range r.sandbox.Stats().Calls {
				if n != calls[op] {
					t.Errorf("%d calls of %s upstream by another tenant's ids", n-calls[op], op)
				}
			}
		}
	})
}

// TestI5_NobodyEntersAnotherTenantsOrganization: nobody names another's organization.
func TestI5_NobodyEntersAnotherTenantsOrganization(t *testing.T) {
	t.Parallel()
	r := start(t, setup{Tenants: []string{"acme", "globex"}})
	before := len(r.sandbox.Ledger())
	for _, org := range []string{"200", "999", "0", "-113"} {
		a := r.a.do("POST", "/Users", user(address("stray"), `"urn:sharearefund:params:scim:schemas:extension:2.0:User":{"organizationIds":[`+org+`]}`))
		if a.Status != 400 {
			t.Errorf("POST into organization %s: %s, want 400", org, a)
		}
	}
	if n := len(r.sandbox.Ledger()); n != before {
		t.Errorf("%d effects upstream of refused requests (I9)", n-before)
	}
}

// TestI16_OneDeadUpstreamDoesNotSlowOtherTenants: acme's upstream hangs, and
// globex is served as before.
//
// It is not run beside other tests, as it compares times.
func TestI16_OneDeadUpstreamDoesNotSlowOtherTenants(t *testing.T) {
	r := start(t, setup{Postgres: true, Tenants: []string{"acme", "globex"}})
	acme := r.a.must(201, "POST", "/Users", user(address("acme"))).ID()
	a := r.a.as("globex", "POST", "/Users", user(address("globex")))
	if a.Status != 201 {
		t.Fatalf("POST: %s", a)
	}
	globex := a.ID()
	// round is the median time of a request, several at a time.
	round := func() time.Duration {
		var mu sync.Mutex
		var took []time.Duration
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for i := range times(30) {
					begun := time.Now()
					p := r.processes[i%2]
					var a answer
					if i%3 == 0 {
						a = p.as("globex", "PATCH", "/Users/"+globex, patch(`{"op":"replace","path":"title","value":"`+string(rune('a'+i%26))+`"}`))
						if a.passing() { // they meet each other
							continue
						}
					} else {
						a = p.as("globex", "GET", "/Users/"+globex, "")
					}
					if a.Status != 200 {
						t.Errorf("globex: %s", a)
					}
					mu.Lock()
					took = append(took, time.Since(begun))
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		slices.Sort(took)
		return took[len(took)/2]
	}
	round() // warm
	calm := round()
	r.faults(sandbox.Rule{Operation: "*", Credential: "acme", Hang: true})
	var stuck sync.WaitGroup
	for i := range 64 {
		stuck.Go(func() {
			begun := time.Now()
			a := r.processes[i%2].do("GET", "/Users/"+acme, "")
			if a.Status != 200 && a.Status != 503 { // 200: after the fault was lifted
				t.Errorf("acme: %s, want 503", a)
			}
			if took := time.Since(begun); took > 40*time.Second {
				t.Errorf("acme's request took %s", took)
			}
		})
	}
	eventually(t, 10*time.Second, "acme's requests hang", func() error {
		if fired := r.sandbox.Faults()[0].Fired; fired < 4 {
			return errFew(fired)
		}
		return nil
	})
	busy := round()
	if limit := 5*calm + 200*time.Millisecond; busy > limit {
		t.Errorf("globex's requests take %s while acme's upstream hangs, %s before", busy, calm)
	}
	t.Logf("globex: %s a request before, %s while acme's upstream hangs", calm, busy)
	r.faults()
	stuck.Wait()
	r.a.insistOn(200, "GET", "/Users/"+acme, "")
}
