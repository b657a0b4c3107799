package sqlstore

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

// The test binary plays these parts as a child process when childRole is set.
const (
	childRole = "SQLSTORE_TEST_CHILD"
	childURL  = "SQLSTORE_TEST_URL"
	childName = "SQLSTORE_TEST_NAME"
)

// hammerUpdates is how many Updates a hammering child makes.
const hammerUpdates = 200

func runChild(role string) int {
	play, ok := map[string]func(s store.Store, name string) error{"hammer": hammer, "acknowledge": acknowledge, "join": join, "open": idle}[role]
	if !ok {
		fmt.Fprintf(os.Stderr, "unknown part %q\n", role)
		return 2
	}
	s, err := Open(context.Background(), Options{URL: os.Getenv(childURL)})
	if err == nil {
		err = errors.Join(play(s, os.Getenv(childName)), s.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// hammer makes many Updates at once.
func hammer(s store.Store, name string) error {
	const workers = 4
	return errors.Join(together(workers, func(w int) error {
		for i := range hammerUpdates / workers {
			if err := add(s, fmt.Sprintf("%s-%d-%d", name, w, i)); err != nil {
				return err
			}
		}
		return nil
	})...)
}

// joining is how many one-member changes of a group a joining child makes at once.
const joining = 50

// join adds persons to one group, each in an Update of its own.
func join(s store.Store, name string) error {
	return errors.Join(together(joining, func(i int) error {
		return s.Update(context.Background(), func(tx store.Tx) error {
			g, err := tx.LockGroup("t", "shared")
			if err != nil {
				return err
			}
			return errors.Join(tx.AddMembers("t", g.ID, []string{fmt.Sprint(name, "-", i)}), tx.UpdateGroup(g))
		})
	})...)
}

func idle(store.Store, string) error { return nil }

// acknowledge prints the id of every person whose Update has returned, for ever.
func acknowledge(s store.Store, name string) error {
	const workers = 16
	failed := make(chan error, workers)
	for w := range workers {
		go func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("%s-%d-%d", name, w, i)
				if err := add(s, id); err != nil {
					failed <- err
					return
				}
				if _, err := os.Stdout.WriteString(id + "\n"); err != nil {
					failed <- err
					return
				}
			}
		}()
	}
	return <-failed
}

// add inserts a person with an event, and counts it.
func add(s store.Store, id string) error {
	return s.Update(context.Background(), func(tx store.Tx) error {
		p := &store.Person{Tenant: "t", ID: id, FoldedUserName: id, FoldedEmail: id, AnyEmails: []string{id}, Listed: true}
		ok, err := tx.TakeGuard("t", "g", []string{id}, time.Unix(1000, 0), time.Unix(1000, 0), math.MaxInt)
		if !ok {
			return errors.Join(errors.New("the guard held"), err)
		}
		return errors.Join(tx.InsertPerson(p), tx.AppendEvent(&store.Event{Tenant: "t", ResourceID: id, Outcome: store.OutcomeOK}))
	})
}

// child is a process that plays a part on a database.
func child(t *testing.T, role, url, name string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"="+role, childURL+"="+url, childName+"="+name)
	stderr := new(bytes.Buffer)
	cmd.Stderr = stderr
	return cmd, stderr
}

// children runs processes that play a part at the same time, and waits for them.
func children(t *testing.T, role, url string, processes int) {
	t.Helper()
	var cmds []*exec.Cmd
	var stderrs []*bytes.Buffer
	for i := range processes {
		cmd, stderr := child(t, role, url, fmt.Sprint("p", i))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds, stderrs = append(cmds, cmd), append(stderrs, stderr)
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v: %s", err, stderrs[i])
		}
	}
}

// eachDatabase runs a test on both databases.
func eachDatabase(t *testing.T, run func(t *testing.T, url string)) {
	t.Run("sqlite", func(t *testing.T) { run(t, "sqlite:"+filepath.Join(t.TempDir(), "bridge.db")) })
	t.Run("postgres", func(t *testing.T) { run(t, pgtest.Database(t)) })
}

