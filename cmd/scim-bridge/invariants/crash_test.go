package invariants

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/upstream/sandbox"
)

// deed is a change that a process is killed in the middle of.
type deed struct {
	name string
	// prepare brings the person about whom it is to where it begins, and
	// returns the id.
	prepare func(r *rig, email string) string
	// send is what the client sends, again and again until it is answered.
	send func(email, id string) (method, path, body string)
	// final checks upstream when the client was answered at last.
	final func(r *rig, email string)
	// gone says that the person, or the group, is gone afterwards, by whatever
	// name.
	gone bool
	// on is the endpoint of what id names; "": /Users/.
	on string
}

func invited(r *rig, email string) string {
	return r.b.must(201, "POST", "/Users", user(email)).ID()
}

func accepted(r *rig, email string) string {
	id := invited(r, email)
	r.accept(email)
	return id
}

// renamed is the address that the person of email is renamed to.
func renamed(email string) string { return "new." + email }

var deeds = []deed{
	{
		name:    "create",
		prepare: func(*rig, string) string { return "" },
		send:    func(email, _ string) (string, string, string) { return "POST", "/Users", user(email) },
		final:   func(r *rig, email string) { r.expect(email, full, 1) },
	},
	{
		name: "rename", prepare: accepted,
		send: func(email, id string) (string, string, string) { return "PUT", "/Users/" + id, user(renamed(email)) },
		final: func(r *rig, email string) {
			r.expect(email, none, 1)
			r.expect(renamed(email), full, 0)
		},
	},
	{
		name: "rename while pending", prepare: invited,
		send: func(email, id string) (string, string, string) { return "PUT", "/Users/" + id, user(renamed(email)) },
		final: func(r *rig, email string) {
			r.expect(email, none, 1)
			r.expect(renamed(email), full, 1)
		},
	},
	{
		name: "deactivate", prepare: accepted,
		send:  func(_, id string) (string, string, string) { return "PATCH", "/Users/" + id, setActive(false) },
		final: func(r *rig, email string) { r.expect(email, none, 1) },
	},
	{
		name: "deactivate while pending", prepare: invited,
		send:  func(_, id string) (string, string, string) { return "PATCH", "/Users/" + id, setActive(false) },
		final: func(r *rig, email string) { r.expect(email, none, 1) },
	},
	{
		name: "reactivate",
		prepare: func(r *rig, email string) string {
			id := accepted(r, email)
			r.b.must(200, "PATCH", "/Users/"+id, setActive(false))
			return id
		},
		send:  func(_, id string) (string, string, string) { return "PATCH", "/Users/" + id, setActive(true) },
		final: func(r *rig, email string) { r.expect(email, full, 1) },
	},
	{
		name: "reactivate while pending",
		prepare: func(r *rig, email string) string {
			id := invited(r, email)
			r.b.must(200, "PATCH", "/Users/"+id, setActive(false))
			return id
		},
		send:  func(_, id string) (string, string, string) { return "PATCH", "/Users/" + id, setActive(true) },
		final: func(r *rig, email string) { r.expect(email, full, 2) },
	},
	{
		name: "delete", prepare: accepted, gone: true,
		send:  func(_, id string) (string, string, string) { return "DELETE", "/Users/" + id, "" },
		final: func(r *rig, email string) { r.expect(email, none, 1) },
	},
	{
		name: "delete while pending", prepare: invited, gone: true,
		send:  func(_, id string) (string, string, string) { return "DELETE", "/Users/" + id, "" },
		final: func(r *rig, email string) { r.expect(email, none, 1) },
	},
}

// createAccount is a create where the policy makes accounts at once. Nobody can
// see such an account before it has a membership: where that was not given, an
// invite has to add it, with one mail.
var createAccount = deed{
	name:    "create account",
	prepare: deeds[0].prepare,
	send:    deeds[0].send,
	final: func(r *rig, email string) {
		invites := 0
		for _, e := range r.sandbox.Ledger() {
			if e.Email == email && e.Operation == "invite_users" {
				invites++
			}
		}
		r.expect(email, full, min(invites, 1))
	},
}

// path is that of the person, or the group, afterwards.
func (c interrupted) path() string {
	id, _, _ := strings.Cut(c.id, " ") // the ids of others may follow
	return cmp.Or(c.on, "/Users/") + id
}

// interrupted is a deed whose process was killed in the middle.
type interrupted struct {
	deed
	email, id, where string
}

