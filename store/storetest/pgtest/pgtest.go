// Package pgtest gives tests a real PostgreSQL: one server as a child of the
// test binary, one database for each test.
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }
//
//	func TestIt(t *testing.T) { url := pgtest.Database(t) … }
//
// The URL works in child processes too. The server listens on a Unix socket in
// its own temporary directory, keeps nothing safe from power loss, and dies
// with the test binary.
package pgtest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shared is the server of this test binary.
var shared struct {
	sync.Mutex
	// running is true between the start and the end of Run.
	running bool
	server  *Server
	err     error
	count   int
}

// Run runs the tests of a package and then stops the server, if a test started
// it. It returns the exit code.
func Run(m *testing.M) int {
	shared.Lock()
	shared.running = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	shared.running = false
	if shared.server == nil {
		return code
	}
	if err := shared.server.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return max(code, 1)
	}
	return code
}

// Database creates an empty database and returns its URL. It is dropped when
// the test ends, with whatever is still connected to it. Without PostgreSQL on
// the machine the test is skipped, or fails where CI is "true".
func Database(tb testing.TB) string {
	tb.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		tb.Fatal("pgtest: Database needs func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }")
	}
	if shared.server == nil && shared.err == nil {
		shared.server, shared.err = Start()
	}
	if shared.err != nil {
		fail(tb, shared.err)
	}
	shared.count++
	name := fmt.Sprintf("test_%d", shared.count)
	server := shared.server
	if err := server.exec("CREATE DATABASE " + name); err != nil {
		tb.Fatalf("pgtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := server.exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return server.URL(name)
}

// fail ends a test that cannot have its server.
func fail(tb testing.TB, err error) {
	tb.Helper()
	_, missing := err.(*MissingError)
	if missing && os.Getenv("CI") != "true" {
		tb.Skip(err)
	}
	tb.Fatal(err)
}

// URL names a database of the server.
func (s *Server) URL(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database,
		RawQuery: url.Values{"host": {s.dir}}.Encode()}
	return u.String()
}

// exec runs one statement on a connection of its own.
func (s *Server) exec(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, statement); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}
