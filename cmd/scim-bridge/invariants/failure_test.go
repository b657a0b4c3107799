package invariants

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// request is one that needs upstream; %s stands for the person's id.
type request struct{ method, path, body string }

var needUpstream = []request{
	{"GET", "/Users/%s", ""},
	{"GET", byUserName("there@example.com"), ""},
	{"GET", `/Users?filter=externalId+eq+"there"`, ""},
	{"POST", "/Users", user("new@example.com")},
	{"PUT", "/Users/%s", user("there@example.com", `"title":"x"`)},
	{"PATCH", "/Users/%s", patch(`{"op":"replace","path":"name.givenName","value":"Other"}`)},
	{"PATCH", "/Users/%s", patch(`{"op":"replace","path":"userName","value":"other@example.com"},{"op":"replace","path":"emails","value":[{"value":"other@example.com","primary":true}]}`)},
	{"PATCH", "/Users/%s", setActive(false)},
	{"DELETE", "/Users/%s", ""},
}

func (q request) send(p *process, id string) answer {
	path := q.path
	if path == "/Users/%s" {
		path = fmt.Sprintf(path, id)
	}
	return p.do(q.method, path, q.body)
}

// outage is a way in which upstream is away: none of it has an effect there.
type outage struct {
	name  string
	rules []sandbox.Rule
	cut   bool
	// also is a status that may be answered besides 503; 0: none.
	also int
}

var outages = []outage{
	{name: "service unavailable", rules: []sandbox.Rule{{Operation: "*", Status: 503, RetryAfter: "1"}}},
	{name: "bad gateway", rules: []sandbox.Rule{{Operation: "*", Status: 502}}},
	{name: "internal error", rules: []sandbox.Rule{{Operation: "*", Status: 500, RetryAfter: "Wed, 21 Oct 2026 07:28:00 GMT"}}},
	{name: "connections are cut", rules: []sandbox.Rule{{Operation: "*", Cut: "before"}}},
	{name: "connections are refused", cut: true},
	{name: "our credential is refused", rules: []sandbox.Rule{{Operation: "*", Status: 401}}},
	{name: "our credential is forbidden to read", rules: []sandbox.Rule{
		{Operation: "get_user", Status: 403}, {Operation: "get_invite", Status: 403}, {Operation: "*", Status: 503}}},
	{name: "a proxy answers", rules: []sandbox.Rule{{Operation: "*", Status: 404, Body: "html"}}},
	{name: "too many requests", also: 429, rules: []sandbox.Rule{{Operation: "*", Status: 429, RetryAfter: "1"}}},
	{name: "no answer", rules: []sandbox.Rule{{Operation: "*", Hang: true}}},
}

func TestI8_AnUpstreamFailureIsNeverAnAnswerAboutThePerson(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(t *testing.T, r *rig) {
		id := r.a.must(201, "POST", "/Users", user("there@example.com", `"externalId":"there"`)).ID()
		for _, o := range outages {
			before := len(r.sandbox.Ledger())
			r.faults(o.rules...)
			if o.cut {
				r.upstream.cut()
			}
			var wg sync.WaitGroup
			for i, q := range needUpstream {
				wg.Go(func() {
					p := []*process{r.a, r.b}[i%2]
					begun := time.Now()
					a := q.send(p, id)
					if a.Status != 503 && (o.also == 0 || a.Status != o.also) {
						t.Errorf("%s: %s %s: %s, want 503", o.name, q.method, q.path, a)
					}
					if took := time.Since(begun); took > 40*time.Second {
						t.Errorf("%s: %s %s took %s (I16)", o.name, q.method, q.path, took)
					}
				})
			}
			wg.Wait()
			if o.cut {
				r.upstream.mend()
			}
			r.faults()
			for _, p := range r.processes {
				if a := p.insist(time.Minute, "GET", "/Users/"+id, ""); a.Status != 200 {
					t.Errorf("%s: after it, GET at %s: %s", o.name, p.name, a)
				}
			}
			for _, e := range r.sandbox.Ledger()[before:] {
				t.Errorf("%s: %s of %s took effect", o.name, e.Operation, e.Email)
			}
		}
		// Everything works again, and nothing is there twice.
		if id, _ := r.b.create(user("new@example.com")); id == "" {
			t.Error("nobody was created after the outages")
		}
		r.expect("new@example.com", full, 1)
		r.b.insistOn(204, "DELETE", "/Users/"+id, "")
		r.expect("there@example.com", none, 1)
	})
}

func TestI8_ListsAreNotEmptyBecauseUpstreamFailed(t *testing.T) {
	t.Parallel()
	r := start(t, setup{Users: 30})
	var total any
	for _, p := range r.processes {
		total = p.must(200, "GET", "/Users?count=1", "").JSON("totalResults")
	}
	if total != any(32.0) { // with the two owners
		t.Errorf("totalResults %v, want 32", total)
	}
	r.upstream.cut()
	for _, q := range []string{"/Users", "/Users?filter=userName+sw+%22person%22", "/Users?sortBy=userName&count=5"} {
		for _, p := range r.processes {
			a := p.do("GET", q, "")
			if n, _ := a.JSON("totalResults").(float64); a.Status == 200 && n < 30 || a.Status != 200 && a.Status != 503 {
				t.Errorf("GET %s while upstream is away: %.200s", q, a)
			}
		}
	}
	// A process that has never met upstream knows nobody, and says so.
	r.a.kill()
	r.a.start()
	for _, q := range needUpstream {
		if a := q.send(r.a, "5ca0492c-2303-5dcc-8ec4-cc08eb30f29a"); a.Status != 503 {
			t.Errorf("after a restart: %s %s: %s, want 503", q.method, q.path, a)
		}
	}
	r.upstream.mend()
	if a := r.a.insist(time.Minute, "GET", "/Users?count=1", ""); a.JSON("totalResults") != total {
		t.Errorf("after upstream came back: %s", a)
	}
}

