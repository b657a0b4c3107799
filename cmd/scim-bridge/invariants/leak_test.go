package invariants

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// mischief is a fault for each way in which upstream misbehaves.
var mischief = []sandbox.Rule{
	{Status: 503}, {Status: 401}, {Status: 403}, {Status: 422}, {Status: 429, RetryAfter: "1"}, {Status: 302},
	{Cut: "before"}, {Cut: "after"}, {Body: "html"}, {Body: "truncated"}, {Body: "garbage"}, {Body: "empty"}, {Swap: true},
}

// TestI14_NoSecretIsTold sends the client's token, the upstream secret and
// passwords through every path, faults included, and looks for them in logs,
// metrics, answers, Redis and the database.
func TestI14_NoSecretIsTold(t *testing.T) {
	t.Parallel()
	both(t, setup{Redis: true, Tenant: []string{"reset_password: true"}}, func(t *testing.T, r *rig) {
		const password = "canary-Pa55word-7f3a9c"
		secrets := map[string]string{"the token": r.tokens["acme"], "the upstream secret": secretOf("acme"), "a password": password}
		var told bytes.Buffer
		hear := func(a answer) {
			fmt.Fprintf(&told, "%d %v %s\n", a.Status, a.Header, a.Body)
		}
		n := 0
		cycle := func() {
			n++
			email := address("person%d", n)
			a := r.a.do("POST", "/Users", user(email, `"password":"`+password+`"`))
			hear(a)
			id := a.ID()
			if id == "" {
				id = "5ca0492c-2303-5dcc-8ec4-cc08eb30f29a"
			}
			_ = r.sandbox.Accept(email)
			hear(r.b.do("PATCH", "/Users/"+id, patch(`{"op":"replace","path":"password","value":"`+password+`"}`)))
			hear(r.b.do("PUT", "/Users/"+id, user(email, `"password":"`+password+`"`)))
			hear(r.a.do("PATCH", "/Users/"+id, patch(`{"op":"replace","path":"password","value":{"value":"`+password+`"}}`)))
			hear(r.a.do("GET", "/Users/"+id+"?attributes=password", ""))
			hear(r.b.do("GET", "/Users?filter=password+eq+%22"+password+"%22", ""))
			hear(r.a.do("GET", "/Users?access_token="+r.tokens["acme"], "", "Authorization", ""))
			hear(r.a.do("GET", "/Users", "", "Authorization", "Basic "+r.tokens["acme"]))
			hear(r.a.do("GET", "/Users", "", "Authorization", "Bearer  "+r.tokens["acme"]+","))
			hear(r.b.do("POST", "/Users", `{"password":"`+password+`","userName":7}`))
			hear(r.b.do("POST", "/Users", `{"userName":"x","password":"`+password))
			hear(r.b.do("PATCH", "/Users/"+id, setActive(false)))
			hear(r.a.do("DELETE", "/Users/"+id, ""))
		}
		cycle()
		for i, rule := range mischief {
			rule.Operation, rule.Times = "*", 6
			r.faults(rule)
			cycle()
			if i%4 == 0 {
				r.faults(sandbox.Rule{Operation: "create_token", Status: 401})
				r.sandbox.RevokeTokens()
				cycle()
			}
		}
		r.faults()
		places := map[string]string{"an answer": told.String()}
		for _, p := range r.processes {
			places["the log of "+p.name] = p.allLogs()
			places["the metrics of "+p.name] = p.metrics()
		}
		keys, _ := r.redis.Do("KEYS", "*").([]any)
		for _, k := range keys {
			places["Redis"] += fmt.Sprint(k, r.redis.Do("GET", k))
		}
		files, err := filepath.Glob(filepath.Join(r.dir, "bridge.db*"))
		check(t, err)
		for _, f := range files {
			text, err := os.ReadFile(f)
			check(t, err)
			places[filepath.Base(f)] = string(text)
		}
		if len(keys) == 0 || len(files) == 0 || told.Len() == 0 {
			t.Errorf("nothing to look at: %d Redis keys, %d files, %d bytes of answers", len(keys), len(files), told.Len())
		}
		for place, text := range places {
			for name, secret := range secrets {
				if at := strings.Index(text, secret); at >= 0 {
					t.Errorf("%s is in %s: …%q…", name, place, text[max(0, at-150):at+len(secret)])
				}
			}
		}
	})
}

// TestI15_NothingLeaks sends many requests while upstream misbehaves, and
// counts goroutines and open files afterwards.
func TestI15_NothingLeaks(t *testing.T) {
	t.Parallel()
	both(t, setup{Redis: true}, func(t *testing.T, r *rig) {
		id := r.a.must(201, "POST", "/Users", user("there@example.com", `"externalId":"there"`)).ID()
		storm := func(n int) {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					q := needUpstream[i%(len(needUpstream)-1)] // all but DELETE
					q.send(r.processes[(i/len(needUpstream))%2], id)
				})
				if i%24 == 23 {
					wg.Wait()
				}
			}
			wg.Wait()
		}
		storm(96) // whatever is kept for good is there then
		count := func(p *process) (goroutines, files float64) {
			return p.metric("go_goroutines"), p.metric("process_open_fds")
		}
		type counts struct{ goroutines, files float64 }
		before := map[string]counts{}
		for _, p := range r.processes {
			g, f := count(p)
			before[p.name] = counts{g, f}
		}
		for i, rule := range mischief {
			rule.Operation = "*"
			r.faults(rule)
			if i%3 == 0 {
				r.redis.Restart()
			}
			storm(times(48))
			r.faults(sandbox.Rule{Operation: "*", Times: 8, DelayMS: 20})
			storm(24)
		}
		r.faults()
		for _, p := range r.processes {
			p.client.CloseIdleConnections()
			eventually(t, time.Minute, p.name+" gives back what it used", func() error {
				g, f := count(p)
				if was := before[p.name]; g > was.goroutines+20 || f > was.files+20 {
					return fmt.Errorf("%v goroutines and %v files, %v and %v before", g, f, was.goroutines, was.files)
				}
				return nil
			})
			if n := p.metric("scim_bridge_panics_total"); n != 0 {
				t.Errorf("%s had %v panics", p.name, n)
			}
		}
	})
}
