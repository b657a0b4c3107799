package doctor_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/sharearefund/scim-bridge/cmd/scim-bridge/doctor"
	"github.com/sharearefund/scim-bridge/store"
	"github.com/sharearefund/scim-bridge/store/sqlstore"
	"github.com/sharearefund/scim-bridge/store/storetest/pgtest"
)

// used is a database that a server has opened.
func used(t *testing.T, url string) store.Store {
	t.Helper()
	st, err := sqlstore.Open(t.Context(), sqlstore.Options{URL: url})
	check(t, err)
	t.Cleanup(func() { _ = st.Close() })
	return st
}

func execute(t *testing.T, db *sql.DB, err error, text string) {
	t.Helper()
	check(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), text)
	check(t, err)
}

// known is KnownSchema, found out once.
var known = sync.OnceValues(func() (int64, error) { return doctor.KnownSchema(context.Background()) })

func options(url string) doctor.InspectOptions {
	return doctor.InspectOptions{URL: url, Known: func(context.Context) (int64, error) { return known() }}
}

func roomy(string) (int64, string, error) { return 100 << 30, "", nil }

// examine inspects and checks the database of a URL.
func examine(t *testing.T, url string, change func(*doctor.StoreOptions)) []doctor.Finding {
	t.Helper()
	o := doctor.StoreOptions{Place: "here", Commit: func(context.Context) error { return nil }, Free: roomy}
	o.Database, o.Err = doctor.Inspect(t.Context(), options(url))
	if change != nil {
		change(&o)
	}
	return look(t, doctor.CheckStore(o))
}

func TestStoreSQLite(t *testing.T) {
	statement := func(text string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db, err := sql.Open("sqlite", path)
			execute(t, db, err, text)
		}
	}
	free := func(n int64, network string, err error) func(*doctor.StoreOptions) {
		return func(o *doctor.StoreOptions) { o.Free = func(string) (int64, string, error) { return n, network, err } }
	}
	first := filepath.Join(t.TempDir(), "bridge.db")
	check(t, used(t, first).Close())
	whole, err := os.ReadFile(first)
	check(t, err)
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, path string)
		change func(*doctor.StoreOptions)
		want   []string
	}{
		{"sound", nil, nil, []string{"ok here: answers in", "ok are free"}},
		{"newer", statement(`INSERT INTO schema_version (version_id, is_applied) VALUES (99, TRUE)`), nil, []string{"error here: has schema version 99, this program knows up to"}},
		{"older", statement(`DELETE FROM schema_version WHERE version_id > 1`), nil, []string{"warning here: has schema version 1, older than this program's"}},
		{"not a database", func(t *testing.T, path string) {
			check(t, os.WriteFile(path, []byte("these are not the bytes of a database, whatever else they are"), 0o600))
		}, nil, []string{"error here: cannot be read"}},
		{"another journal", statement(`PRAGMA journal_mode = DELETE`), nil, []string{`warning is in journal mode "delete"`}},
		{"open to others", func(t *testing.T, path string) { check(t, os.Chmod(path, 0o644)) }, nil, []string{"warning bridge.db: is open to other users of this machine (mode 0644)"}},
		{"does not commit", nil, func(o *doctor.StoreOptions) { o.Commit = func(context.Context) error { return errBroken } }, []string{"error here: cannot commit: disk I/O error"}},
		{"full soon", nil, free(10<<20, "", nil), []string{"error 10.0 MiB are free: soon nothing can be committed"}},
		{"getting full", nil, free(500<<20, "", nil), []string{"warning 500.0 MiB are free"}},
		{"space unknown", nil, free(0, "", errBroken), []string{"notice free space is not known"}},
		{"on NFS", nil, free(100<<30, "NFS", nil), []string{"warning lies on a NFS file system"}},
		{"several servers", nil, func(o *doctor.StoreOptions) { o.Database.Replicas = 2 }, []string{"warning bridge.db: is used by 2 servers"}},
		{"a long log", nil, func(o *doctor.StoreOptions) { o.Database.SQLite.WALSize = 70 << 20 }, []string{"warning -wal: has grown to 70.0 MiB"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bridge.db")
			check(t, os.WriteFile(path, whole, 0o600))
			if tt.spoil != nil {
				tt.spoil(t, path)
			}
			expect(t, examine(t, "sqlite:"+path, tt.change), tt.want...)
		})
	}
}

