package invariants

import (
	"fmt"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

func errFew(n int) error { return fmt.Errorf("only %d so far", n) }

// TestI6_AnIDMeansThePersonForEver: flushes, acceptance, changes of address
// and restarts leave the id alone; a deleted person's id is not used again.
func TestI6_AnIDMeansThePersonForEver(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true, Redis: true}} {
		both(t, s, func(t *testing.T, r *rig) {
			email := address("lasting")
			id := r.a.must(201, "POST", "/Users", user(email, `"externalId":"x1"`)).ID()
			same := func(when string) {
				t.Helper()
				for _, p := range r.processes {
					if a := p.insistOn(200, "GET", "/Users/"+id, ""); a.ID() != id || a.JSON("userName") != any(email) {
						t.Errorf("%s: GET at %s: %s", when, p.name, a)
					}
					for _, path := range []string{byUserName(email), "/Users?filter=externalId+eq+%22x1%22", "/Users?filter=emails.value+eq+%22" + email + "%22"} {
						if a := p.insistOn(200, "GET", path, ""); a.JSON("Resources.0.id") != any(id) {
							t.Errorf("%s: GET %s at %s: %s", when, path, p.name, a)
						}
					}
				}
			}
			steps := []struct {
				name string
				do   func()
			}{
				{"created", func() {}},
				{"flushed", func() { r.redis.Do("FLUSHALL") }},
				{"renamed while pending", func() {
					email = address("renamed")
					r.b.insistOn(200, "PUT", "/Users/"+id, user(email, `"externalId":"x1"`))
				}},
				{"accepted", func() { r.accept(email) }},
				{"restarted", func() { r.a.restart(); r.b.restart() }},
				{"renamed", func() {
					email = address("renamed.again")
					r.a.insistOn(200, "PUT", "/Users/"+id, user(email, `"externalId":"x1"`))
				}},
				{"flushed again", func() { r.redis.Do("FLUSHALL") }},
				{"deactivated", func() { r.b.insistOn(200, "PATCH", "/Users/"+id, setActive(false)) }},
				{"reactivated", func() { r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(true)) }},
				{"Redis restarted", func() { r.redis.Restart() }},
			}
			for _, step := range steps {
				step.do()
				same(step.name)
			}
			used := map[string]bool{id: true}
			for range 3 {
				r.a.insistOn(204, "DELETE", "/Users/"+id, "")
				for _, p := range r.processes {
					p.must(404, "GET", "/Users/"+id, "")
				}
				r.expect(email, none, r.mails(email))
				next, _ := r.b.create(user(email, `"externalId":"x1"`))
				if next == "" || used[next] {
					t.Fatalf("the id %q of a deleted person is used again", next)
				}
				used[next] = true
				id = next
				same("created anew")
			}
		})
	}
}

// TestI7_WrittenIsReadableAtOnce: whatever was answered 2xx can be read on
// every process at once, although upstream's reads are behind.
func TestI7_WrittenIsReadableAtOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{Redis: true}, {Postgres: true}} {
		both(t, s, func(t *testing.T, r *rig) {
			r.faults(staleReads(30_000)...)
			for i := range times(8) {
				email := address("person%d", i)
				writer, reader := r.processes[i%2], r.processes[1-i%2]
				id := writer.insistOn(201, "POST", "/Users", user(email)).ID()
				shows := func(what, path string, want any) {
					t.Helper()
					for _, p := range []*process{reader, writer} {
						if a := p.insistOn(200, "GET", "/Users/"+id, ""); a.JSON(path) != want {
							t.Errorf("after %s: %s is %v at %s, want %v", what, path, a.JSON(path), p.name, want)
						}
						if a := p.insistOn(200, "GET", byUserName(email), ""); a.JSON("Resources.0."+path) != want {
							t.Errorf("after %s: the filter shows %s %v at %s, want %v", what, path, a.JSON("Resources.0."+path), p.name, want)
						}
					}
				}
				shows("create", "userName", email)
				writer.insistOn(200, "PATCH", "/Users/"+id, patch(`{"op":"replace","path":"name.givenName","value":"Changed"}`))
				shows("a new name", "name.givenName", "Changed")
				reader.insistOn(200, "PATCH", "/Users/"+id, setActive(false))
				shows("deactivation", "active", false)
				reader.insistOn(409, "POST", "/Users", user(email))
				writer.insistOn(204, "DELETE", "/Users/"+id, "")
				for _, p := range r.processes {
					p.must(404, "GET", "/Users/"+id, "")
					if a := p.insistOn(200, "GET", byUserName(email), ""); a.JSON("totalResults") != any(0.0) {
						t.Errorf("after DELETE the filter finds %s", a)
					}
				}
			}
		})
	}
}

// TestI7_NotFoundIsWhatUpstreamSaid: somebody who was removed behind our back
// is 404 and may be created anew.
func TestI7_NotFoundIsWhatUpstreamSaid(t *testing.T) {
	t.Parallel()
	r := start(t, setup{Redis: true})
	email := address("lost")
	id := accepted(r, email)
	if _, err := r.sandbox.Edit(sandbox.Edit{Email: email, Delete: true}); err != nil {
		t.Fatal(err)
	}
	// What we wrote is younger than upstream's slowest reads: until it is
	// older, nobody can know. Either answer is honest, and no other.
	for _, p := range r.processes {
		if a := p.do("GET", "/Users/"+id, ""); a.Status != 200 && a.Status != 404 {
			t.Errorf("GET of somebody who was removed upstream: %s", a)
		}
	}
}