// TestI10_KilledBetweenAnyTwoEffects kills a process with SIGKILL before and
// after each of the upstream calls of each deed. The client then sends its
// request again to the other process, or to the killed one after its restart.
func TestI10_KilledBetweenAnyTwoEffects(t *testing.T) {
	t.Parallel()
	for _, lines := range [][]string{nil, {"provisioning: create"}} {
		t.Run(strings.Join(append([]string{"policy"}, lines...), " "), func(t *testing.T) {
			t.Parallel()
			both(t, setup{Postgres: true, Tenant: lines}, func(t *testing.T, r *rig) {
				if lines != nil {
					killAll(r, []deed{createAccount}) // the other deeds do not differ
					return
				}
				killAll(r, deeds)
			})
		})
	}
}

func killAll(r *rig, deeds []deed) {
	var cut []interrupted
	for _, d := range deeds {
		for n := 0; ; n++ {
			reached := true
			for _, when := range []string{"before", "after"} {
				if raced && when == "before" {
					continue
				}
				c := interrupted{deed: d, where: fmt.Sprintf("%s call %d", when, n+1)}
				c.email = address("%s.%d.%s", strings.ReplaceAll(d.name, " ", "-"), n, when)
				if reached = r.interrupt(&c, n, when); !reached {
					break
				}
				cut = append(cut, c)
			}
			if !reached {
				break
			}
		}
	}
	r.t.Logf("killed at %d points", len(cut))
	if len(cut) < 2*len(deeds) && !raced {
		r.t.Errorf("only %d points were found at which to kill", len(cut))
	}
	r.resume(cut)
}

// interrupt sends the deed to a, which is killed at its n-th upstream call. It
// is false when the deed was done in fewer calls.
func (r *rig) interrupt(c *interrupted, n int, when string) bool {
	r.t.Helper()
	c.id = c.prepare(r, c.email)
	r.a.must(200, "GET", byUserName("nobody@example.com"), "") // it has its token and the roles
	r.faults(sandbox.Rule{Operation: "*", After: n, Times: 1, KillPID: r.a.pid(), When: when})
	r.a.mayDie = true
	got := r.a.do(c.send(c.email, c.id))
	fired := r.sandbox.Faults()[0].Fired > 0
	r.faults()
	if !fired {
		r.a.mayDie = false
		if got.err != nil || got.Status >= 300 {
			r.t.Errorf("%s without a fault: %s", c.name, got)
		}
		return false
	}
	<-r.a.exited
	r.a.restart()
	return true
}

// resume sends every interrupted deed again until it is answered.
func (r *rig) resume(cut []interrupted) {
	r.t.Helper()
	var wg sync.WaitGroup
	for i, c := range cut {
		wg.Go(func() {
			p := []*process{r.b, r.a}[i%2]
			r.finish(p, c)
		})
	}
	wg.Wait()
	r.settled()
	left, err := r.store.Intents(r.t.Context(), "acme", time.Now().Add(time.Hour), 1000)
	check(r.t, err)
	for _, i := range left {
		r.t.Errorf("the intent %q is left over", i.Key)
	}
}

func (r *rig) finish(p *process, c interrupted) {
	r.t.Helper()
	what := fmt.Sprintf("%s, killed %s, again at %s", c.name, c.where, p.name)
	method, path, body := c.send(c.email, c.id)
	switch {
	case method == "POST":
		if c.id, _ = p.create(body); c.id == "" {
			r.t.Errorf("%s: no person", what)
			return
		}
	case c.gone:
		if a := p.insist(patience, method, path, body); a.Status != 204 && a.Status != 404 {
			r.t.Errorf("%s: %s", what, a)
		}
	default:
		if a := p.insist(patience, method, path, body); a.Status != 200 && a.Status != 204 {
			r.t.Errorf("%s: %s", what, a)
		}
	}
	c.final(r, c.email)
	want := 200
	if c.gone {
		want = 404
	}
	for _, p := range r.processes {
		if a := p.insist(patience, "GET", c.path(), ""); a.Status != want {
			r.t.Errorf("%s: GET at %s: %s, want %d", what, p.name, a, want)
		}
	}
	if r.t.Failed() {
		r.t.Logf("%s:%s%s", what, r.history(c.email), r.history(renamed(c.email)))
	}
}

// TestI11_KilledAtTheCommit kills a process while its database commits, once
// before the transaction is sent whole and once when the database makes it
// last but its answer is lost.
func TestI11_KilledAtTheCommit(t *testing.T) {
	t.Parallel()
	both(t, setup{Postgres: true}, func(t *testing.T, r *rig) {
		conf, err := pgx.ParseConfig(r.direct)
		check(t, err)
		db := stdlib.OpenDB(*conf)
		t.Cleanup(func() { _ = db.Close() })
		var cut []interrupted
		for _, timing := range []string{"IMMEDIATE", "DEFERRED"} {
			for _, d := range deeds {
				c := interrupted{deed: d, where: "at an " + timing + " constraint"}
				c.email = address("%s.%s", strings.ReplaceAll(d.name, " ", "-"), strings.ToLower(timing))
				c.id = c.prepare(r, c.email)
				r.killAtCommit(db, &c, timing)
				cut = append(cut, c)
			}
		}
		r.resume(cut)
		r.verifyEvents()
	})
}

