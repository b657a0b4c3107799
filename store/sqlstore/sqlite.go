package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/sharearefund/scim-bridge/store"
)

// sqlitePragmas must be in force on every connection: the driver ignores a
// misspelt parameter, so they are read back.
var sqlitePragmas = []struct{ name, set, read string }{
	// Other processes write too.
	{"busy_timeout", "5000", "5000"},
	{"journal_mode", "WAL", "wal"},
	// FULL: an acknowledged commit survives a loss of power.
	{"synchronous", "FULL", "2"},
	// What a savepoint keeps to be taken back goes to memory, not to a file.
	{"temp_store", "MEMORY", "2"},
}

// openPatience is how long opening waits for other processes to prepare the
// file.
const openPatience = 10 * time.Second

func newSQLiteDialect(now func() time.Time) *dialect {
	return &dialect{
		name: "sqlite",
		// Whoever writes has the file's only write lock; no row needs one.
		lock: "", skip: "", share: "",
		in:         `IN (SELECT value FROM json_each(%s))`,
		each:       `json_each(%s) AS each`,
		rows:       `json_each(%s) AS each`,
		list:       func(texts []string) any { return jsonText(texts) },
		firstEvent: "NULL", nextEvent: "NULL",
		countSlots: 1,
		unique:     sqliteUnique,
		clock:      now,
	}
}

// sqliteBackend is a SQLite file: a writer, and a pool that reads.
type sqliteBackend struct {
	path   string
	writer *writer
	writes *sql.DB
	reads  *sql.DB
	stmts  sync.Map // statement → *sql.Stmt of reads
	close1 sync.Once
}

func openSQLite(ctx context.Context, path string, o Options) (*sqlStore, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, wrap(err, "resolving %q", path)
	}
	if err := createFile(path, o.Logger); err != nil {
		return nil, err
	}
	params := []string{"_txlock=immediate"}
	for _, p := range sqlitePragmas {
		params = append(params, "_pragma="+p.name+"("+p.set+")")
	}
	b := &sqliteBackend{path: path}
	if b.writes, err = sql.Open("sqlite", fileURI(path, params...)); err != nil {
		return nil, wrap(err, "opening %q", path)
	}
	if b.reads, err = sql.Open("sqlite", fileURI(path, append(params, "_pragma=query_only(1)")...)); err != nil {
		return nil, errors.Join(wrap(err, "opening %q", path), b.writes.Close())
	}
	conns := o.MaxConns
	if conns == 0 {
		conns = 4
	}
	b.reads.SetMaxOpenConns(conns)
	b.reads.SetMaxIdleConns(conns)
	err = whileBusy(ctx, func() error {
		if err := checkPragmas(ctx, b.writes); err != nil {
			return err
		}
		return migrate(ctx, b.writes, goose.DialectSQLite3, o.Logger)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w (database file %q)", err, path), b.reads.Close(), b.writes.Close())
	}
	// One connection for the writer, one for backups.
	b.writes.SetMaxOpenConns(2)
	d := newSQLiteDialect(o.Now)
	b.writer = newWriter(b.writes, d, o.GroupWindow)
	return &sqlStore{reader: reader{d: d, q: b}, b: b}, nil
}

// whileBusy tries again while other processes prepare the file at the same
// time: SQLite does not wait for the locks of a change of the journal's mode,
// whatever busy_timeout says (https://sqlite.org/wal.html, "Sometimes Queries
// Return SQLITE_BUSY In WAL Mode").
func whileBusy(ctx context.Context, f func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := f()
		if e, ok := errors.AsType[*sqlite.Error](err); err == nil || ok && e.Code()&0xff == sqlite3.SQLITE_BUSY {
			return struct{}{}, err
		}
		return struct{}{}, backoff.Permanent(err)
	}, backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 10 * time.Millisecond, RandomizationFactor: 0.5, Multiplier: 1.5, MaxInterval: 200 * time.Millisecond,
	}), backoff.WithMaxElapsedTime(openPatience))
	return err
}

// createFile makes sure that the file exists and is its owner's alone when new.
func createFile(path string, logger *slog.Logger) error {
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("sqlstore: the directory %q of the database does not exist: create it, owned by the user who runs scim-bridge", dir)
	case err != nil:
		return wrap(err, "looking for the database's directory")
	case !info.IsDir():
		return fmt.Errorf("sqlstore: %q is not a directory, so the database cannot be in it", dir)
	}
	// An existing file is not opened here: closing it would take away the
	// locks that SQLite holds on it in this process.
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		if err != nil {
			return wrap(err, "creating the database")
		}
		return wrap(f.Close(), "creating the database")
	}
	if err != nil {
		return wrap(err, "looking for the database")
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("sqlstore: %q is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		logger.Warn("the database file is open to other users of this machine: chmod 600 it",
			"path", path, "mode", info.Mode().Perm().String())
	}
	return nil
}

// checkPragmas refuses a connection on which the settings are not in force.
func checkPragmas(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return wrap(err, "opening the database")
	}
	defer conn.Close()
	for _, p := range sqlitePragmas {
		var got string
		if err := conn.QueryRowContext(ctx, `PRAGMA `+p.name).Scan(&got); err != nil {
			return wrap(err, "reading pragma %s", p.name)
		}
		if !strings.EqualFold(got, p.read) {
			return fmt.Errorf("sqlstore: pragma %s is %q where %q is needed: is the file on a network or read-only file system?", p.name, got, p.read)
		}
	}
	return nil
}

// Reads take microseconds, but a context that can end costs the driver and
// database/sql a goroutine each: it is looked at before and not handed on.

func (b *sqliteBackend) exec(ctx context.Context, text string, args ...any) (sql.Result, error) {
	s, err := b.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.WithoutCancel(ctx), args...)
}

func (b *sqliteBackend) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	s, err := b.stmt(ctx, text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(context.WithoutCancel(ctx), args...)
}

func (b *sqliteBackend) stmt(ctx context.Context, text string) (*sql.Stmt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s, ok := b.stmts.Load(text); ok {
		return s.(*sql.Stmt), nil
	}
	s, err := b.reads.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	if kept, loaded := b.stmts.LoadOrStore(text, s); loaded {
		return kept.(*sql.Stmt), s.Close()
	}
	return s, nil
}

func (b *sqliteBackend) update(ctx context.Context, fn func(tx store.Tx) error) error {
	return b.writer.update(ctx, fn)
}

// backup copies the database as of one moment, while others read and write.
func (b *sqliteBackend) backup(ctx context.Context, path string) (err error) {
	// SQLite fills an empty file, so the mode is ours to choose.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("sqlstore: backup to %q: the file exists: name another: %w", path, err)
	}
	if err != nil {
		return wrap(err, "creating the backup")
	}
	defer func() {
		err = errors.Join(err, f.Close())
		if err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	if _, err := b.writes.ExecContext(ctx, `VACUUM INTO $1`, path); err != nil {
		return wrap(err, "copying the database to %q", path)
	}
	return wrap(f.Sync(), "writing the backup %q", path)
}

func (b *sqliteBackend) close() error {
	var err error
	b.close1.Do(func() {
		b.writer.close()
		// The statements are closed with their connections.
		err = errors.Join(b.reads.Close(), b.writes.Close())
	})
	return wrap(err, "closing")
}

func sqliteUnique(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}

// losesTransaction says that SQLite may have rolled back the whole transaction
// because of the error, or that its state is not known.
func losesTransaction(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return !errors.Is(err, sql.ErrNoRows)
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE:
		return false
	}
	return true
}
