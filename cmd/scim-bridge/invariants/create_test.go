package invariants

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

func TestI1_AnAcknowledgedCreateSurvivesTheProcessThatAcknowledgedIt(t *testing.T) {
	t.Parallel()
	for _, s := range []setup{{}, {Postgres: true, Redis: true}} {
		both(t, s, func(t *testing.T, r *rig) {
			n := times(40)
			answers := make([]answer, n)
			// Every third invite call is lost on its way back or never arrives.
			r.faults(
				sandbox.Rule{Operation: "invite_users", After: 1, Times: 1, Cut: "after"},
				sandbox.Rule{Operation: "invite_users", After: 3, Times: 1, Status: 503},
				sandbox.Rule{Operation: "get_user", Times: 3, StaleMS: 60_000},
			)
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					p := []*process{r.a, r.b}[i%2]
					answers[i] = p.do("POST", "/Users", user(address("person%d", i)))
				})
			}
			wg.Wait()
			r.a.kill()
			if r.redis != nil {
				r.redis.Do("FLUSHALL")
			}
			acknowledged := 0
			for i, a := range answers {
				email := address("person%d", i)
				if a.Status != 201 {
					if !a.passing() {
						t.Errorf("POST of %s: %s", email, a)
					}
					continue
				}
				acknowledged++
				r.expect(email, full, 1)
				if got := r.b.insistOn(200, "GET", "/Users/"+a.ID(), ""); got.JSON("userName") != any(email) {
					t.Errorf("GET of %s by the other process: %s", email, got)
				}
				if id := r.b.find(email); id != a.ID() {
					t.Errorf("the filter finds %q for %s, want %s", id, email, a.ID())
				}
			}
			if acknowledged == 0 {
				t.Error("no create was acknowledged: nothing was tested")
			}
		})
	}
}

func TestI2_ConcurrentCreatesMakeOnePerson(t *testing.T) {
	t.Parallel()
	body := func(userName, email string) string {
		return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":%q,"name":{"givenName":"Zoe"},"emails":[{"value":%q,"primary":true}],"active":true}`, userName, email)
	}
	variants := map[string]struct {
		email  string
		bodies []string
	}{
		"one user name": {address("same"), []string{user(address("same"))}},
		"upper and lower case": {address("case"), []string{
			body("case@example.com", "case@example.com"), body("CASE@example.com", "CASE@example.com"),
			body("Case@Example.COM", "case@EXAMPLE.com"), body("cASE@example.com", "case@example.com"),
		}},
		"composed and decomposed letters": {address("zoe"), []string{
			body("Zo\u00eb \u00c5ngstr\u00f6m", address("zoe")), body("Zoe\u0308 A\u030angstro\u0308m", address("zoe")),
			body("ZO\u00cb \u00c5NGSTR\u00d6M", address("zoe")),
		}},
		"one e-mail address, two user names": {address("shared"), []string{
			body("first", address("shared")), body("second", address("shared")),
		}},
	}
	for name, v := range variants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			both(t, setup{Postgres: true}, func(t *testing.T, r *rig) {
				n := times(64)
				answers := make([]answer, n)
				gun := make(chan struct{})
				var wg sync.WaitGroup
				for i := range n {
					wg.Go(func() {
						<-gun
						answers[i] = []*process{r.a, r.b}[i%2].do("POST", "/Users", v.bodies[(i/2)%len(v.bodies)])
					})
				}
				close(gun)
				wg.Wait()
				count := map[int]int{}
				var id string
				for _, a := range answers {
					count[a.Status]++
					switch a.Status {
					case 201:
						id = a.ID()
					case 409:
						if a.JSON("scimType") != any("uniqueness") {
							t.Errorf("409 without scimType uniqueness: %s", a)
						}
					case 503:
					default:
						t.Errorf("answered %s", a)
					}
				}
				if count[201] != 1 || count[409] == 0 {
					t.Errorf("answers by status: %v, want one 201 and the rest 409 or 503", count)
				}
				r.expect(v.email, full, 1)
				invites := 0
				for _, e := range r.sandbox.Ledger() {
					if e.Operation == "invite_users" {
						invites++
					}
				}
				if invites != 1 {
					t.Errorf("%d invites in the ledger, want 1%s", invites, r.history(v.email))
				}
				// 409 is the truth now, on both processes, for each variant.
				for _, p := range r.processes {
					for _, b := range v.bodies {
						p.insistOn(409, "POST", "/Users", b)
					}
					if got := p.insistOn(200, "GET", "/Users/"+id, ""); got.ID() != id {
						t.Errorf("GET: %s", got)
					}
				}
			})
		})
	}
}