// complete checks that the database holds n persons, each with all that came with it.
func complete(t *testing.T, s store.Store, n int) {
	t.Helper()
	ctx := t.Context()
	if got, err := s.CountPersons(ctx, "t"); err != nil || got != n {
		t.Errorf("%d persons counted, %v; want %d", got, err, n)
	}
	if use, err := s.Guard(ctx, "t", "g", time.Unix(1000, 0)); err != nil || use.Used != n {
		t.Errorf("%d counted by the guard, %v; want %d", use.Used, err, n)
	}
	people, err := s.Persons(ctx, "t", store.Window{Limit: n + 1})
	if err != nil || len(people) != n {
		t.Errorf("%d persons, %v; want %d", len(people), err, n)
	}
	events, err := s.Events(ctx, store.EventQuery{Limit: n + 1})
	if err != nil || len(events) != n {
		t.Errorf("%d events, %v; want %d", len(events), err, n)
	}
}

func TestProcessesShareADatabase(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		// They create the schema at the same time as well.
		const processes = 3
		children(t, "hammer", url, processes)
		complete(t, openTest(t, Options{URL: url}), processes*hammerUpdates)
	})
}

func TestProcessesJoinAGroup(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		const processes = 2
		s := openTest(t, Options{URL: url})
		if err := s.Update(t.Context(), func(tx store.Tx) error {
			for i := range processes * joining {
				if err := tx.InsertPerson(&store.Person{Tenant: "t", ID: fmt.Sprintf("p%d-%d", i/joining, i%joining)}); err != nil {
					return err
				}
			}
			return tx.InsertGroup(&store.Group{Tenant: "t", ID: "shared", FoldedName: "shared"})
		}); err != nil {
			t.Fatal(err)
		}
		children(t, "join", url, processes)
		members, err := s.Members(t.Context(), "t", "shared", "", 1000)
		if err != nil || len(members) != processes*joining {
			t.Errorf("%d members, %v; want %d", len(members), err, processes*joining)
		}
		g, err := s.Group(t.Context(), "t", "shared")
		if err != nil || g.Version != processes*joining+1 {
			t.Errorf("group %+v, %v; want version %d", g, err, processes*joining+1)
		}
	})
}

func TestKilledProcessLosesNothingAcknowledged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		total := 0
		for round := range 3 {
			acknowledged := killAfter(t, url, fmt.Sprint("r", round), 150*(round+1))
			if strings.HasPrefix(url, "postgres:") {
				// What the server still does for the dead must be over before it is looked at.
				statement(t, migrationDB(t, url), `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
					WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			}
			s := openTest(t, Options{URL: url})
			for _, id := range acknowledged {
				if _, err := s.Person(t.Context(), "t", id); err != nil {
					t.Fatalf("%q was acknowledged: %v", id, err)
				}
			}
			total += len(acknowledged)
			n, err := s.CountPersons(t.Context(), "t")
			if err != nil || n < total {
				t.Fatalf("%d persons, %v; %d were acknowledged", n, err, total)
			}
			complete(t, s, n)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// killAfter kills an acknowledging process after n lines, and returns what it printed.
func killAfter(t *testing.T, url, name string, n int) []string {
	t.Helper()
	cmd, stderr := child(t, "acknowledge", url, name)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break
		}
		ids = append(ids, strings.TrimSuffix(line, "\n"))
		if len(ids) == n {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // "signal: killed"
	if len(ids) < n {
		t.Fatalf("the process ended after %d lines: %s", len(ids), stderr)
	}
	return ids
}

func TestProcessesMigrateTogether(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		var all sync.WaitGroup
		for range 6 {
			all.Go(func() {
				s, err := Open(context.Background(), Options{URL: url})
				if err != nil {
					t.Error(err)
					return
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		db := migrationDB(t, url)
		var versions int
		if err := db.QueryRow(`SELECT count(*) FROM schema_version WHERE version_id > 0`).Scan(&versions); err != nil || versions != 4 {
			t.Fatalf("%d versions noted, %v", versions, err)
		}
	})
}