func TestI8_ADatabaseFailureIsNeverAnAnswerAboutTheCredential(t *testing.T) {
	t.Parallel()
	both(t, setup{Postgres: true, Redis: true}, func(t *testing.T, r *rig) {
		id := r.a.must(201, "POST", "/Users", user("there@example.com", `"externalId":"there"`)).ID()
		before := len(r.sandbox.Ledger())
		r.database.cut()
		requests := append([]request{
			{"GET", "/Users", ""}, {"GET", "/Users/unknown", ""}, {"GET", byUserName("unknown@example.com"), ""},
		}, needUpstream...)
		for round := range 2 {
			for _, q := range requests {
				for _, p := range r.processes {
					if a := q.send(p, id); a.Status != 503 {
						t.Errorf("%s %s without a database: %s, want 503", q.method, q.path, a)
					}
				}
			}
			if round == 0 {
				// Until no process trusts any longer what it knew of the token.
				eventually(t, 20*time.Second, "the credential is not trusted for ever", func() error {
					for _, p := range r.processes {
						if a := p.do("GET", "/ServiceProviderConfig", ""); a.Status != 503 {
							return fmt.Errorf("%s: %s", p.name, a)
						}
					}
					return nil
				})
			}
		}
		if a := r.b.do("GET", "/Users/"+id, "", "Authorization", "Bearer sarb_unknown"); a.Status != 503 && a.Status != 401 {
			t.Errorf("with a bad token: %s", a)
		}
		for _, p := range r.processes {
			res, err := p.client.Get("http://" + p.addr + "/healthz")
			check(t, err)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK {
				t.Errorf("%s is not alive: %s", p.name, res.Status)
			}
		}
		for _, e := range r.sandbox.Ledger()[before:] {
			t.Errorf("%s of %s took effect without a database", e.Operation, e.Email)
		}
		r.database.mend()
		for _, p := range r.processes {
			if a := p.insist(time.Minute, "GET", "/Users/"+id, ""); a.Status != 200 {
				t.Errorf("after the database came back: %s: %s", p.name, a)
			}
		}
		r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(false))
		r.expect("there@example.com", none, 1)
	})
}

func TestI8_ARedisFailureIsOnlySlower(t *testing.T) {
	t.Parallel()
	troubles := map[string]struct{ begin, end func(r *rig) }{
		"flushed": {func(r *rig) { r.redis.Do("FLUSHALL") }, func(*rig) {}},
		"killed":  {func(r *rig) { r.redis.Kill() }, func(r *rig) { r.redis.Restart() }},
		"stopped": {func(r *rig) { r.redis.Pause() }, func(r *rig) { r.redis.Resume() }},
		"read only": {func(r *rig) { r.redis.Do("REPLICAOF", "127.0.0.1", "1") },
			func(r *rig) { r.redis.Do("REPLICAOF", "NO", "ONE") }},
		"full": {func(r *rig) { r.redis.Do("CONFIG", "SET", "maxmemory", "1") },
			func(r *rig) { r.redis.Do("CONFIG", "SET", "maxmemory", "0") }},
		"full of garbage": {func(r *rig) {
			keys, _ := r.redis.Do("KEYS", "*").([]any)
			for i, k := range keys {
				r.redis.Do("SET", k, []string{"", "garbage", `{"v":1}`, "\x00\xff"}[i%4])
			}
		}, func(*rig) {}},
		"full of other types": {func(r *rig) {
			keys, _ := r.redis.Do("KEYS", "*").([]any)
			for _, k := range keys {
				r.redis.Do("DEL", k)
				r.redis.Do("LPUSH", k, "x")
			}
		}, func(*rig) {}},
	}
	both(t, setup{Redis: true}, func(t *testing.T, r *rig) {
		round := 0
		cycle := func(what string) {
			round++
			email := address("person%d", round)
			id := r.a.must(201, "POST", "/Users", user(email, fmt.Sprintf(`"externalId":"x%d"`, round))).ID()
			for _, p := range r.processes {
				for _, path := range []string{byUserName(email), fmt.Sprintf("/Users?filter=externalId+eq+%%22x%d%%22", round)} {
					if a := p.must(200, "GET", path, ""); a.JSON("Resources.0.id") != any(id) {
						t.Errorf("%s: GET %s: %s", what, path, a)
					}
				}
			}
			r.b.must(200, "PATCH", "/Users/"+id, setActive(false))
			r.expect(email, none, 1)
			r.a.must(200, "PATCH", "/Users/"+id, setActive(true))
			r.b.must(409, "POST", "/Users", user(email))
			r.expect(email, full, 2)
			r.b.must(204, "DELETE", "/Users/"+id, "")
			r.a.must(404, "GET", "/Users/"+id, "")
			r.expect(email, none, 2)
		}
		cycle("before")
		for name, trouble := range troubles {
			// Somebody from before the trouble keeps the id.
			kept := address("kept%d", round)
			id := r.b.must(201, "POST", "/Users", user(kept)).ID()
			trouble.begin(r)
			cycle(name)
			for _, p := range r.processes {
				if got := p.find(kept); got != id {
					t.Errorf("%s: the filter finds %q for %s, want %s", name, got, kept, id)
				}
				p.must(200, "GET", "/Users/"+id, "")
			}
			trouble.end(r)
			cycle("after " + name)
			r.expect(kept, full, 1)
		}
	})
}
