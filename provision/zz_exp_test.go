package provision_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/bridge/bridgetest"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

func TestExpRandom(t *testing.T) {
	for _, mode := range []sandbox.InviteMode{sandbox.Immediate, sandbox.Deferred} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			s, c := startAt(t, mode)
			end := time.Now().Add(50 * time.Second)
			for n := 0; time.Now().Before(end); n++ {
				rnd := rand.New(rand.NewPCG(uint64(n), 7))
				var log []string
				note := func(what string, r bridgetest.Response) { log = append(log, fmt.Sprintf("%s -> %d", what, r.Status)) }
				a, b := fmt.Sprintf("a%d@example.com", n), fmt.Sprintf("b%d@example.com", n)
				email := a
				id := ""
				body := bridgetest.User(a)
				if rnd.IntN(2) == 0 {
					body = inactiveUser(a)
				}
				ops := []string{"invite_users", "deactivate_user", "activate_user", "resend_invite", "revoke_invite", "update_user", "remove_user", "get_user", "get_invite", "list_invites", "find_user_by_email"}
				for range 6 {
					if rnd.IntN(3) > 0 {
						var rules []sandbox.Rule
						for range 1 + rnd.IntN(2) {
							rule := sandbox.Rule{Operation: ops[rnd.IntN(len(ops))], Times: 3}
							switch rnd.IntN(4) {
							case 0:
								rule.Cut = "after"
							case 1:
								rule.Cut = "before"
							case 2:
								rule.Status = 503
							case 3:
								rule.Status = 400
							}
							rules = append(rules, rule)
						}
						faults(t, s, rules...)
						log = append(log, fmt.Sprintf("%+v", rules))
					} else {
						faults(t, s)
					}
					if id == "" {
						r := s.Do("POST", "/Users", body)
						note("POST", r)
						if r.Status == 201 {
							id = r.ID()
						}
						continue
					}
					switch rnd.IntN(6) {
					case 0:
						note("active false", s.Do("PATCH", "/Users/"+id, setActive(false)))
					case 1:
						note("active true", s.Do("PATCH", "/Users/"+id, setActive(true)))
					case 2:
						to := []string{a, b}[rnd.IntN(2)]
						r := s.Do("PUT", "/Users/"+id, bridgetest.User(to))
						note("PUT "+to, r)
						if r.Status == 200 {
							email = to
						}
					case 3:
						_ = s.Sandbox.Accept(a)
						_ = s.Sandbox.Accept(b)
						log = append(log, "accept")
					case 4:
						note("title", s.Do("PATCH", "/Users/"+id, bridgetest.PatchOp(`{"op":"replace","path":"title","value":"Dr"}`)))
					case 5:
						note("GET", s.Do("GET", "/Users/"+id, ""))
					}
				}
				faults(t, s)
				_ = email
				if rnd.IntN(2) == 0 {
					c.advance(2 * time.Minute)
					if rnd.IntN(2) == 0 {
						sweep(t, s)
						log = append(log, "sweep")
					}
				}
				if id == "" {
					continue
				}
				del := rnd.IntN(2) == 0
				var r bridgetest.Response
				for try := range 2 {
					if del {
						r = s.Do("DELETE", "/Users/"+id, "")
					} else {
						r = s.Do("PATCH", "/Users/"+id, setActive(false))
					}
					note(fmt.Sprint("final del=", del), r)
					if try == 0 && r.Status == 503 {
						c.advance(2 * time.Minute)
						continue
					}
					break
				}
				if r.Status >= 300 || len(access(s, a))+len(access(s, b)) > 0 {
					t.Errorf("n=%d: %d %s access %v %v\n%v", n, r.Status, r.Body, access(s, a), access(s, b), log)
				}
			}
		})
	}
}