// killAtCommit makes every transaction that writes an event wait for a lock
// that the test holds: when the event is inserted (the transaction is rolled
// back then, as its client is gone) or when it is committed (it lasts then,
// and nobody is told).
func (r *rig) killAtCommit(db *sql.DB, c *interrupted, timing string) {
	t := r.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const lock = 4711
	conn, err := db.Conn(ctx)
	check(t, err)
	defer conn.Close()
	run := func(statement string) {
		t.Helper()
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run(fmt.Sprintf(`CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_advisory_xact_lock(%d); RETURN NULL; END $$`, lock))
	run(`CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON events DEFERRABLE INITIALLY ` + timing + ` FOR EACH ROW EXECUTE FUNCTION hold()`)
	run(fmt.Sprintf(`SELECT pg_advisory_lock(%d)`, lock))
	answered := make(chan answer, 1)
	r.a.mayDie = true
	go func() { answered <- r.a.do(c.send(c.email, c.id)) }()
	eventually(t, 30*time.Second, c.name+" waits at its commit", func() error {
		var waiting int
		check(t, conn.QueryRowContext(ctx, `SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted`, lock).Scan(&waiting))
		if waiting == 0 {
			return fmt.Errorf("nobody waits")
		}
		return nil
	})
	r.a.kill()
	if a := <-answered; a.err == nil {
		t.Errorf("%s was answered before its commit: %s", c.name, a)
	}
	run(fmt.Sprintf(`SELECT pg_advisory_unlock(%d)`, lock))
	// The transaction ends before the trigger can go.
	run(`DROP TRIGGER hold ON events`)
	r.a.restart()
}

// verifyEvents: I11, every acknowledged change has exactly one event, and
// every effect upstream of ours has one at least.
func (r *rig) verifyEvents() {
	r.t.Helper()
	byRequest := map[string]int{}
	covered := map[string]bool{}
	for _, e := range r.events() {
		if e.Outcome != store.OutcomeOK {
			continue
		}
		if e.Action != "user.roles" { // a change of a group has one for each person whose roles it changed, too
			byRequest[e.RequestID]++
		}
		covered[e.ResourceID] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.acknowledged {
		if byRequest[id] != 1 {
			r.t.Errorf("the acknowledged request %s has %d events, want 1 (I11)", id, byRequest[id])
		}
	}
	for _, e := range r.sandbox.Ledger() {
		if e.Credential != "acme" && e.Credential != "globex" {
			continue
		}
		var p *store.Person
		err := store.ErrNotFound
		if e.UserID != nil {
			p, err = r.anybody(e.Credential, *e.UserID, "")
		}
		if err != nil && len(e.Invites) > 0 {
			p, err = r.anybody(e.Credential, 0, e.Invites[0].After.ID)
		}
		if err != nil || !covered[p.ID] {
			r.t.Errorf("no event tells of %s of %s, account %v (I11): %v", e.Operation, e.Email, e.UserID, err)
		}
	}
}

// anybody is the person, living or deleted, of an account or invite.
func (r *rig) anybody(tenant string, userID int64, inviteID string) (*store.Person, error) {
	ctx := r.t.Context()
	if userID != 0 {
		if p, err := r.store.PersonByUserID(ctx, tenant, userID); err == nil {
			return p, nil
		}
	} else if p, err := r.store.PersonByInviteID(ctx, tenant, inviteID); err == nil {
		return p, nil
	}
	dead, err := r.store.TombstonesByUpstream(ctx, tenant, userID, inviteID)
	if err == nil && len(dead) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return dead[0], nil
}

// TestI11_RoleWorkLeavesADeletionToTheClient kills a process at the commit of
// a deletion, and the client comes back only when the roles of whoever
// accepted were looked at: it is a deletion still, of the same account.
func TestI11_RoleWorkLeavesADeletionToTheClient(t *testing.T) {
	t.Parallel()
	both(t, setup{Postgres: true, Tenant: []string{mapped}}, func(t *testing.T, r *rig) {
		conf, err := pgx.ParseConfig(r.direct)
		check(t, err)
		db := stdlib.OpenDB(*conf)
		t.Cleanup(func() { _ = db.Close() })
		for _, d := range deeds {
			if d.name != "delete" {
				continue
			}
			c := interrupted{deed: d, where: "at its commit", email: address("gone")}
			c.id = c.prepare(r, c.email)
			r.killAtCommit(db, &c, "IMMEDIATE")
			r.settled()
			r.expect(c.email, none, 1)
			r.resume([]interrupted{c})
		}
		r.verifyEvents()
	})
}