// What is not there is neither made nor taken for a fault, unless it cannot be
// made.
func TestStoreSQLiteNotThere(t *testing.T) {
	dir := t.TempDir()
	expect(t, examine(t, "sqlite:"+filepath.Join(dir, "bridge.db"), nil), "notice here: has no schema yet", "ok are free")
	expect(t, examine(t, "sqlite:"+filepath.Join(dir, "no", "bridge.db"), nil), "error here: cannot be read")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("looking at it made %v, %v", left, err)
	}
}

// What is to be done about a file that cannot be read goes by what SQLite says.
func TestStoreSQLiteRemedies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		spoil  func(t *testing.T, path string)
		remedy string
	}{
		{"not a database", func(t *testing.T, path string) {
			check(t, os.WriteFile(path, []byte(strings.Repeat("garbage ", 2000)), 0o600))
		}, "restore the backup"},
		{"cut off", func(t *testing.T, path string) {
			check(t, used(t, path).Close())
			check(t, os.Truncate(path, 4096))
		}, "restore the backup"},
		{"no folder", func(t *testing.T, path string) { check(t, os.Remove(filepath.Dir(path))) }, "create its folder"},
		{"not to be read", func(t *testing.T, path string) {
			if os.Getuid() == 0 {
				t.Skip("root reads everything: run it as another user")
			}
			check(t, used(t, path).Close())
			check(t, os.Chmod(path, 0))
		}, "read and write the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "folder", "bridge.db")
			check(t, os.Mkdir(filepath.Dir(path), 0o700))
			tt.spoil(t, path)
			found := examine(t, "sqlite:"+path, nil)
			if len(found) != 1 || found[0].Level != doctor.Error || !strings.Contains(found[0].Remedy, tt.remedy) {
				t.Errorf("%+v", found)
			}
		})
	}
}

// refusal is the error that SQLite gives for a statement on a file, another
// connection to which has done what before says.
func refusal(t *testing.T, query, before, statement string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bridge.db")
	first, err := sql.Open("sqlite", path)
	check(t, err)
	defer first.Close()
	first.SetMaxOpenConns(1) // a transaction stays on its connection
	for _, text := range []string{"CREATE TABLE t (x)", before} {
		_, err = first.ExecContext(t.Context(), text)
		check(t, err)
	}
	second, err := sql.Open("sqlite", "file:"+path+query)
	check(t, err)
	defer second.Close()
	_, err = second.ExecContext(t.Context(), statement)
	if err == nil {
		t.Fatalf("%s is not refused", statement)
	}
	return err
}

func TestStoreSQLiteRemediesByCode(t *testing.T) {
	const insert = "INSERT INTO t VALUES (1)"
	for _, tt := range []struct {
		name, query, before, statement string
		remedy                         string
	}{
		{"held", "", "BEGIN EXCLUSIVE", insert, "end what holds it"},
		{"read-only", "?mode=ro", "PRAGMA user_version = 1", insert, "read and write the file"},
		{"full", "?_pragma=max_page_count(1)", "PRAGMA user_version = 1", "CREATE TABLE u AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9000) SELECT i FROM n", "free space"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := doctor.StoreOptions{Place: "here", Err: refusal(t, tt.query, tt.before, tt.statement)}
			o.Database.SQLite = new(doctor.SQLite)
			found := look(t, doctor.CheckStore(o))
			if len(found) != 1 || !strings.Contains(found[0].Remedy, tt.remedy) {
				t.Errorf("%+v", found)
			}
		})
	}
}

// A database in use is looked at beside its servers, which are counted.
func TestInspectCountsServers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	st := used(t, path)
	for _, replica := range []string{"a", "b"} {
		_, err := st.Heartbeat(t.Context(), replica, time.Minute)
		check(t, err)
	}
	for _, tt := range []struct {
		at   time.Time
		want int
	}{{time.Now(), 2}, {time.Now().Add(2 * time.Minute), 0}} {
		inspect := options("sqlite:" + path)
		inspect.Now = func() time.Time { return tt.at }
		d, err := doctor.Inspect(t.Context(), inspect)
		check(t, err)
		if d.Replicas != tt.want || !d.Current() {
			t.Errorf("%+v: want %d servers", d, tt.want)
		}
	}
}

