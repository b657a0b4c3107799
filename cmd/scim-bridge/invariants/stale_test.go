package invariants

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// TestI13_ConcurrentChangesLoseNothing: requests for different attributes of
// one person, over both processes, all take effect.
func TestI13_ConcurrentChangesLoseNothing(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true}} {
		both(t, s, func(t *testing.T, r *rig) {
			attributes := []string{"name.givenName", "name.familyName", "name.middleName", "displayName", "nickName", "title", "userType",
				"preferredLanguage", "locale", "timezone", "externalId", "profileUrl"}
			value := map[string]string{"preferredLanguage": "fr", "locale": "fr-CA", "timezone": "America/Toronto", "profileUrl": "https://example.com/p"}
			for round := range times(4) {
				email := address("busy%d", round)
				id := r.a.must(201, "POST", "/Users", user(email)).ID()
				if round%2 == 0 {
					r.accept(email)
				}
				modified := r.b.must(200, "GET", "/Users/"+id, "").JSON("meta.lastModified").(string)
				r.faults(sandbox.Rule{Operation: "*", DelayMS: 3})
				want := map[string]string{}
				var wg sync.WaitGroup
				for i, name := range attributes {
					v := value[name]
					if v == "" {
						v = fmt.Sprintf("v%d.%d", round, i)
					}
					want[name] = v
					wg.Go(func() {
						r.processes[i%2].insistOn(200, "PATCH", "/Users/"+id, patch(fmt.Sprintf(`{"op":"replace","path":%q,"value":%q}`, name, v)))
					})
				}
				wg.Wait()
				r.faults()
				for _, p := range r.processes {
					a := p.must(200, "GET", "/Users/"+id, "")
					for name, v := range want {
						if a.JSON(name) != any(v) {
							t.Errorf("%s is %v at %s, want %q", name, a.JSON(name), p.name, v)
						}
					}
					now, _ := a.JSON("meta.lastModified").(string)
					if before, after := parse(t, modified), parse(t, now); after.Before(before) {
						t.Errorf("meta.lastModified went back from %s to %s", modified, now)
					}
				}
				if got, want := r.profile(email), fmt.Sprintf("%s|%s|%s|", email, want["name.givenName"], want["name.familyName"]); got != want {
					t.Errorf("upstream has %q, want %q", got, want)
				}
			}
		})
	}
}

func parse(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, text)
	check(t, err)
	return at
}

// TestI13_AStoppedProcessOverwritesNothing stops a process (SIGSTOP) in the
// middle of a change until its lease has run out and the other process has
// made a later one. When it goes on, it must notice.
func TestI13_AStoppedProcessOverwritesNothing(t *testing.T) {
	t.Parallel()
	rename := func(email, given string) string {
		return patch(fmt.Sprintf(`{"op":"replace","path":"emails","value":[{"value":%q,"type":"work","primary":true}]}`, given+"."+email),
			fmt.Sprintf(`{"op":"replace","path":"name.givenName","value":%q}`, given))
	}
	moments := []struct {
		name      string
		operation string
	}{
		{"after a read and before the change", "get_user"},
		{"after the change and before the commit", "update_user"},
	}
	// Not on a SQLite file: a process that is stopped while it holds the
	// file's lock keeps it, whatever the file is used for.
	for _, moment := range moments {
		t.Run(moment.name, func(t *testing.T) {
			t.Parallel()
			both(t, setup{Postgres: true}, func(t *testing.T, r *rig) {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				email := address("stopped")
				id := accepted(r, email)
				r.b.must(200, "GET", "/Users/"+id, "") // the account is known
				r.faults(sandbox.Rule{Operation: moment.operation, Times: 1, Gate: "here", When: "after"})
				old := make(chan answer, 1)
				go func() { old <- r.a.do("PATCH", "/Users/"+id, rename(email, "Old")) }()
				check(t, r.sandbox.AwaitGate(ctx, "here", 1))
				r.a.pause()
				check(t, r.sandbox.OpenGate("here"))
				r.b.insistOn(200, "PATCH", "/Users/"+id, rename(email, "New"))
				effects := len(r.sandbox.Ledger())
				r.a.resume()
				a := <-old
				if a.err == nil && a.Status < 300 {
					t.Errorf("the stopped process acknowledged what it had lost the lease for: %s", a)
				}
				for _, e := range r.sandbox.Ledger()[effects:] {
					t.Errorf("the stopped process still did %s upstream", e.Operation)
				}
				want := fmt.Sprintf("New.%s|New|Test|", email)
				if got := r.profile("New." + email); got != want {
					t.Errorf("upstream has %q, want %q%s", got, want, r.history("New."+email))
				}
				for _, p := range r.processes {
					if a := p.insistOn(200, "GET", "/Users/"+id, ""); a.JSON("name.givenName") != any("New") || a.JSON("emails.0.value") != any("New."+email) {
						t.Errorf("GET at %s: %s", p.name, a)
					}
				}
			})
		})
	}
}
