package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

// migrationDB is a plain connection to a store's database.
func migrationDB(t *testing.T, url string) *sql.DB {
	t.Helper()
	driver, name := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, name = "sqlite", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestParseURL(t *testing.T) {
	for _, c := range []struct{ in, kind, target, wantErr string }{
		{in: "postgres://u:p@h/db", kind: "postgres", target: "postgres://u:p@h/db"},
		{in: "postgresql:///db?host=/run", kind: "postgres", target: "postgresql:///db?host=/run"},
		{in: "sqlite:a/b.db", kind: "sqlite", target: "a/b.db"},
		{in: "sqlite:///a/b.db", kind: "sqlite", target: "/a/b.db"},
		{in: "/var/lib/x y?#%.db", kind: "sqlite", target: "/var/lib/x y?#%.db"},
		{in: "bridge.db", kind: "sqlite", target: "bridge.db"},
		{in: "", wantErr: "no database is named"},
		{in: ":memory:", wantErr: "is not a file"},
		{in: "sqlite:", wantErr: "is not a file"},
		{in: "mysql://root:hunter2@h/db", wantErr: `unknown database scheme "mysql"`},
	} {
		kind, target, err := parseURL(c.in)
		if c.wantErr != "" {
			if err == nil || !strings.Contains(err.Error(), c.wantErr) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("parseURL(%q): %v, want %q", c.in, err, c.wantErr)
			}
			continue
		}
		if err != nil || kind != c.kind || target != c.target {
			t.Errorf("parseURL(%q) = %q, %q, %v", c.in, kind, target, err)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, url, want string }{
		{"a directory that is not there", filepath.Join(dir, "no", "x.db"), "does not exist: create it"},
		{"a file as directory", filepath.Join(text, "x.db"), "not a directory"},
		{"a directory as file", dir, "not a regular file"},
		{"a file that is no database", text, "file is not a database"},
		{"a server that is not there", "postgres://u:hunter2@127.0.0.1:1/db", "connect"},
		{"a malformed URL", "postgres://u:hunter2@h:port/db", "database URL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Open(t.Context(), Options{URL: c.url})
			if err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error is %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Fatalf("the error shows the password, I14: %v", err)
			}
		})
	}
}

func TestOpenRefusesANewerSchema(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		if err := openTest(t, Options{URL: url}).Close(); err != nil {
			t.Fatal(err)
		}
		db := migrationDB(t, url)
		statement(t, db, `INSERT INTO schema_version (version_id, is_applied) VALUES (99, TRUE)`)
		_, err := Open(t.Context(), Options{URL: url})
		if err == nil || !strings.Contains(err.Error(), "schema version 99, this program knows up to 4") {
			t.Fatalf("error is %v", err)
		}
	})
}

func TestFileIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space?&%.db")
	s := openTest(t, Options{URL: path})
	if err := s.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", suffix, info.Mode())
		}
	}
}