// lostAnswers are the ways in which an answer is lost after the call took
// effect.
var lostAnswers = map[string]sandbox.Rule{
	"cut":       {Cut: "after"},
	"html":      {Body: "html"},
	"truncated": {Body: "truncated"},
	"garbage":   {Body: "garbage"},
	"empty":     {Body: "empty"},
}

func TestI2_ALostAnswerIsReadBackAndNotRepeated(t *testing.T) {
	t.Parallel()
	policies := map[string][]string{"invite": nil, "create": {"provisioning: create"}}
	for policy, lines := range policies {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			both(t, setup{Tenant: lines}, func(t *testing.T, r *rig) {
				operations := []string{"invite_users"}
				if policy == "create" {
					operations = []string{"create_user", "set_role"}
				}
				for _, op := range operations {
					for name, rule := range lostAnswers {
						for _, stale := range []bool{false, true} {
							email := address("%s.%s.%t", op, name, stale)
							rule.Operation, rule.Times = op, 1
							rules := []sandbox.Rule{rule}
							if stale { // the first reads do not show the effect
								for _, read := range []string{"list_invites", "find_user_by_email", "get_user", "get_invite"} {
									rules = append(rules, sandbox.Rule{Operation: read, Times: 2, StaleMS: 60_000})
								}
							}
							r.faults(rules...)
							id, _ := r.a.create(user(email))
							r.faults()
							if got := r.b.insistOn(200, "GET", "/Users/"+id, ""); got.JSON("active") != any(true) {
								t.Errorf("%s: GET: %s", email, got)
							}
							r.b.insistOn(409, "POST", "/Users", user(email))
							want := 1
							if policy == "create" {
								want = min(r.mails(email), 1) // by invite only where the account cannot be seen
							}
							r.expect(email, full, want)
							if n := r.people(email); n != 1 {
								t.Errorf("%s is upstream %d times%s", email, n, r.history(email))
							}
						}
					}
				}
			})
		})
	}
}

func TestI2_ReactivationMailsOnce(t *testing.T) {
	t.Parallel()
	both(t, setup{Redis: true}, func(t *testing.T, r *rig) {
		for name, rule := range lostAnswers {
			email := address("back.%s", name)
			id := r.a.must(201, "POST", "/Users", user(email)).ID()
			r.a.must(200, "PATCH", "/Users/"+id, setActive(false))
			r.expect(email, none, 1)
			var rules []sandbox.Rule
			for _, op := range []string{"activate_user", "resend_invite", "invite_users"} {
				rule.Operation, rule.Times = op, 1
				rules = append(rules, rule)
			}
			r.faults(rules...)
			got := r.a.insistOn(200, "PATCH", "/Users/"+id, setActive(true))
			r.faults()
			if got.JSON("active") != any(true) {
				t.Errorf("%s: %s", email, got)
			}
			r.expect(email, full, 2)
			r.b.insistOn(200, "PATCH", "/Users/"+id, setActive(true))
			r.expect(email, full, 2)
		}
	})
}

func TestI2_TheMailboxOfTheOldAddressCannotAccept(t *testing.T) {
	t.Parallel()
	both(t, setup{}, func(t *testing.T, r *rig) {
		for name, rule := range lostAnswers {
			was, is := address("old.%s", name), address("new.%s", name)
			id := r.a.must(201, "POST", "/Users", user(was)).ID()
			var rules []sandbox.Rule
			for _, op := range []string{"update_user", "revoke_invite", "invite_users"} {
				rule.Operation, rule.Times = op, 1
				rules = append(rules, rule)
			}
			r.faults(rules...)
			got := r.b.insistOn(200, "PUT", "/Users/"+id, user(is))
			r.faults()
			if got.ID() != id || got.JSON("userName") != any(is) {
				t.Errorf("%s: %s", is, got)
			}
			r.expect(was, none, 1)
			r.expect(is, full, 1)
			if slices.Contains([]string{r.a.find(is), r.b.find(is)}, "") || r.b.find(was) != "" {
				t.Errorf("%s: the filter finds %q by the new and %q by the old name", name, r.b.find(is), r.b.find(was))
			}
		}
	})
}