func TestStorePostgreSQL(t *testing.T) {
	facts := func(change func(*doctor.Postgres)) func(*doctor.StoreOptions) {
		return func(o *doctor.StoreOptions) { change(o.Database.Postgres) }
	}
	url := pgtest.Database(t)
	_, err := used(t, url).Heartbeat(t.Context(), "a", time.Minute)
	check(t, err)
	seen, err := doctor.Inspect(t.Context(), options(url))
	check(t, err)
	for _, tt := range []struct {
		name   string
		change func(*doctor.StoreOptions)
		want   []string
	}{
		{"sound", func(*doctor.StoreOptions) {}, nil},
		{"old", facts(func(p *doctor.Postgres) { p.Version = 120004 }), []string{"warning PostgreSQL 12 has no fixes"}},
		{"a standby", facts(func(p *doctor.Postgres) { p.Recovery = true }), []string{"error is read-only"}},
		{"asynchronous", facts(func(p *doctor.Postgres) { p.SynchronousCommit = "off" }), []string{"warning synchronous_commit = off"}},
		{"another encoding", facts(func(p *doctor.Postgres) { p.Encoding = "SQL_ASCII" }), []string{"warning has the encoding SQL_ASCII"}},
		{"crowded", facts(func(p *doctor.Postgres) { p.Connections = p.MaxConnections - 1 }), []string{"warning connections are in use"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			facts := *seen.Postgres
			o := doctor.StoreOptions{Place: "here", Database: seen, Commit: func(context.Context) error { return nil }}
			o.Database.Postgres = &facts
			tt.change(&o)
			found := look(t, doctor.CheckStore(o))
			// The tests' own server is one that never syncs, and they its superuser.
			expect(t, found, append(tt.want, "warning fsync = off", "notice is a superuser", "ok live servers: 1")...)
		})
	}
	t.Run("empty", func(t *testing.T) {
		expect(t, examine(t, pgtest.Database(t), nil), "notice here: has no schema yet", "warning fsync = off")
	})
	t.Run("newer", func(t *testing.T) {
		db, err := sql.Open("pgx", url)
		execute(t, db, err, `INSERT INTO schema_version (version_id, is_applied) VALUES (99, TRUE)`)
		expect(t, examine(t, url, nil), "error here: has schema version 99", "warning fsync = off")
	})
	t.Run("its clock", func(t *testing.T) {
		slow := func() time.Time { return time.Now().Add(-time.Hour) }
		d, err := doctor.Inspect(t.Context(), doctor.InspectOptions{URL: url, Now: slow})
		check(t, err)
		if off := d.Postgres.Ahead - time.Hour; off.Abs() > time.Minute {
			t.Errorf("it is %s ahead, not an hour", d.Postgres.Ahead)
		}
	})
}

// What cannot be reached says what to do, and no password.
func TestStoreUnreachable(t *testing.T) {
	_ = stdlib.GetDefaultDriver() // registers pgx
	found := examine(t, "postgres://bridge:hunter2@"+closedPort(t)+"/bridge?sslmode=disable", nil)
	expect(t, found, "error here: cannot be read")
	if text := lines(found); strings.Contains(text, "hunter2") || !strings.Contains(text, "start the database") {
		t.Error(text)
	}
	o := doctor.StoreOptions{Place: "here", Err: errors.New("x")}
	expect(t, look(t, doctor.CheckStore(o)), "error here: cannot be read: x")
}

// A database of another version is neither written nor taken for ours: the
// first server of a new version brings it up to date, not doctor.
func TestInspectLeavesTheSchemaAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "bridge.db")
	check(t, used(t, path).Close())
	db, err := sql.Open("sqlite", path)
	execute(t, db, err, `DELETE FROM schema_version WHERE version_id > 1`)
	before, err := os.ReadFile(path)
	check(t, err)
	examine(t, "sqlite:"+path, func(o *doctor.StoreOptions) {
		if o.Database.Current() {
			t.Error("it would be opened, and so brought up to date")
		}
		o.Commit = func(context.Context) error { t.Error("it is written"); return nil }
	})
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed, %v", err)
	}
}