func TestPragmasAreReadBack(t *testing.T) {
	db, err := sql.Open("sqlite", fileURI(filepath.Join(t.TempDir(), "x.db"), "_pragma=busy_timeout(5000)", "_pragma=journal_mode(WAL)"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	statement(t, db, `PRAGMA synchronous = NORMAL`)
	if err := checkPragmas(t.Context(), db); err == nil || !strings.Contains(err.Error(), `pragma synchronous is "1" where "2" is needed`) {
		t.Fatalf("error is %v", err)
	}
}

func TestReadersCannotWrite(t *testing.T) {
	s := openTest(t, Options{URL: filepath.Join(t.TempDir(), "x.db")})
	if _, err := s.exec(t.Context(), `UPDATE generation SET value = 0`); err == nil {
		t.Fatal("written outside an Update")
	}
}

func TestFullDisk(t *testing.T) {
	s := openTest(t, Options{URL: filepath.Join(t.TempDir(), "x.db")})
	limit := func(pages int) {
		t.Helper()
		// The writer's connection alone is bounded, between its groups.
		if err := s.write(t.Context(), func(tx *tx) error {
			var n int
			return tx.one(tx.ctx, `PRAGMA max_page_count = `+strconv.Itoa(pages), nil, &n)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := add(s, "before"); err != nil {
		t.Fatal(err)
	}
	limit(1) // no more than there are
	full := 0
	for i := range 2000 {
		if err := add(s, "filling-"+strconv.Itoa(i)); err != nil {
			if !strings.Contains(err.Error(), "full") {
				t.Fatal(err)
			}
			full++
			break
		}
	}
	if full == 0 {
		t.Fatal("the disk never filled")
	}
	big := make([]byte, 1<<20)
	err := s.Update(t.Context(), func(tx store.Tx) error {
		_ = tx.PutIntent(&store.Intent{Tenant: "t", Key: "big", Payload: big}) // swallowed
		return nil
	})
	if err == nil {
		t.Fatal("an update whose transaction SQLite gave up was acknowledged")
	}
	if _, err := s.Person(t.Context(), "t", "before"); err != nil {
		t.Fatalf("reading from a full disk: %v", err)
	}
	limit(1 << 20)
	if err := add(s, "after"); err != nil {
		t.Fatalf("the writer does not recover: %v", err)
	}
	n, err := s.CountPersons(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	complete(t, s, n)
}

func TestGroupIsLostTogether(t *testing.T) {
	s := openTest(t, Options{URL: filepath.Join(t.TempDir(), "x.db"), GroupWindow: 50 * time.Millisecond})
	inside, swallowed := make(chan struct{}), make(chan error, 1)
	first := make(chan error, 1)
	go func() {
		first <- s.Update(context.Background(), func(tx store.Tx) error {
			close(inside)
			return tx.InsertPerson(&store.Person{Tenant: "t", ID: "neighbour"})
		})
	}()
	<-inside
	go func() {
		swallowed <- s.write(context.Background(), func(tx *tx) error {
			// The transaction is gone, whatever the function makes of it.
			_ = tx.q.(during).querier.(*writeConn).do(`ROLLBACK`)
			_ = tx.InsertPerson(&store.Person{Tenant: "t", ID: "alone"})
			return nil
		})
	}()
	if err := <-swallowed; err == nil {
		t.Error("an update without its transaction was acknowledged")
	}
	// The neighbour is acknowledged only if it was committed, in a group before.
	err := <-first
	_, found := s.Person(t.Context(), "t", "neighbour")
	if (err == nil) != (found == nil) {
		t.Errorf("answered %v, but reading says %v", err, found)
	}
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("the writer does not recover: %v", err)
	}
}

func TestNothingLeaks(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		before := goleak.IgnoreCurrent()
		s, err := Open(t.Context(), Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		if err := add(s, "x"); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Fatal(err)
		}
		goleak.VerifyNone(t, before)
	})
}

func TestBackupFailsCleanly(t *testing.T) {
	s := openTest(t, Options{URL: filepath.Join(t.TempDir(), "x.db")})
	path := filepath.Join(t.TempDir(), "copy")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Backup(ctx, path); err == nil {
		t.Fatal("copied for a caller that has left")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("a broken copy stays: %v", err)
	}
}

func TestEventsCannotBeChanged(t *testing.T) {
	eachDatabase(t, func(t *testing.T, url string) {
		s := openTest(t, Options{URL: url})
		if err := add(s, "x"); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{`UPDATE events SET detail = 'x'`, `DELETE FROM events`} {
			if _, err := migrationDB(t, url).Exec(text); err == nil || !strings.Contains(err.Error(), "append-only") {
				t.Errorf("%s: %v", text, err)
			}
		}
	})
}

func TestPostgresConnectionsAreReplaced(t *testing.T) {
	url := pgtest.Database(t)
	s := openTest(t, Options{URL: url})
	for i := range 5 {
		if err := add(s, strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
		statement(t, migrationDB(t, url), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE application_name = 'scim-bridge' AND datname = current_database()`)
	}
	if err := add(s, "last"); err != nil {
		t.Fatalf("after the connections were cut: %v", err)
	}
	complete(t, s, 6)
}

func statement(t *testing.T, db *sql.DB, text string, args ...any) {
	t.Helper()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

func TestLists(t *testing.T) {
	for _, list := range [][]string{
		nil, {""}, {"a"}, {"a", "b"}, {`a","b`, `c`}, {`\`, `"`, `]`}, {"<é&>", `["`, `"]`}, {"", ""},
	} {
		text, err := joinList(list)
		if err != nil {
			t.Fatal(err)
		}
		got, err := splitList(text)
		if diff := cmp.Diff(list, got); err != nil || diff != "" {
			t.Errorf("%q as %s: %v\n%s", list, text, err, diff)
		}
	}
}
