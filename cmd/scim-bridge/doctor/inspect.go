package doctor

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver by its name

	"github.com/sharearefund/scim-bridge/store/sqlstore"
)

// Database is what can be seen of a database without changing it: opening it
// as servers do would bring its schema up to date.
type Database struct {
	// Empty says that no server has used it yet.
	Empty bool
	// Version is that of its schema; Known the newest that this program knows.
	Version, Known int64
	// Replicas counts the servers that said within seconds that they live.
	Replicas int
	// Took is how long it took to connect and to read.
	Took time.Duration
	// One of these is not nil.
	SQLite   *SQLite
	Postgres *Postgres
}

// Current says that the schema is this program's, so that opening the database
// changes nothing.
func (d Database) Current() bool { return !d.Empty && d.Version == d.Known }

// SQLite is what there is to see of a SQLite file.
type SQLite struct {
	// Path is absolute.
	Path string
	// Modes has the permissions of the file and those beside it, by path.
	Modes map[string]fs.FileMode
	// Size and WALSize are in bytes.
	Size, WALSize int64
	// Journal is SQLite's journal_mode, such as "wal"; "" while there is no file.
	Journal string
}

// Postgres is what there is to see of a PostgreSQL server.
type Postgres struct {
	// Version is its server_version_num, such as 160004.
	Version int
	// Recovery says that it is a standby; ReadOnly that transactions are
	// read-only by default.
	Recovery, ReadOnly bool
	// Fsync, SynchronousCommit and Encoding are its settings of these names.
	Fsync, SynchronousCommit, Encoding string
	// Connections are in use of MaxConnections.
	Connections, MaxConnections int
	// Superuser says so of the role that connected.
	Superuser bool
	// Ahead is how far its clock is ahead of ours; within half of Took.
	Ahead time.Duration
}

// InspectOptions say which database to look at.
type InspectOptions struct {
	// URL is as for sqlstore.Options, with a password.
	URL string
	// Known is the newest schema that this program knows. nil: KnownSchema.
	Known func(context.Context) (int64, error)
	// Now is the clock. nil: time.Now.
	Now func() time.Time
}

// Inspect looks at a database and changes nothing: no file is made and no
// schema. The error is the driver's, which leaves the password out.
func Inspect(ctx context.Context, o InspectOptions) (d Database, err error) {
	if o.Known == nil {
		o.Known = KnownSchema
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if d.Known, err = o.Known(ctx); err != nil {
		return d, fmt.Errorf("finding out which schema this program knows: %w", err)
	}
	start := time.Now()
	if path, ok := strings.CutPrefix(o.URL, "sqlite:"); ok {
		err = d.inspectSQLite(ctx, strings.TrimPrefix(path, "//"), o.Now)
	} else {
		err = d.inspectPostgres(ctx, o.URL, o.Now)
	}
	d.Took = time.Since(start)
	return d, err
}

// KnownSchema is the version of the schema that this program makes, found out
// on a database of its own.
func KnownSchema(ctx context.Context) (version int64, err error) {
	dir, err := os.MkdirTemp("", "scim-bridge-doctor-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "empty.db")
	st, err := sqlstore.Open(ctx, sqlstore.Options{URL: "sqlite:" + path})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	db, err := openReadOnly(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	version, _, err = schemaVersion(ctx, db, sqliteTables)
	return version, err
}

func openReadOnly(path string) (*sql.DB, error) {
	u := url.URL{Scheme: "file", Path: path, RawQuery: "mode=ro&_pragma=busy_timeout(5000)&_pragma=query_only(1)"}
	return sql.Open("sqlite", u.String())
}

// How to count the tables of a name.
const (
	sqliteTables   = `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = $1`
	postgresTables = `SELECT count(*) FROM pg_class WHERE oid = to_regclass($1)`
)

// schemaVersion is what the migrations have written down; empty when there is
// no table for it.
func schemaVersion(ctx context.Context, db *sql.DB, tables string) (version int64, empty bool, err error) {
	var n int
	if err := db.QueryRowContext(ctx, tables, "schema_version").Scan(&n); err != nil {
		return 0, false, err
	}
	if n == 0 {
		return 0, true, nil
	}
	err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM schema_version WHERE is_applied`).Scan(&version)
	return version, version == 0, err
}

func (d *Database) inspectSQLite(ctx context.Context, path string, now func() time.Time) (err error) {
	d.SQLite = &SQLite{Path: path, Modes: map[string]fs.FileMode{}}
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("the folder of the database: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", filepath.Dir(path))
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		d.SQLite.Modes[path+suffix] = info.Mode().Perm()
		switch suffix {
		case "":
			d.SQLite.Size = info.Size()
		case "-wal":
			d.SQLite.WALSize = info.Size()
		}
	}
	if _, ok := d.SQLite.Modes[path]; !ok {
		d.Empty = true
		return nil
	}
	db, err := openReadOnly(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&d.SQLite.Journal); err != nil {
		return err
	}
	if d.Version, d.Empty, err = schemaVersion(ctx, db, sqliteTables); err != nil || d.Empty {
		return err
	}
	return db.QueryRowContext(ctx, `SELECT count(*) FROM replicas WHERE until > $1`, now().UnixMicro()).Scan(&d.Replicas)
}

func (d *Database) inspectPostgres(ctx context.Context, address string, now func() time.Time) (err error) {
	conf, err := pgx.ParseConfig(address)
	if err != nil {
		return err
	}
	conf.RuntimeParams["application_name"] = "scim-bridge doctor"
	db := stdlib.OpenDB(*conf)
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		return err
	}
	p := new(Postgres)
	d.Postgres = p
	var readOnly, superuser string
	var clock int64
	before := now()
	err = db.QueryRowContext(ctx, `SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
		current_setting('default_transaction_read_only'), current_setting('fsync'), current_setting('synchronous_commit'),
		current_setting('server_encoding'), (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database),
		current_setting('max_connections')::int, current_setting('is_superuser'),
		CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(
		&p.Version, &p.Recovery, &readOnly, &p.Fsync, &p.SynchronousCommit, &p.Encoding, &p.Connections, &p.MaxConnections,
		&superuser, &clock)
	if err != nil {
		return err
	}
	p.ReadOnly, p.Superuser = readOnly == "on", superuser == "on"
	after := now()
	p.Ahead = time.UnixMicro(clock).Sub(before.Add(after.Sub(before) / 2))
	if d.Version, d.Empty, err = schemaVersion(ctx, db, postgresTables); err != nil || d.Empty {
		return err
	}
	return db.QueryRowContext(ctx, `SELECT count(*) FROM replicas
		WHERE until > CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`).Scan(&d.Replicas)
}
